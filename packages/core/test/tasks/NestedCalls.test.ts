/** Calls that a running call makes. */
import { assert, describe, it } from "@effect/vitest"
import type { CallId } from "@spindle/core/Ids"
import { NestedCallEnded, NestedCalls, NestedCallStarted, type NestedResult } from "@spindle/core/NestedCalls"
import * as Op from "@spindle/core/Op"
import { Turn } from "@spindle/core/Turn"
import * as Harness from "@spindle/testing/SessionHarness"
import * as Model from "@spindle/testing/ScriptedModel"
import { Data, Deferred, Effect, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { abortedOf, assertTurns, itemsOf, warningsOf } from "../fixtures/turns.ts"

class Failed extends Data.TaggedError("Failed")<{ readonly message: string }> {}

type Call = (name: string, params?: unknown) => Effect.Effect<NestedResult>

/** A tool that makes calls. */
const script = (run: (call: Call) => Effect.Effect<unknown, unknown, Turn>): Harness.TestTool => ({
  run: () =>
    Effect.flatMap(NestedCalls, (nested) =>
      nested === undefined ? Effect.succeed("no calls here") : run((name, params = {}) => nested.call(name, params))
    ),
  policy: { concurrency: "exclusive" }
})

const once = (name = "script") => [[Model.call(name, {}, "a")], Model.text("done")]

/** The notes about nested calls, in order: the call when it starts, its status and output when it ends. */
const notesOf = ({ events }: Pick<Harness.SessionHarness, "events">) =>
  events.flatMap((event) => {
    if (event._tag !== "TaskNote") return []
    const started = Option.getOrUndefined(NestedCallStarted.decode(event))
    if (started !== undefined) return [[started.callId, started.name]]
    const ended = Option.getOrUndefined(NestedCallEnded.decode(event))
    return ended === undefined ? [] : [[ended.callId, ended.status, ended.output]]
  })

const outputOf = ({ events }: Pick<Harness.SessionHarness, "events">) =>
  itemsOf(events).flatMap((item) => (item._tag === "ToolResult" ? [[item.status, item.output]] : []))

describe("a nested call", () => {
  it.effect("is recorded in notes and not in the history, and its caller gets its result", () =>
    Effect.gen(function* () {
      const h = yield* Harness.make({
        script: once(),
        tools: {
          script: script((call) =>
            Effect.map(Effect.all([call("add", { n: 1 }), call("fails"), call("unknown")]), (all) =>
              all.map(({ output, status }) => [status, output])
            )
          ),
          add: {
            run: ({ n }) => Effect.succeed(Number(n) + 1),
            policy: { display: () => ({ _tag: "Other", title: "add one" }) }
          },
          fails: { run: () => Effect.fail(new Failed({ message: "it failed" })) }
        }
      })
      yield* h.run("go")
      const results = [
        ["completed", 2],
        ["failed", "it failed"],
        ["failed", "unsupported call: there is no tool unknown"]
      ]
      assert.deepStrictEqual(outputOf(h), [["completed", results]])
      assert.deepStrictEqual(notesOf(h), [
        ["a/1", "add"],
        ["a/1", ...results[0]!],
        ["a/2", "fails"],
        ["a/2", ...results[1]!],
        ["a/3", "unknown"],
        ["a/3", ...results[2]!]
      ])
      const [first] = h.events.filter((event) => event._tag === "TaskNote")
      assert.strictEqual(first?.message, "calls add")
      assert.deepStrictEqual(Option.getOrThrow(NestedCallStarted.decode(first!)), {
        callId: "a/1" as CallId,
        parentId: "a" as CallId,
        name: "add",
        params: { n: 1 },
        display: { _tag: "Other", title: "add one" }
      })
      assertTurns(h.events)
    })
  )

  it.effect("J8 starts its handler when its record is durable", () =>
    Effect.gen(function* () {
      const journal = yield* Harness.memoryJournal
      const seen: Array<string> = []
      const h = yield* Harness.make({
        script: once(),
        journal,
        tools: {
          script: script((call) => call("look")),
          look: {
            run: () =>
              Effect.gen(function* () {
                const [entry] = yield* journal.list
                const { records } = yield* journal.load(entry!.sessionId)
                seen.push(...records.flatMap((one) => (one._tag === "TaskNote" ? [one.name] : [])))
              })
          }
        }
      })
      yield* h.run("go")
      assert.deepStrictEqual(seen, ["call.started"])
    })
  )

  it.effect("A1 P5 passes the hooks, its policy and the person who is asked", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const hooked: Array<string> = []
      const h = yield* Harness.make({
        script: once(),
        tools: {
          script: script((call) =>
            Effect.map(Effect.all([call("asks"), call("hooked"), call("forbidden")]), (all) =>
              all.map(({ status }) => status)
            )
          ),
          asks: { run: () => Effect.succeed("yes"), policy: { approval: "ask" } },
          hooked: { run: () => Effect.die("must not run") },
          forbidden: { run: () => Effect.die("must not run"), policy: { approval: "deny" } }
        },
        approvals: {
          decide: ({ callId, tool }) =>
            Effect.sync(() => {
              asked.push([callId, tool])
              return { _tag: "Approved", scope: "once" }
            })
        },
        hooks: {
          preToolUse: (_, tool) =>
            Effect.sync(() => {
              hooked.push(tool)
              return { deny: tool === "hooked" }
            }),
          postToolUse: (_, tool) => Effect.succeed([`after ${tool}`])
        }
      })
      yield* h.run("go")
      assert.deepStrictEqual(asked, [["a/1", "asks"]])
      assert.deepStrictEqual(hooked, ["script", "asks", "hooked", "forbidden"])
      assert.deepStrictEqual(outputOf(h), [["completed", ["completed", "denied", "denied"]]])
      const decided = h.events.flatMap((event) =>
        event._tag === "CallDecided" ? [`${event.callId} ${event.source}`] : []
      )
      assert.deepStrictEqual(decided, ["a/2 hook", "a/3 policy"])
      const added = itemsOf(h.events).flatMap((item) => (item._tag === "DeveloperMessage" ? [item.text] : []))
      assert.deepStrictEqual(added, ["after asks", "after script"])
    })
  )

  it.effect("is ordered by the policies of its group, and waits for no permit of the call that makes it", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const logging = (name: string): Effect.Effect<void> =>
        Effect.gen(function* () {
          log.push(`${name} starts`)
          yield* Effect.sleep("1 second")
          log.push(`${name} ends`)
        })
      const h = yield* Harness.make({
        script: once(),
        config: { toolConcurrency: 2 },
        tools: {
          script: script((call) =>
            Effect.all([call("read"), call("read"), call("write"), call("read")], { concurrency: "unbounded" })
          ),
          read: { run: () => logging("read") },
          write: { run: () => logging("write"), policy: { concurrency: "exclusive" } }
        }
      })
      yield* h.submit("go")
      for (let seconds = 0; seconds < 6; seconds++) yield* TestClock.adjust("1 second")
      yield* h.session.awaitIdle
      const reads = ["read starts", "read starts", "read ends", "read ends"]
      assert.deepStrictEqual(log, [...reads, "write starts", "write ends", "read starts", "read ends"])
      const one = yield* Harness.make({
        script: once(),
        config: { toolConcurrency: 1 },
        tools: { script: script((call) => call("read")), read: { run: () => Effect.succeed("read") } }
      })
      yield* one.run("go")
      assert.strictEqual(outputOf(one)[0]![0], "completed")
    })
  )

  it.effect("makes no calls itself, does not call its caller, and is made only by a call that runs alone", () =>
    Effect.gen(function* () {
      const h = yield* Harness.make({
        script: [[Model.call("script", {}, "a"), Model.call("parallel", {}, "b")], Model.text("done")],
        tools: {
          script: script((call) => Effect.all([call("other"), call("script"), call("again")])),
          other: script(() => Effect.die("must not call")),
          again: {
            run: () => Effect.die("must not run"),
            policy: { redirect: () => ({ name: "script", params: {} }) }
          },
          parallel: { ...script(() => Effect.die("must not call")), policy: { concurrency: "parallel" } }
        }
      })
      yield* h.run("go")
      assert.deepStrictEqual(
        notesOf(h).filter((note) => note.length === 3),
        [
          ["a/1", "completed", "no calls here"],
          ["a/2", "failed", "script cannot call itself"],
          ["a/3", "failed", "script cannot call itself"]
        ]
      )
      assert.deepStrictEqual(outputOf(h)[1], ["completed", "no calls here"])
    })
  )

  it.effect("S10 counts as a tool call of its turn, and is not made beyond the bound", () =>
    Effect.gen(function* () {
      const ran: Array<unknown> = []
      const h = yield* Harness.make({
        script: once(),
        config: { turnToolCalls: 3 },
        tools: {
          script: script((call) => Effect.forEach([1, 2, 3, 4], (n) => call("count", { n }))),
          count: { run: ({ n }) => Effect.sync(() => void ran.push(n)) }
        }
      })
      yield* h.run("go")
      assert.deepStrictEqual(ran, [1, 2])
      assert.strictEqual(abortedOf(h.events).reason, "Budget")
      assert.lengthOf(
        notesOf(h).filter((note) => note.length === 2),
        2
      )
    })
  )

  it.effect("S10 is refused when it has failed too often with the same arguments", () =>
    Effect.gen(function* () {
      let runs = 0
      const h = yield* Harness.make({
        script: once(),
        config: { identicalFailures: 2 },
        tools: {
          script: script((call) => Effect.map(Effect.replicateEffect(call("fails"), 3), (all) => all.at(-1)?.output)),
          fails: {
            run: () =>
              Effect.andThen(
                Effect.sync(() => runs++),
                Effect.fail("no")
              )
          }
        }
      })
      yield* h.run("go")
      assert.strictEqual(runs, 2)
      assert.match(String(outputOf(h)[0]![1]), /^fails was not run: it has failed 2 times/)
    })
  )

  it.effect("has the detail that its handler reports in the record of its result", () =>
    Effect.gen(function* () {
      const detail = { _tag: "Mcp", isError: false, durationMillis: 3 } as const
      const h = yield* Harness.make({
        script: once(),
        tools: {
          script: script((call) => call("reports")),
          reports: { run: (_, callId) => Effect.flatMap(Turn, (turn) => turn.detail(callId as CallId, detail)) }
        }
      })
      yield* h.run("go")
      const results = itemsOf(h.events).flatMap((item) => (item._tag === "ToolResult" ? [item] : []))
      assert.deepStrictEqual(
        results.map((result) => [result.detail, result.output]),
        [[undefined, { status: "completed", detail }]]
      )
    })
  )

  it.effect("I2 is aborted with its turn, and so is its question", () =>
    Effect.gen(function* () {
      const h = yield* Harness.make({
        script: once(),
        tools: {
          script: script((call) => Effect.all([call("hangs"), call("asks")], { concurrency: 2 })),
          hangs: { run: () => Effect.never },
          asks: { run: () => Effect.die("must not run"), policy: { approval: "ask" } }
        }
      })
      yield* h.submit("go")
      yield* h.awaitEvent(Harness.hasTag("QuestionOpened"))
      yield* h.session.abort()
      yield* h.session.awaitIdle
      assert.deepStrictEqual(
        notesOf(h)
          .filter((note) => note.length === 3)
          .toSorted(),
        [
          ["a/1", "aborted", "aborted"],
          ["a/2", "aborted", "aborted"]
        ]
      )
      assert.deepStrictEqual(abortedOf(h.events).stragglers, [])
      assertTurns(h.events)
    })
  )

  it.effect("A5 stops the turn if a person answers its question with an abort", () =>
    Effect.gen(function* () {
      const h = yield* Harness.make({
        script: once(),
        tools: {
          script: script((call) => call("asks")),
          asks: { run: () => Effect.die("must not run"), policy: { approval: "ask" } }
        }
      })
      yield* h.submit("go")
      const { questionId } = yield* h.awaitEvent(Harness.hasTag("QuestionOpened"))
      yield* h.session.submit(Op.answer(questionId, { _tag: "Abort" }))
      yield* h.session.awaitIdle
      assert.strictEqual(abortedOf(h.events).reason, "Interrupted")
    })
  )

  it.effect("ends with the call that makes it, which then makes no more", () =>
    Effect.gen(function* () {
      const hangs = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<Call>()
      const h = yield* Harness.make({
        script: [[Model.call("script", {}, "a")], [Model.call("wait", {}, "b")], Model.text("done")],
        tools: {
          script: script((call) =>
            Effect.gen(function* () {
              yield* Effect.forkDetach(call("hangs"))
              yield* Deferred.await(hangs)
              yield* Deferred.succeed(ended, call)
              return "returned"
            })
          ),
          hangs: { run: () => Effect.andThen(Deferred.succeed(hangs, undefined), Effect.never) },
          wait: {
            run: () =>
              Effect.gen(function* () {
                const call = yield* Deferred.await(ended)
                const late = yield* Effect.forkDetach(call("hangs"))
                return (yield* Fiber.await(late))._tag
              })
          }
        }
      })
      yield* h.run("go")
      assert.deepStrictEqual(outputOf(h), [
        ["completed", "returned"],
        ["completed", "Failure"]
      ])
      assert.deepStrictEqual(notesOf(h), [
        ["a/1", "hangs"],
        ["a/1", "aborted", "aborted"]
      ])
    })
  )

  it.effect("fails the turn if its handler dies", () =>
    Effect.gen(function* () {
      const h = yield* Harness.make({
        script: once(),
        tools: { script: script((call) => call("dies")), dies: { run: () => Effect.die(new Error("a defect")) } }
      })
      const end = yield* h.run("go")
      assert.strictEqual(end._tag === "TurnFailed" ? end.error.message : end._tag, "a defect")
    })
  )

  it.effect("is shown without a description if the display function throws, and a warning says so", () =>
    Effect.gen(function* () {
      const h = yield* Harness.make({
        script: once(),
        tools: {
          script: script((call) => Effect.map(call("shown"), ({ status }) => status)),
          shown: {
            run: () => Effect.succeed("ran"),
            policy: {
              display: () => {
                throw new Error("no display")
              }
            }
          }
        }
      })
      yield* h.run("go")
      assert.deepStrictEqual(outputOf(h), [["completed", "completed"]])
      const warnings = warningsOf(h.events)
      assert.match(warnings.join(), /the display function of the tool shown/)
    })
  )
})
