import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import type * as Approvals from "@spindle/core/Approvals"
import * as Journal from "@spindle/core/Journal"
import type { CallId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import * as Op from "@spindle/core/Op"
import * as Session from "@spindle/core/Session"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Fiber, Layer, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"

const { call, gate, invalidCall, text } = ScriptedModel

/** Tools that log when they start and end, and end on demand. */
const stage = () => {
  const log: Array<string> = []
  const started = new Map<string, Deferred.Deferred<void>>()
  const ended = new Map<string, Deferred.Deferred<void>>()
  const at = (map: typeof started, name: string) => {
    const found = map.get(name) ?? Deferred.makeUnsafe<void>()
    map.set(name, found)
    return found
  }
  const tool = (concurrency: "parallel" | "exclusive"): SessionHarness.TestTool => ({
    policy: { concurrency },
    run: (_, callId) =>
      Effect.gen(function* () {
        log.push(`+${callId}`)
        yield* Deferred.succeed(at(started, callId), undefined)
        yield* Deferred.await(at(ended, callId))
        log.push(`-${callId}`)
        return `result of ${callId}`
      })
  })
  return {
    log,
    tools: { side: tool("parallel"), alone: tool("exclusive") },
    started: (name: string) => Deferred.await(at(started, name)),
    end: (name: string) => Deferred.succeed(at(ended, name), undefined)
  }
}

/** An error of an application: it has fields and no message. */
class OrderNotFound extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", { id: Schema.String }) {}

/** Runs everything that does not wait for the test. */
const settle = TestClock.adjust("1 second")

const results = (items: ReadonlyArray<Item> | undefined) =>
  (items ?? []).flatMap((item) => (item._tag === "ToolResult" ? [[item.callId, item.status, item.output]] : []))

describe("running tools", () => {
  it.effect("a tool starts before the response that calls it is complete, and its result waits for that end", () =>
    Effect.gen(function* () {
      const { end, log, started, tools } = stage()
      const harness = yield* SessionHarness.make({
        script: [[call("side", {}, "a"), gate("rest"), ...text("calling")], [text("done")]],
        tools
      })
      const turn = yield* Effect.forkChild(harness.run("hi"))
      yield* harness.model.awaitGate("rest")
      yield* started("a")
      yield* end("a")
      yield* settle
      assert.deepStrictEqual(log, ["+a", "-a"])
      assert.isFalse(harness.records().some((one) => one._tag === "ItemRecorded" && one.item._tag === "ToolResult"))
      yield* harness.model.open("rest")
      yield* Fiber.join(turn)
      assert.deepStrictEqual(
        harness.requests[1]?.items.map((item) => item._tag),
        ["UserMessage", "ToolCall", "AssistantMessage", "ToolResult"]
      )
    })
  )

  it.effect("parallel tools run concurrently, and I6 their results are in the order of the calls", () =>
    Effect.gen(function* () {
      const { end, log, started, tools } = stage()
      const harness = yield* SessionHarness.make({
        script: [[call("side", {}, "a"), call("side", {}, "b"), call("side", {}, "c")], [text("done")]],
        tools
      })
      const turn = yield* Effect.forkChild(harness.run("hi"))
      for (const name of ["a", "b", "c"]) yield* started(name)
      for (const name of ["c", "b", "a"]) {
        assert.deepStrictEqual(results((yield* harness.session.snapshot).items), [])
        yield* end(name)
        yield* settle
      }
      yield* Fiber.join(turn)
      assert.deepStrictEqual(log, ["+a", "+b", "+c", "-c", "-b", "-a"])
      assert.deepStrictEqual(results(harness.requests[1]?.items), [
        ["a", "completed", "result of a"],
        ["b", "completed", "result of b"],
        ["c", "completed", "result of c"]
      ])
    })
  )

  it.effect("an exclusive tool waits for all before it and blocks all after it, first come, first served", () =>
    Effect.gen(function* () {
      const { end, log, started, tools } = stage()
      const names = ["p1", "p2", "x1", "p3", "x2", "p4"]
      const harness = yield* SessionHarness.make({
        script: [names.map((name) => call(name.startsWith("x") ? "alone" : "side", {}, name)), [text("done")]],
        tools
      })
      const turn = yield* Effect.forkChild(harness.run("hi"))
      const step = Effect.fnUntraced(function* (name: string, running: ReadonlyArray<string>) {
        yield* started(name)
        yield* end(name)
        yield* settle
        const open = log.flatMap((line) => (line.startsWith("+") && !log.includes(`-${line.slice(1)}`) ? [line] : []))
        assert.deepStrictEqual(
          open,
          running.map((one) => `+${one}`),
          `after ${name}`
        )
      })
      yield* step("p2", ["p1"])
      yield* step("p1", ["x1"])
      yield* step("x1", ["p3"])
      yield* step("p3", ["x2"])
      yield* step("x2", ["p4"])
      yield* step("p4", [])
      yield* Fiber.join(turn)
      assert.deepStrictEqual(
        log.filter((line) => line.startsWith("+")),
        names.map((name) => `+${name}`)
      )
    })
  )

  it.effect("a tool is exclusive unless its policy says `parallel`", () =>
    Effect.gen(function* () {
      const started: Array<string> = []
      const work = Tool.make("work", { parameters: Schema.Struct({ name: Schema.String }), success: Schema.String })
      const toolkit = Toolkit.make(work)
      const handlers = toolkit.toLayer({
        work: ({ name }) => {
          started.push(name)
          return Effect.delay(Effect.succeed(name), "10 seconds")
        }
      })
      const model = ScriptedModel.make([
        [call("work", { name: "first" }, "a"), call("work", { name: "second" }, "b")],
        [text("done")]
      ]).layer
      const session = yield* Session.make(Agent.make({ toolkit, approvals: { work: { approval: "allow" } } })).pipe(
        Effect.provide(Layer.mergeAll(model, handlers, Journal.layerMemory()))
      )
      yield* session.submit(Op.userInput("go"))
      yield* settle
      assert.deepStrictEqual(started, ["first"])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(started, ["first", "second"])
    })
  )

  it.effect("at most as many tools run at once as the configuration allows", () =>
    Effect.gen(function* () {
      const { end, log, started, tools } = stage()
      const harness = yield* SessionHarness.make({
        script: [["a", "b", "c"].map((name) => call("side", {}, name)), [text("done")]],
        tools,
        config: { toolConcurrency: 2 }
      })
      const turn = yield* Effect.forkChild(harness.run("hi"))
      yield* Effect.andThen(started("a"), started("b"))
      yield* settle
      assert.deepStrictEqual(log, ["+a", "+b"])
      yield* end("b")
      yield* started("c")
      yield* Effect.andThen(end("a"), end("c"))
      yield* Fiber.join(turn)
    })
  )

  it.effect("I6 a call id that is still open gets a suffix, and one that is free again is kept", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const harness = yield* SessionHarness.make({
        script: [
          [call("work", { n: 1 }, "same"), call("work", { n: 2 }, "same"), call("work", { n: 3 }, "same")],
          [call("work", { n: 4 }, "same")],
          [text("done")]
        ],
        tools: { work: { run: ({ n }, callId) => Effect.sync(() => (seen.push(`${callId} ${n}`), n)) } }
      })
      const end = yield* harness.run("hi")
      assert.strictEqual(end._tag, "TurnCompleted")
      assert.deepStrictEqual(seen, ["same 1", "same#2 2", "same#3 3", "same 4"])
      assert.deepStrictEqual(results(harness.requests[2]?.items), [
        ["same", "completed", 1],
        ["same#2", "completed", 2],
        ["same#3", "completed", 3],
        ["same", "completed", 4]
      ])
    })
  )

  it.effect("output of a call is published as it comes, with its offsets, and the handler gets decoded arguments", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const harness = yield* SessionHarness.make({
        script: [[call("work", { when: "2024-06-14T00:00:00.000Z" }, "a")], [text("done")]],
        tools: {
          work: {
            parameters: { when: Schema.DateFromString },
            run: ({ when }, callId) =>
              Effect.gen(function* () {
                seen.push(when)
                const turn = yield* Turn
                yield* turn.output(callId as CallId, "half ")
                yield* turn.output(callId as CallId, "whole")
              })
          }
        }
      })
      yield* harness.run("hi")
      assert.deepStrictEqual(seen, [new Date("2024-06-14T00:00:00.000Z")])
      assert.deepStrictEqual(
        harness.events.flatMap((event) => (event._tag === "ToolOutput" ? [[event.offset, event.text]] : [])),
        [
          [0, "half "],
          [5, "whole"]
        ]
      )
      // a handler that returns nothing has a result as well
      assert.deepStrictEqual(results(harness.requests[1]?.items), [["a", "completed", undefined]])
    })
  )
})

