/** The driver of `exec --json`: writes the lines of one session as its events arrive. */
import type * as Exec from "@spindle/app/Exec"
import type { SessionId } from "@spindle/core/Ids"
import * as Effect from "effect/Effect"
import * as ExecEvents from "./ExecEvents.ts"

/** The options of a printer. `write` gets a line without its line break. */
export interface Options {
  readonly sessionId: SessionId
  readonly cwd: string
  readonly write: (line: string) => void
}

/** Makes the printer of a session. The first line is written when the session is open. */
export const make = ({ cwd, sessionId, write }: Options): Pick<Exec.Face, "onOpen" | "show"> => {
  let state = ExecEvents.initial({ sessionId, cwd })
  const print = ([next, lines]: ExecEvents.Step) => {
    state = next
    for (const line of lines) write(JSON.stringify(line))
  }
  return {
    onOpen: ({ session }) => Effect.map(session.snapshot, (snapshot) => print(ExecEvents.open(state, snapshot))),
    show: (event) => Effect.sync(() => print(ExecEvents.step(state, event)))
  }
}
