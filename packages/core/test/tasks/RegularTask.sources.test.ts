import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import * as Input from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import * as Session from "@spindle/core/Session"
import { ToolAuthority } from "@spindle/core/ToolAuthority"
import type { ToolSource, ToolTable } from "@spindle/core/ToolSource"
import * as Tools from "@spindle/core/Tools"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { Tool } from "effect/ai"
import { TestClock } from "effect/testing"
import { warningsOf } from "../fixtures/turns.ts"

const { call, text } = ScriptedModel

/** A table of tools that return their name, or do what `run` does. */
const tableOf = (
  names: ReadonlyArray<string>,
  tool: Partial<Tools.SourceTool> = { policy: { approval: "allow", concurrency: "parallel" } }
): ToolTable =>
  Tools.make(
    names.map((name) => ({
      tool: Tool.make(name, { success: Schema.Unknown }),
      run: () => Effect.succeed(`result of ${name}`),
      ...tool
    }))
  )

/** A session whose agent has these sources in addition to its tools. */
const make = (
  sources: ReadonlyArray<ToolSource>,
  options: SessionHarness.HarnessOptions & { readonly change?: (agent: Agent.Agent<any>) => Agent.Agent<any> } = {}
) =>
  SessionHarness.make({
    ...options,
    factory: (agent, given) => {
      const { change = (same: Agent.Agent<any>) => same } = options
      return Session.make(change({ ...agent, sources }) as typeof agent, given)
    }
  })

const toolsOf = (harness: SessionHarness.SessionHarness) =>
  harness.requests.map(({ tools }) => tools.map(({ name }) => name))
const resultsOf = (harness: SessionHarness.SessionHarness) =>
  harness
    .records()
    .flatMap((one) =>
      one._tag === "ItemRecorded" && one.item._tag === "ToolResult" ? [[one.item.callId, one.item.output]] : []
    )

/** An error that no tool of these tests declares. */
class OrderNotFound extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", { id: Schema.String }) {}

describe("a tool of a source", () => {
  const calling = (run: Tools.SourceTool["run"]) =>
    Effect.gen(function* () {
      const tool = Tool.make("tool", { success: Schema.Struct({ count: Schema.Finite }) })
      const table = Tools.make([{ tool, run, policy: { approval: "allow" } }])
      const source: ToolSource = { name: "shop", table: () => table }
      const harness = yield* make([source], { script: [[call("tool", {}, "a")], [text("done")]] })
      return { harness, end: yield* harness.run("hi") }
    })

  it.effect.each([
    [
      { code: 7, why: "no such file" },
      { code: 7, why: "no such file" }
    ],
    [new OrderNotFound({ id: "o-1" }), { _tag: "OrderNotFound", id: "o-1" }],
    ["just a text", "just a text"],
    [undefined, "undefined"],
    [{ count: 1n }, '{"count":1n}'],
    [Object.create(null), {}]
  ])("that fails with what its schema does not describe gives the model the fields (%#)", ([error, output]) =>
    Effect.gen(function* () {
      const { end, harness } = yield* calling(() => Effect.fail(error))
      assert.strictEqual(end._tag, "TurnCompleted")
      assert.deepStrictEqual(resultsOf(harness), [["a", output]])
    })
  )

  it.effect("S5 that returns what its schema does not describe fails the turn, which names it", () =>
    Effect.gen(function* () {
      const { end } = yield* calling(() => Effect.succeed({ count: NaN }))
      assert.deepStrictEqual(end._tag === "TurnFailed" && end.error, {
        tag: "CallbackFailed",
        message: 'the encoding of the result of the tool tool failed: Expected a finite number\n  at ["count"]'
      })
    })
  )
})

