/** Reports the hosts that a process did not reach because the list of its policy denies them. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ProcessId } from "@spindle/core/Ids"
import * as NetworkPolicy from "../sandbox/NetworkPolicy.ts"
import { Sandbox } from "../Sandbox.ts"

/** Takes the denials since the last call; none where there is no sandbox. */
export const take = (processId: ProcessId): Effect.Effect<ReadonlyArray<NetworkPolicy.Denial>> =>
  Effect.map(Effect.serviceOption(Sandbox), (sandbox) =>
    Option.isSome(sandbox) ? sandbox.value.takeDenials(processId) : []
  )

/** Returns a line for the model for each denial. */
export const lines = (denials: ReadonlyArray<NetworkPolicy.Denial>): ReadonlyArray<string> =>
  denials.map((denial) => `The network proxy: ${NetworkPolicy.describe(denial)}.`)