describe("calls that cannot run", () => {
  const tools: { readonly [name: string]: SessionHarness.TestTool } = {
    typed: { parameters: { count: Schema.Int }, run: () => Effect.succeed("ran") }
  }

  it.effect("an invented tool, bad JSON and wrong arguments become results, and the turn continues", () =>
    Effect.gen(function* () {
      let ran = 0
      const harness = yield* SessionHarness.make({
        script: [
          [
            call("invented", {}, "a"),
            invalidCall("typed", '{"count": ', "b"),
            call("typed", { count: "seven" }, "c"),
            call("typed", { count: 7 }, "d")
          ],
          [text("sorry")]
        ],
        tools: { typed: { ...tools["typed"]!, run: () => Effect.sync(() => `ran ${++ran}`) } }
      })
      const end = yield* harness.run("hi")
      assert.strictEqual(end._tag === "TurnCompleted" && end.lastMessage, "sorry")
      const [a, b, c, d] = results(harness.requests[1]?.items)
      assert.deepStrictEqual(a, ["a", "failed", "unsupported call: there is no tool invented"])
      assert.deepStrictEqual(b, ["b", "failed", "the arguments of typed are not JSON"])
      assert.deepStrictEqual(c?.slice(0, 2), ["c", "failed"])
      assert.match(String(c?.[2]), /^invalid arguments for typed: .*count/s)
      assert.deepStrictEqual(d, ["d", "completed", "ran 1"])
      const invalid = harness.requests[1]?.items.find((item) => item._tag === "ToolCall" && item.callId === "b")
      assert.strictEqual(invalid?._tag === "ToolCall" && invalid.invalid, '{"count": ')
    })
  )

  it.effect("a typed failure of a tool is a result for the model, with its fields or its message", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({
        script: [
          [call("fields", {}, "a"), call("error", {}, "b"), call("plain", {}, "c"), call("mute", {}, "d")],
          [text("sorry")]
        ],
        tools: {
          fields: { run: () => Effect.fail({ code: 7, why: "no such file" }) },
          // @effect-diagnostics-next-line globalErrorInEffectFailure:off
          error: { run: () => Effect.fail(new Error("it broke")) },
          plain: { run: () => Effect.fail("just a text") },
          mute: { run: () => Effect.fail(new OrderNotFound({ id: "o-1" })) }
        }
      })
      const end = yield* harness.run("hi")
      assert.strictEqual(end._tag, "TurnCompleted")
      assert.deepStrictEqual(results(harness.requests[1]?.items), [
        ["a", "failed", { code: 7, why: "no such file" }],
        ["b", "failed", "it broke"],
        ["c", "failed", "just a text"],
        ["d", "failed", { _tag: "OrderNotFound", id: "o-1" }]
      ])
    })
  )

  it.effect("S5 a defect of a tool fails the turn, ends its siblings, and leaves the session usable", () =>
    Effect.gen(function* () {
      let interrupted = false
      const sibling = yield* Deferred.make<void>()
      const harness = yield* SessionHarness.make({
        script: [[call("slow", {}, "a"), call("broken", {}, "b")], [text("hello")]],
        tools: {
          slow: {
            run: () =>
              Effect.andThen(Deferred.succeed(sibling, undefined), Effect.never).pipe(
                Effect.onInterrupt(() => Effect.sync(() => void (interrupted = true)))
              )
          },
          broken: { run: () => Effect.andThen(Deferred.await(sibling), Effect.die(new TypeError("a bug"))) }
        }
      })
      yield* harness.submit("hi")
      yield* Deferred.await(sibling)
      yield* settle
      const last = harness.records().at(-1)
      assert.deepStrictEqual(last?._tag === "TurnFailed" && last.error, { tag: "TypeError", message: "a bug" })
      assert.isTrue(interrupted)
      const { items } = yield* harness.session.snapshot
      assert.deepStrictEqual(
        results(items).map(([callId, status]) => [callId, status]),
        [
          ["a", "failed"],
          ["b", "failed"]
        ]
      )
      assert.strictEqual((yield* harness.run("again"))._tag, "TurnCompleted")
    })
  )

  it.effect("a tool that its policy or a hook forbids is denied with the reason, and does not run", () =>
    Effect.gen(function* () {
      let ran = 0
      const run = () => Effect.sync(() => ++ran)
      const harness = yield* SessionHarness.make({
        script: [[call("forbidden", {}, "a"), call("hooked", {}, "b"), call("by", { n: 1 }, "c")], [text("sorry")]],
        tools: {
          forbidden: { run, policy: { approval: "deny" } },
          hooked: { run },
          by: { run, policy: { approval: (params: unknown) => ((params as { n: number }).n === 1 ? "deny" : "allow") } }
        },
        hooks: {
          preToolUse: (_, tool) =>
            Effect.succeed(tool === "hooked" ? { deny: true, reason: "not on Sundays" } : { deny: false })
        }
      })
      yield* harness.run("hi")
      assert.strictEqual(ran, 0)
      assert.deepStrictEqual(results(harness.requests[1]?.items), [
        ["a", "denied", "denied: the policy forbids forbidden"],
        ["b", "denied", "denied: not on Sundays"],
        ["c", "denied", "denied: the policy forbids by"]
      ])
    })
  )

  it.effect("the hook after a tool gets the same output as the model", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const harness = yield* SessionHarness.make({
        script: [[call("good", {}, "a")], [text("done")]],
        tools: { good: { run: () => Effect.succeed({ ok: 1 }) } },
        hooks: { postToolUse: (_, tool, output) => Effect.sync(() => (seen.push([tool, output]), [])) }
      })
      yield* harness.run("hi")
      assert.deepStrictEqual(seen, [["good", { ok: 1 }]])
    })
  )

  it.effect(
    "null for an argument that may be left out is an absent argument, and stays where the schema takes it",
    () =>
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const displays: Array<unknown> = []
        const inner = Schema.Struct({ z: Schema.optionalKey(Schema.String) })
        const harness = yield* SessionHarness.make({
          script: [
            [
              call("t", { a: "1", b: null, c: null, d: [{ z: null }, { z: "2" }], e: null }, "a"),
              call("t", { a: null }, "b"),
              call("t", { a: "1", d: [null] }, "c")
            ],
            [text("done")]
          ],
          tools: {
            t: {
              run: (params) => Effect.sync(() => void seen.push(params)),
              policy: { display: (params) => (displays.push(params), { _tag: "Other" }) },
              parameters: {
                a: Schema.String,
                b: Schema.optionalKey(Schema.String),
                c: Schema.optionalKey(Schema.NullOr(Schema.String)),
                d: Schema.optionalKey(Schema.Array(inner)),
                e: Schema.optional(Schema.Union([Schema.Finite, Schema.Array(Schema.String)]))
              }
            }
          }
        })
        yield* harness.run("hi")
        const decoded = [{ a: "1", c: null, d: [{}, { z: "2" }] }]
        assert.deepStrictEqual(seen, decoded)
        assert.deepStrictEqual(displays, decoded)
        const failed = results(harness.requests[1]?.items).slice(1)
        assert.include(failed[0]![2], "Missing key")
        assert.include(failed[1]![2], '["d"][0]')
      })
  )

  it.effect("a call that its check refuses fails before a question is opened", () =>
    Effect.gen(function* () {
      const decided: Array<unknown> = []
      const log: Array<string> = []
      const run = (_: unknown, callId: string) => Effect.sync(() => void log.push(callId))
      const check = (params: unknown) =>
        Effect.sync(() => {
          const { bad, after } = params as { readonly bad?: boolean; readonly after?: string }
          return bad === true || (after !== undefined && !log.includes(after)) ? "it cannot succeed" : undefined
        })
      const approvals: Approvals.Approvals = {
        decide: ({ callId }) => Effect.sync(() => (decided.push(callId), { _tag: "Approved", scope: "once" }))
      }
      const harness = yield* SessionHarness.make({
        script: [
          [
            call("edit", { bad: true }, "a"),
            call("edit", {}, "b"),
            // refused until the earlier call has run
            call("edit", { after: "b" }, "c"),
            call("edit", { after: "none" }, "d"),
            // a call that opens no question is left to its handler
            call("free", { bad: true }, "e")
          ],
          [text("done")]
        ],
        tools: {
          edit: { run, policy: { approval: "ask", concurrency: "exclusive", check } },
          free: { run, policy: { check } }
        },
        approvals
      })
      yield* harness.run("hi")
      assert.deepStrictEqual(decided, ["b", "c"])
      assert.deepStrictEqual(
        results(harness.requests[1]?.items).map(([callId, status, output]) => [callId, status, output ?? null]),
        [
          ["a", "failed", "it cannot succeed"],
          ["b", "completed", null],
          ["c", "completed", null],
          ["d", "failed", "it cannot succeed"],
          ["e", "completed", null]
        ]
      )
    })
  )
})
