/** All explorations of docs/explored.md, in its order. */
import { coordination } from "./coordination.ts"
import type { Piece } from "./piece.ts"
import { resources } from "./resources.ts"
import { services } from "./services.ts"

/** All pieces. */
export const pieces: ReadonlyArray<Piece> = [...coordination, ...resources, ...services]
