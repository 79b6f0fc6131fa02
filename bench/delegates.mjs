// Measures what delegates cost: one delegation against the same turn without it, many at once, the abort of a tree of 1,110, and events through a
// bridge against a bare queue. `npm run -s build && npm exec -- node --expose-gc bench/delegates.mjs`. Prints a table; figures are medians unless they
// say otherwise.
import { performance } from "node:perf_hooks"
import * as Agent from "@spindle/core/Agent"
import * as Journal from "@spindle/core/Journal"
import { Model } from "@spindle/core/Model"
import * as Session from "@spindle/core/Session"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as Bridge from "@spindle/delegate/Bridge"
import * as Delegate from "@spindle/delegate/Delegate"
import * as Limits from "@spindle/delegate/Limits"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"

const quantile = (all, at) => all.toSorted((a, b) => a - b)[Math.min(all.length - 1, Math.floor(all.length * at))]
const heap = () => {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const finish = {
  _tag: "Finish",
  reason: "stop",
  usage: { input: 1, cachedInput: 0, output: 1, reasoning: 0, total: 2 }
}
const isHanging = (items) => JSON.stringify(items.at(-1)).includes("hang")
// a model without latency: it says one word, or says nothing and never ends
const model = {
  provider: "script",
  model: "instant",
  contextWindow: undefined,
  stream: ({ items }) =>
    isHanging(items) ? Stream.never : Stream.fromIterable([{ _tag: "TextDelta", id: "t", delta: "ok" }, finish])
}
const agent = Agent.make({ instructions: "Answer." })
const endless = { agent, deadline: Duration.infinity }
const text = (value) => [{ _tag: "Text", text: value }]
const unlimited = { depth: 10, concurrent: Infinity, lifetime: Infinity, tokens: Infinity, wallTime: Infinity }

const context = Context.make(Model, model).pipe(
  Context.add(
    Journal.Journal,
    Context.get(
      await Effect.runPromise(
        Effect.scoped(Layer.build(Journal.layerMemory({ retainCount: 16, retainClosed: false })))
      ),
      Journal.Journal
    )
  ),
  Context.add(Limits.Limits, unlimited)
)
const run = (effect) => Effect.runPromise(Effect.provideContext(effect, context))

/** Makes a root session, and runs an effect as one of its tasks. */
const within = (effect) =>
  Effect.scoped(
    Effect.flatMap(Session.make(agent), (session) =>
      Effect.flatMap(session.start(Task.make("root", effect)), ({ outcome }) =>
        Effect.flatMap(outcome, (ended) =>
          ended._tag === "Completed" ? Effect.succeed(ended.value) : Effect.die(JSON.stringify(ended))
        )
      )
    )
  )

const once = Delegate.runOnce({ ...endless, input: text("go") })
// the turn that the delegate would run, in a session that exists
const plain = Effect.flatMap(Session.make(agent), (session) =>
  Effect.andThen(session.submit({ _tag: "UserInput", input: text("go") }), session.awaitIdle)
)

const timed = async (effect, count) => {
  const times = []
  for (let index = 0; index < count; index++) {
    const at = performance.now()
    await run(effect)
    times.push((performance.now() - at) * 1_000)
  }
  return times
}

const one = async () => {
  const [empty, delegated, bare] = [[], [], []]
  for (const effect of [within(Effect.void), within(once), Effect.scoped(plain)]) await timed(effect, 400)
  for (let round = 0; round < 10; round++) {
    empty.push(...(await timed(within(Effect.void), 60)))
    delegated.push(...(await timed(within(once), 60)))
    bare.push(...(await timed(Effect.scoped(plain), 60)))
  }
  const [a, b, c] = [empty, delegated, bare].map((all) => quantile(all, 0.5))
  console.log(`a turn with nothing in it                ${a.toFixed(0)} us`)
  console.log(`the same with one delegation             ${b.toFixed(0)} us`)
  console.log(
    `  extra                                  ${(b - a).toFixed(0)} us, p99 ${(quantile(delegated, 0.99) - a).toFixed(0)} us`
  )
  console.log(`the delegate's turn in a session alone   ${c.toFixed(0)} us`)
}

/** Starts `count` delegates that stay open. Returns when each has run one turn. */
const many = async (count) => {
  const before = heap()
  const [millis, bytes, ended] = await run(
    within(
      Effect.gen(function* () {
        const at = performance.now()
        const children = yield* Effect.forEach(
          Array.from({ length: count }),
          () =>
            Effect.tap(Delegate.start(endless), (child) =>
              Effect.andThen(child.submit({ _tag: "UserInput", input: text("go") }), child.settled)
            ),
          { concurrency: "unbounded" }
        )
        const took = performance.now() - at
        const kept = heap() - before
        const endAt = performance.now()
        yield* Effect.forEach(children, (child) => child.end(), { concurrency: "unbounded", discard: true })
        return [took, kept, performance.now() - endAt]
      })
    )
  )
  console.log(
    `${`${count}`.padStart(5)} delegates at once: started, one turn each ${millis.toFixed(1)} ms (${((millis * 1_000) / count).toFixed(0)} us each), ` +
      `${Math.round(bytes / count)} bytes each while they are idle, ended in ${ended.toFixed(1)} ms`
  )
}

/** Measures the abort of a root whose delegates start ten each, on several levels. The delegates of the last level wait for the model. */
const aborted = async (levels) => {
  const open = { count: 0 }
  let ready
  const started = new Promise((resolve) => (ready = resolve))
  const width = 10
  const down = Tool.make("down", {
    parameters: Schema.Struct({ levels: Schema.Finite }),
    success: Schema.String,
    dependencies: [Turn]
  })
  const toolkit = Toolkit.make(down)
  const leading = Agent.make({ toolkit, approvals: { down: { approval: "allow", concurrency: "parallel" } } })
  const delegates = []
  const spread = (left) =>
    Effect.andThen(
      Effect.forEach(
        Array.from({ length: width }),
        () =>
          Effect.flatMap(Delegate.start({ agent: leading, deadline: Duration.infinity }), (child) => {
            delegates.push(child)
            return child.submit({ _tag: "UserInput", input: text(`${left - 1}`) })
          }),
        { concurrency: "unbounded", discard: true }
      ),
      Effect.never
    )
  const model = {
    provider: "script",
    model: "tree",
    contextWindow: undefined,
    stream: ({ items }) => {
      const left = Number(items[0].content[0].text)
      if (left > 0) {
        const call = { _tag: "ToolCall", callId: "down", name: "down", params: { levels: left } }
        return Stream.fromIterable([call, { ...finish, reason: "tool-calls" }])
      }
      if (++open.count === width ** levels) ready()
      return Stream.never
    }
  }
  const { last, root } = await run(
    Effect.scoped(
      Effect.gen(function* () {
        const handlers = yield* Layer.build(toolkit.toLayer({ down: ({ levels }) => spread(levels) }))
        const session = yield* Effect.provideContext(Session.make(leading), handlers)
        yield* Effect.provideContext(session.start(Task.make("root", spread(levels))), handlers)
        yield* Effect.promise(() => started)
        const at = performance.now()
        yield* session.abort()
        yield* session.awaitIdle
        const root = performance.now() - at
        yield* Effect.forEach(delegates, (child) => child.awaitClosed, { discard: true })
        return { root, last: performance.now() - at }
      }).pipe(Effect.provideService(Model, model))
    )
  )
  console.log(
    `abort of a tree of ${delegates.length} delegates on ${levels} levels: the root's terminal event after ${root.toFixed(1)} ms, ` +
      `the last delegate has ended after ${last.toFixed(1)} ms`
  )
}

const abortOne = async () => {
  const times = []
  for (let index = 0; index < 300; index++) {
    times.push(
      await run(
        Effect.scoped(
          Effect.gen(function* () {
            const session = yield* Session.make(agent)
            let ready
            const started = new Promise((resolve) => (ready = resolve))
            const effect = Effect.gen(function* () {
              const child = yield* Delegate.start(endless)
              yield* child.submit({ _tag: "UserInput", input: text("hang") })
              ready(child)
              return yield* Effect.never
            })
            yield* session.start(Task.make("root", effect))
            const child = yield* Effect.promise(() => started)
            const at = performance.now()
            yield* session.abort()
            yield* child.awaitClosed
            return performance.now() - at
          })
        )
      )
    )
  }
  console.log(
    `abort of a parent: its one delegate has ended after ${quantile(times, 0.5).toFixed(2)} ms, p99 ${quantile(times, 0.99).toFixed(2)} ms`
  )
}

const events = 200_000
const event = { _tag: "Warning", seq: 0, at: 0, message: "event" }
const chunk = Array.from({ length: 20 }, () => event)
const throughput = async () => {
  const told = Stream.fromIterable(Array.from({ length: events / chunk.length }, () => chunk)).pipe(
    Stream.flatMap((all) => Stream.fromIterable(all))
  )
  const bridged = Effect.scoped(
    Effect.gen(function* () {
      const bridge = yield* Bridge.make({
        path: ["root", "child"],
        submit: () => Effect.never,
        events: told,
        interrupt: () => Effect.void,
        shutdown: Effect.void
      })
      let count = 0
      yield* Stream.runForEach(bridge.events, () => Effect.sync(() => void count++))
      return count
    })
  )
  const bare = Effect.scoped(
    Effect.gen(function* () {
      const queue = yield* Queue.bounded(512)
      yield* Effect.forkScoped(
        Effect.andThen(
          Stream.runForEachArray(told, (all) => Queue.offerAll(queue, all)),
          Queue.end(queue)
        )
      )
      let count = 0
      yield* Stream.runForEach(Stream.fromQueue(queue), () => Effect.sync(() => void count++))
      return count
    })
  )
  const rate = async (effect) => {
    await run(effect)
    const rates = []
    for (let round = 0; round < 5; round++) {
      const at = performance.now()
      await run(effect)
      rates.push(events / ((performance.now() - at) / 1_000))
    }
    return quantile(rates, 0.5)
  }
  const queue = await rate(bare)
  const stream = await rate(bridged)
  console.log(
    `events a second: ${Math.round(queue)} through a bare queue, ` +
      `${Math.round(stream)} through a bridge (${(stream / queue).toFixed(2)})`
  )
}

console.log(`node ${process.version}`)
await one()
for (const count of [1, 10, 100, 1_000]) await many(count)
await abortOne()
await aborted(3)
await throughput()