describe("a source of tools", () => {
  it.effect("that returns no table is reported, and its last table is used", () =>
    Effect.gen(function* () {
      const table = tableOf(["one"])
      const tables: ReadonlyArray<unknown> = [table, 5, Effect.succeed(undefined), { byName: [] }, table]
      let asked = 0
      const source: ToolSource = { name: "shop", table: () => tables[asked++] as ToolTable }
      const script = tables.map((_, index) => (index < 4 ? [call("one", {}, `c${index}`)] : [text("done")]))
      const harness = yield* make([source], { script })
      assert.strictEqual((yield* harness.run("hi"))._tag, "TurnCompleted")
      assert.deepStrictEqual(toolsOf(harness), [["one"], ["one"], ["one"], ["one"], ["one"]])
      assert.deepStrictEqual(warningsOf(harness.events), [
        "the tools of shop could not be read: it returned 5; the last known ones are used"
      ])
    })
  )

  it.effect("is asked before each model request, and its tools may change between requests", () =>
    Effect.gen(function* () {
      const second = tableOf(["two", "three"])
      let table: ToolTable = tableOf(["one"], {
        policy: { approval: "allow" },
        run: () =>
          Effect.sync(() => {
            table = second
            return "changed"
          })
      })
      const harness = yield* make([{ name: "changing", table: () => table }], {
        script: [
          [call("one", {}, "a")],
          [call("two", {}, "b"), call("one", {}, "c"), call("four", {}, "d")],
          [text("done")]
        ],
        tools: { own: { run: () => Effect.void } }
      })
      yield* harness.run("go")
      assert.deepStrictEqual(toolsOf(harness), [
        ["own", "one"],
        ["own", "two", "three"],
        ["own", "two", "three"]
      ])
      assert.deepStrictEqual(resultsOf(harness), [
        ["a", "changed"],
        ["b", "result of two"],
        ["c", "unsupported call: the tool one is no longer available"],
        ["d", "unsupported call: there is no tool four"]
      ])
    })
  )

  it.effect(
    "that returns the same table, at once or in an effect, leaves the tools of the request the same value",
    () =>
      Effect.gen(function* () {
        const [now, later] = [tableOf(["now"]), tableOf(["later"])]
        const sources: ReadonlyArray<ToolSource> = [
          { name: "now", table: () => now },
          { name: "later", table: () => Effect.as(Effect.yieldNow, later) }
        ]
        const harness = yield* make(sources, { script: [[call("now", {}, "a")], [text("done")], [text("again")]] })
        yield* harness.run("go")
        yield* harness.run("again")
        const [first, ...others] = harness.requests
        assert.deepStrictEqual(toolsOf(harness)[0], ["now", "later"])
        assert.lengthOf(others, 2)
        for (const { tools } of others) assert.strictEqual(tools, first!.tools)
      })
  )

  it.effect("cannot replace a tool of the agent or of an earlier source, which is reported once", () =>
    Effect.gen(function* () {
      const sources = ["first", "second"].map((name): ToolSource => {
        const make = () => tableOf(["own", "both"], { run: () => Effect.succeed(name), policy: { approval: "allow" } })
        return { name, table: make }
      })
      const harness = yield* make(sources, {
        script: [[call("own", {}, "a"), call("both", {}, "b")], [text("done")], [text("again")]],
        tools: { own: { run: () => Effect.succeed("agent") } }
      })
      yield* harness.run("go")
      yield* harness.run("again")
      assert.deepStrictEqual(resultsOf(harness), [
        ["a", "agent"],
        ["b", "first"]
      ])
      assert.deepStrictEqual(warningsOf(harness.records()), [
        "the tool own of first is not used: the agent has a tool of that name",
        "the tool own of second is not used: the agent has a tool of that name",
        "the tool both of second is not used: first has a tool of that name"
      ])
    })
  )

  const broken: { readonly [how: string]: readonly [ToolSource["table"], string] } = {
    throws: [
      () => {
        throw new Error("broken")
      },
      "broken"
    ],
    fails: [() => Effect.fail({ toString: () => "no connection" }), "no connection"],
    dies: [() => Effect.andThen(Effect.yieldNow, Effect.die(new Error("a bug"))), "a bug"],
    "interrupts itself": [() => Effect.interrupt, "it was interrupted"],
    hangs: [() => Effect.never, "it did not return its tools within 10s"],
    "hangs and cannot be interrupted": [
      () => Effect.uninterruptible(Effect.never),
      "it did not return its tools within 10s"
    ]
  }
  it.effect.each(Object.entries(broken))(
    "that %s keeps its last tools, and is reported until it works",
    ([, [table, reason]]) =>
      Effect.gen(function* () {
        let answer: ToolSource["table"] = () => known
        const known = tableOf(["known"])
        const harness = yield* make([{ name: "the server", table: () => answer() }], {
          script: [[text("one")], [call("known", {}, "a")], [text("two")], [text("three")], [text("four")]]
        })
        const turn = (input: string) =>
          Effect.gen(function* () {
            const running = yield* Effect.forkChild(harness.run(input), { startImmediately: true })
            yield* TestClock.adjust("10 seconds")
            assert.isDefined(running.pollUnsafe(), `turn ${input} waits no longer than the deadline, and once`)
            return yield* Fiber.join(running)
          })
        yield* turn("1")
        answer = table
        assert.strictEqual((yield* turn("2"))._tag, "TurnCompleted")
        assert.deepStrictEqual(resultsOf(harness), [["a", "result of known"]])
        const warning = `the tools of the server could not be read: ${reason}; the last known ones are used`
        assert.deepStrictEqual(warningsOf(harness.records()), [warning])
        answer = () => known
        yield* turn("3")
        answer = table
        yield* turn("4")
        assert.deepStrictEqual(warningsOf(harness.records()), [warning, warning])
        assert.deepStrictEqual(new Set(toolsOf(harness).map(String)), new Set(["known"]))
      })
  )

  it.effect("that is late is not asked a second time in its turn, and its tools are used once they arrive", () =>
    Effect.gen(function* () {
      let calls = 0
      const late = tableOf(["late"])
      const source: ToolSource = {
        name: "slow",
        deadline: "1 second",
        table: () => Effect.as(Effect.sleep("3 seconds"), (calls++, late))
      }
      const waiting = { run: () => Effect.as(Effect.sleep("1 second"), "waited") }
      const harness = yield* make([source], {
        script: [[call("waiting", {}, "a")], [call("waiting", {}, "b")], [call("waiting", {}, "c")], [text("done")]],
        tools: { waiting }
      })
      const running = yield* Effect.forkChild(harness.run("go"), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(calls, 1)
      assert.deepStrictEqual(toolsOf(harness), [["waiting"], ["waiting"]])
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(running)
      assert.deepStrictEqual(toolsOf(harness).at(-1), ["waiting", "late"])
    })
  )

  it.effect("I1 is interrupted with its turn, and when the turn ends without it", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const source: ToolSource = {
        name: "hanging",
        deadline: "1 minute",
        table: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
      }
      const harness = yield* make([source], { script: [[text("done")]] })
      yield* harness.submit("go")
      yield* TestClock.adjust("1 second")
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      assert.strictEqual(interrupted, 1)
      yield* harness.submit("again")
      yield* TestClock.adjust("1 minute")
      yield* harness.session.awaitIdle
      assert.strictEqual(interrupted, 2)
      assert.lengthOf(harness.requests, 1)
    })
  )
})

