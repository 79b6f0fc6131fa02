import { assert, describe, it } from "@effect/vitest"
import type { SpanData } from "@spindle/telemetry"
import { Duration, Effect, Exit, Fiber, Schedule, Scope } from "effect"
import { TestClock } from "effect/testing"
import { sendWithin, type ExporterOptions, make, type Sent } from "../src/internal/spanExporter.ts"

const span = (name: string): SpanData => ({
  traceId: "1".repeat(32),
  spanId: name,
  parentSpanId: undefined,
  name,
  kind: "internal",
  startNanos: 0n,
  endNanos: 0n,
  attributes: {},
  events: [],
  links: [],
  status: "unset",
  statusMessage: undefined
})

/** An exporter with small limits, in a scope that the test closes. */
const exporter = Effect.fnUntraced(function* (options: Partial<ExporterOptions> = {}) {
  const batches: Array<string> = []
  const dropped: Array<readonly [number, string]> = []
  let answer: Effect.Effect<Sent> = Effect.succeed("sent")
  const scope = yield* Scope.make()
  const made = yield* make({
    capacity: 4,
    batchSize: 2,
    interval: Duration.seconds(5),
    shutdownLimit: Duration.seconds(3),
    send: (batch) =>
      Effect.suspend(() => {
        batches.push(batch.map(({ name }) => name).join(""))
        return answer
      }),
    onDropped: (count, reason) => void dropped.push([count, reason]),
    ...options
  }).pipe(Scope.provide(scope))
  return {
    batches,
    dropped,
    push: (names: string) => {
      for (const name of names) made.push(span(name))
    },
    depth: made.depth,
    answers: (next: Effect.Effect<Sent>) => void (answer = next),
    close: Scope.close(scope, Exit.void)
  }
})

describe("the exporter of spans", () => {
  it.effect("sends a full batch at once, and a partial one after the interval", () =>
    Effect.gen(function* () {
      const e = yield* exporter()
      e.push("a")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(e.batches, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(e.batches, ["a"])
      e.push("bc")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(e.batches, ["a", "bc"])
      assert.strictEqual(e.depth(), 0)
    })
  )

  it.effect("keeps a batch that may be sent later at the head, and doubles its wait each time", () =>
    Effect.gen(function* () {
      const e = yield* exporter()
      e.answers(Effect.succeed("later"))
      e.push("ab")
      yield* TestClock.adjust(0)
      e.push("c")
      const counts: Array<number> = []
      for (let second = 0; second < 40; second += 5) {
        yield* TestClock.adjust("5 seconds")
        counts.push(e.batches.length)
      }
      assert.deepStrictEqual(counts, [1, 2, 2, 2, 2, 3, 3, 3], "after 10 and 30 seconds")
      assert.isTrue(e.batches.every((batch) => batch === "ab"))
      e.answers(Effect.succeed("sent"))
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(e.batches.slice(-2), ["ab", "c"])
      assert.deepStrictEqual(e.dropped, [])
    })
  )

  it.effect("drops a batch at the end of its schedule, which starts over with the next one", () =>
    Effect.gen(function* () {
      const e = yield* exporter({ retries: Schedule.upTo(Schedule.spaced("1 second"), { times: 2 }) })
      e.answers(Effect.succeed("later"))
      e.push("ab")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(e.batches, ["ab", "ab"])
      assert.deepStrictEqual(e.dropped, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(e.batches, ["ab", "ab", "ab"])
      assert.deepStrictEqual(e.dropped, [[2, "refused"]])
      e.push("cd")
      yield* TestClock.adjust("1 second")
      e.answers(Effect.succeed("sent"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(e.batches.slice(3), ["cd", "cd", "cd"])
      assert.lengthOf(e.dropped, 1)
      assert.strictEqual(e.depth(), 0)
    })
  )

  it.effect("keeps no more spans than its capacity, whatever the collector does, and counts those that it drops", () =>
    Effect.gen(function* () {
      const e = yield* exporter()
      e.answers(Effect.never)
      e.push("abcdefgh")
      assert.strictEqual(e.depth(), 4)
      assert.deepStrictEqual(
        e.dropped,
        Array.from({ length: 4 }, () => [1, "queue_full"] as const)
      )
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(e.depth(), 4)
      assert.lengthOf(e.batches, 1, "one request at a time")
    })
  )

  it.effect("drops a batch that is refused for good, counts it, and continues", () =>
    Effect.gen(function* () {
      const e = yield* exporter()
      e.answers(Effect.succeed("refused"))
      e.push("ab")
      yield* TestClock.adjust(0)
      e.answers(Effect.succeed("sent"))
      e.push("cd")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(e.batches, ["ab", "cd"])
      assert.deepStrictEqual(e.dropped, [[2, "refused"]])
    })
  )

  it.effect("sends the remaining spans when it is closed", () =>
    Effect.gen(function* () {
      const e = yield* exporter()
      e.push("a")
      yield* e.close
      assert.deepStrictEqual(e.batches, ["a"])
      assert.deepStrictEqual(e.dropped, [])
    })
  )

  it.effect("closes in time although the collector never responds, and counts the remaining spans", () =>
    Effect.gen(function* () {
      const e = yield* exporter()
      e.answers(Effect.never)
      e.push("abc")
      const closing = yield* Effect.forkChild(e.close, { startImmediately: true })
      yield* TestClock.adjust("2999 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(e.dropped, [[3, "shutdown"]])
    })
  )

  it.effect("a send that hangs may be retried, and one that dies is refused", () =>
    Effect.gen(function* () {
      const limit = Duration.seconds(10)
      const hanging = yield* Effect.forkChild(
        sendWithin(Effect.never, limit, () => "refused"),
        { startImmediately: true }
      )
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(hanging), "later")
      assert.strictEqual(yield* sendWithin(Effect.die("broken"), limit, () => "later"), "refused")
      assert.strictEqual(yield* sendWithin(Effect.fail("no"), limit, () => "refused"), "refused")
    })
  )
})
