/** A turn for the handlers of tools, with real processes. */
import { Deferred, Effect, Layer } from "effect"
import { type Ids, Local, type Turn } from "@spindle/core"
import type { CallDetail } from "@spindle/core/Display"
import { Processes } from "@spindle/core/Processes"
import { Commands } from "../src/index.ts"
import { host as machine, newId } from "./host.ts"

/** The commands of this host. */
export const host = Layer.provideMerge(Commands.layer, machine)

/** The session of the turns. */
export const sessionId = "session" as Ids.SessionId

/** A turn that starts processes, collects output, and ends its processes when its scope closes. */
export const makeTurn = Effect.gen(function* () {
  const scope = yield* Effect.scope
  const kept: Array<string> = []
  const pieces: Array<string> = []
  const details: Array<CallDetail> = []
  const started: Array<Ids.ProcessId> = []
  const living = new Set<Ids.ProcessId>()
  const published = yield* Deferred.make<string>()
  const cleanups = new Set<Parameters<Turn.Turn["onAbort"]>[0]>()
  const processes = yield* Processes
  const end = (processId: Ids.ProcessId) => processes.end(processId, 200)
  yield* Effect.addFinalizer(() => Effect.forEach(living, end, { discard: true }))
  const members: Partial<Turn.Turn> = {
    sessionId,
    turnId: "turn" as Ids.TurnId,
    note: () => Effect.void,
    onAbort: (cleanup) => {
      cleanups.add(cleanup)
      return Effect.succeed(Effect.sync(() => void cleanups.delete(cleanup)))
    },
    session: { sessionId, scope: Effect.succeed(scope), locals: new Local.Locals() } as Turn.TurnSession,
    locals: new Local.Locals(),
    process: ({ command, cwd, env, input }) =>
      Effect.suspend(() => {
        const processId = newId()
        started.push(processId)
        living.add(processId)
        const given = { ...(env === undefined ? {} : { env }), ...(input === undefined ? {} : { input }) }
        const release = Effect.sync(() => living.delete(processId))
        return Effect.tap(processes.start({ processId, command, cwd, ...given }), ({ gone }) =>
          Effect.forkIn(Effect.andThen(gone, release), scope)
        )
      }),
    keep: (id) => {
      kept.push(id)
      return Effect.succeed(true)
    },
    detail: (_, detail) => Effect.sync(() => void details.push(detail)),
    output: (_, text) => {
      pieces.push(text)
      return Effect.asVoid(Deferred.succeed(published, text))
    }
  }
  /** The cleanup that an abort runs in addition to ending the processes. */
  const cleanUp = Effect.suspend(() =>
    Effect.forEach(cleanups, ({ run }) => run({ _tag: "Interrupted" } as never), { discard: true })
  )
  return { turn: members as Turn.Turn, cleanUp, details, kept, pieces, started, firstOutput: Deferred.await(published) }
})