describe("the policy of a tool of a source", () => {
  const run = (options: {
    readonly tool?: Partial<Tools.SourceTool>
    readonly change?: (agent: Agent.Agent<any>) => Agent.Agent<any>
  }) =>
    Effect.gen(function* () {
      const table = tableOf(["tool"], options.tool ?? {})
      const harness = yield* make([{ name: "source", table: () => table }], {
        ...options,
        approvals: { decide: () => Effect.succeed({ _tag: "Denied", reason: "asked" }) },
        script: [[call("tool", {}, "a")], [text("done")]]
      })
      yield* harness.run("go")
      return resultsOf(harness)[0]![1]
    })

  it.effect("is its own, else the default policy of the agent, which asks unless it is given", () =>
    Effect.gen(function* () {
      const allowing = (agent: Agent.Agent<any>) => ({ ...agent, defaultPolicy: { approval: "allow" as const } })
      assert.strictEqual(yield* run({}), "rejected: asked")
      assert.strictEqual(yield* run({ change: allowing }), "result of tool")
      assert.strictEqual(
        yield* run({ change: allowing, tool: { policy: { approval: "deny" } } }),
        "denied: the policy forbids tool"
      )
    })
  )

  it.effect("A4 is narrowed with the agent, and the tool can be taken away", () =>
    Effect.gen(function* () {
      const tool: Partial<Tools.SourceTool> = { policy: { approval: "allow" } }
      assert.strictEqual(yield* run({ tool, change: Agent.narrow(() => "deny") }), "denied: the policy forbids tool")
      assert.strictEqual(
        yield* run({ tool, change: Agent.withoutTools(["tool"]) }),
        "unsupported call: there is no tool tool"
      )
    })
  )

  it.effect("A4 bounds the delegates of the turn that has the tool", () =>
    Effect.gen(function* () {
      const permissions: Array<unknown> = []
      let table: ToolTable | undefined
      const asking: Partial<Tools.SourceTool> = {
        policy: { approval: "allow" },
        run: () =>
          Effect.map(ToolAuthority, (authority) => {
            for (const { spec } of table!.byName.values()) permissions.push([spec.name, authority(spec, {})])
            return "seen"
          })
      }
      table = Tools.make([
        { tool: Tool.make("tool", { success: Schema.Unknown }), run: Effect.succeed, ...asking },
        { tool: Tool.make("denied"), run: Effect.succeed, policy: { approval: "deny" } },
        { tool: Tool.make("asked"), run: Effect.succeed }
      ])
      const harness = yield* make([{ name: "source", table: () => table! }], {
        script: [[call("tool", {}, "a")], [text("done")]]
      })
      yield* harness.run("go")
      assert.deepStrictEqual(permissions, [
        ["tool", "allow"],
        ["denied", "deny"],
        ["asked", "ask"]
      ])
    })
  )
})

