/** What the negative controls share. */
import type * as World from "./world.ts"

/** All that explores a session, loaded anew with a core that lacks a mechanism. */
export const withoutIt = (name: string): Promise<typeof World> =>
  import(/* @vite-ignore */ `./world.ts?without=${name}`)
