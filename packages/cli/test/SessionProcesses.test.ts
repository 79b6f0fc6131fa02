import * as Os from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { Agent, Journal, Session, Task, Turn } from "@spindle/core"
import type { ProcessId } from "@spindle/core/protocol/Ids"
import type { SessionEvent } from "@spindle/core/protocol/SessionEvent"
import { Deferred, Effect, Layer, Stream } from "effect"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Host from "../src/Host.ts"
import { processesOf, within } from "./fixtures/program.ts"

// sessions with the processes of this host
const layer = Layer.mergeAll(Host.layer, Journal.Journal.layerMemory(), ScriptedModel.make([]).layer)
let count = 0
const uniqueSeconds = () => `${process.pid}${(count += 1)}.125`

const sleeper = Effect.fnUntraced(function* (script: string, keep: boolean) {
  const turn = yield* Turn
  return yield* turn.process({ command: ["sh", "-c", script], cwd: Os.tmpdir(), keep })
})

/** A session whose turn runs a process and waits for ever, and all that it tells. */
const running = Effect.fnUntraced(function* (script: (seconds: string) => string, keep: boolean) {
  const session = yield* Session.make(Agent.make({}))
  const events: Array<SessionEvent> = []
  yield* Effect.forkScoped(Stream.runForEach(session.events(), (event) => Effect.sync(() => void events.push(event))))
  const seconds = uniqueSeconds()
  const started = yield* Deferred.make<ProcessId>()
  yield* session.start(
    Task.make(
      "sleeper",
      Effect.gen(function* () {
        const { processId } = yield* Effect.orDie(sleeper(script(seconds), keep))
        yield* Deferred.succeed(started, processId)
        return yield* Effect.never
      })
    )
  )
  const processId = yield* Deferred.await(started)
  return { session, events, seconds, processId }
})

const find = <const Tag extends SessionEvent["_tag"]>(events: ReadonlyArray<SessionEvent>, tag: Tag) =>
  events.find((event): event is Extract<SessionEvent, { readonly _tag: Tag }> => event._tag === tag)

describe("processes of a session", () => {
  it.live(
    "X1 an aborted turn ends its process with children and daemons, and names what was still ending until it has",
    () =>
      Effect.gen(function* () {
        // it ignores TERM, and so lives longer than the grace of the turn
        const family = (seconds: string) =>
          `trap '' TERM; sleep ${seconds} & setsid sleep ${seconds} & sleep ${seconds}; sleep ${seconds}`
        const { events, seconds, session } = yield* running(family, false)
        assert.isTrue(yield* within(5_000, () => processesOf(seconds).length === 3))
        assert.isTrue(yield* session.abort())
        assert.isTrue(yield* within(2_000, () => processesOf(seconds).length === 0))
        yield* session.awaitIdle
        const aborted = find(events, "TurnAborted")!
        assert.lengthOf(aborted.stragglers, 1)
        assert.include(aborted.stragglers[0]!, { kind: "process" })
        assert.deepStrictEqual(aborted.keptProcesses, [])
        assert.isTrue(yield* within(2_000, () => find(events, "StragglerEnded") !== undefined))
        const end = find(events, "StragglerEnded")!
        assert.deepStrictEqual([end.ofTurn, end.straggler], [aborted.turnId, aborted.stragglers[0]!])
      }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("X1 a kept process survives an interrupt, is named, and ends with the session", () =>
    Effect.gen(function* () {
      const seconds = yield* Effect.scoped(
        Effect.gen(function* () {
          const { events, processId, seconds, session } = yield* running(
            (time) => `sleep ${time} & sleep ${time}`,
            true
          )
          assert.isTrue(yield* within(5_000, () => processesOf(seconds).length === 2))
          yield* session.abort()
          yield* session.awaitIdle
          assert.isTrue(yield* within(1_000, () => find(events, "TurnAborted") !== undefined))
          const aborted = find(events, "TurnAborted")!
          assert.deepStrictEqual([aborted.keptProcesses, aborted.stragglers], [[processId], []])
          assert.lengthOf(processesOf(seconds), 2)
          assert.deepStrictEqual(
            (yield* session.processes).map((one) => one.processId),
            [processId]
          )
          return seconds
        })
      )
      assert.isTrue(yield* within(2_000, () => processesOf(seconds).length === 0))
    }).pipe(Effect.provide(layer))
  )
})