describe("a source that offers a choice of its tools", () => {
  const words = (items: ReadonlyArray<Item>) =>
    items.flatMap((item) => (item._tag === "UserMessage" ? [Input.textOf(item.content)] : [])).join(" ")
  const threeTools = tableOf(["one", "two", "find"])
  /** Offers the tools that the turn has named, or that its results name. */
  const named: ToolSource = {
    name: "apps",
    table: () => threeTools,
    offer: (_, items) => {
      const results = items.flatMap((item) => (item._tag === "ToolResult" ? [String(item.output)] : []))
      const said = [words(items), ...results].join(" ")
      return new Set(["find", ...["one", "two"].filter((name) => said.includes(`$${name}`))])
    }
  }

  it.effect("M4 offers what the items of the turn select, and the next turn starts without", () =>
    Effect.gen(function* () {
      const finding = Tools.make(
        ["one", "two", "find"].map((name) => ({
          tool: Tool.make(name, { success: Schema.Unknown }),
          run: () => Effect.succeed(name === "find" ? "$two" : name),
          policy: { approval: "allow" }
        }))
      )
      const harness = yield* make([{ ...named, table: () => finding }], {
        script: [[call("find", {}, "c1")], [text("done")], [text("plain")], [call("one", {}, "c2")], [text("done")]]
      })
      yield* harness.run("use $one")
      yield* harness.run("nothing")
      yield* harness.run("nothing, but the model remembers a tool")
      assert.deepStrictEqual(toolsOf(harness), [["one", "find"], ["one", "two", "find"], ["find"], ["find"], ["find"]])
      // a tool that is not offered runs if it is called
      assert.deepStrictEqual(resultsOf(harness).slice(-1), [["c2", "one"]])
    })
  )

  it.effect("M4 offers what steers the turn", () =>
    Effect.gen(function* () {
      const [called, release] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const waiting = tableOf(["one", "two", "find"], {
        policy: { approval: "allow" },
        run: () => Effect.as(Effect.andThen(Deferred.succeed(called, undefined), Deferred.await(release)), "found")
      })
      const harness = yield* make([{ ...named, table: () => waiting }], {
        script: [[call("find", {}, "c1")], [text("done")]]
      })
      yield* harness.submit("go")
      yield* Deferred.await(called)
      yield* harness.submit("and $two")
      yield* Deferred.succeed(release, undefined)
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(toolsOf(harness), [["find"], ["two", "find"]])
    })
  )

  it.effect("offers all of its tools if the choice throws, with one warning until it works again", () =>
    Effect.gen(function* () {
      let isBroken = true
      const breaking: ToolSource = {
        ...named,
        offer: (table, items) => {
          if (isBroken) throw new Error("a bug")
          return named.offer!(table, items)
        }
      }
      const harness = yield* make([breaking], { script: [[text("a")], [text("b")], [text("c")]] })
      yield* harness.run("one")
      yield* harness.run("two")
      isBroken = false
      yield* harness.run("three")
      assert.deepStrictEqual(toolsOf(harness), [["one", "two", "find"], ["one", "two", "find"], ["find"]])
      assert.deepStrictEqual(warningsOf(harness.records()), [
        "the choice among the tools of apps failed: a bug; all are offered"
      ])
    })
  )

  it.effect("hides nothing of another source, nor of the agent", () =>
    Effect.gen(function* () {
      const table = tableOf(["one", "more"])
      const other: ToolSource = { name: "other", table: () => table }
      const harness = yield* make([other, named], { script: [[text("a")]] })
      yield* harness.run("nothing")
      assert.deepStrictEqual(toolsOf(harness), [["one", "more", "find"]])
    })
  )
})
