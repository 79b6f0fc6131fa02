/** Helpers for tests of spans: a session with a tracer in memory, and checks of its trees. */
import { assert } from "@effect/vitest"
import { SubmissionId } from "@spindle/core/Ids"
import type { Op, Submission } from "@spindle/core/Op"
import { type Process, type Processes, type ProcessSpec } from "@spindle/core/Processes"
import type { TraceContext } from "@spindle/core/TraceContext"
import type { SpanData } from "@spindle/telemetry"
import * as SpanTree from "@spindle/telemetry/SpanTree"
import * as Telemetry from "@spindle/telemetry/Telemetry"
import * as Harness from "@spindle/testing/SessionHarness"
import { Context, Deferred, Effect, Layer, Stream } from "effect"

/** The span of a caller. */
export const traceId = "0af7651916cd43dd8448eb211c80319c"
export const callerId = "b7ad6b7169203331"
export const caller: TraceContext = { traceparent: `00-${traceId}-${callerId}-01`, tracestate: "vendor=1" }

let count = 0

/** A submission that carries a trace; by default that of the caller. */
export const submission = (op: Op, trace: TraceContext = caller): Submission => ({
  id: SubmissionId.make(`submission ${++count}`),
  op,
  trace
})

/** A session with its spans. */
export const traced = Effect.fnUntraced(function* (
  options: Harness.HarnessOptions = {},
  telemetry: Parameters<typeof Telemetry.layerMemory>[0] = { metrics: false }
) {
  const context = yield* Layer.build(Telemetry.layerMemory(telemetry))
  const harness = yield* Effect.provideContext(Harness.make(options), context)
  return { ...harness, spans: Context.get(context, Telemetry.SpanStore) }
})

/** Checks that every span has the trace id of the caller and a path to its span. */
export const assertDescends = (spans: ReadonlyArray<SpanData>): void => {
  const tree = SpanTree.make(spans)
  assert.deepStrictEqual(
    spans.filter((span) => span.traceId !== traceId).map((span) => span.name),
    [],
    "spans outside the caller's trace"
  )
  assert.deepStrictEqual(
    SpanTree.orphans(tree, [callerId]).map((span) => span.name),
    [],
    "spans without their parent"
  )
  assert.isTrue(
    tree.roots.every(({ span }) => span.parentSpanId === callerId),
    "every root is a child of the caller's span"
  )
}

/** A fake of `Processes`. Its processes end after some time, or when they are killed. It keeps their specifications. */
export const processes = (): {
  readonly service: Processes
  readonly started: ReadonlyArray<ProcessSpec>
} => {
  const started: Array<ProcessSpec> = []
  const running = new Map<string, Deferred.Deferred<void>>()
  return {
    started,
    service: {
      start: (spec) =>
        Effect.sync((): Process => {
          started.push(spec)
          const killed = Deferred.makeUnsafe<void>()
          running.set(spec.processId, killed)
          const over = Effect.raceFirst(
            Effect.as(Effect.sleep(Number(spec.command[1])), { exitCode: 0 }),
            Effect.as(Deferred.await(killed), { exitCode: null, signal: "SIGTERM" })
          )
          return { processId: spec.processId, pid: 1, output: Stream.empty, exit: over, gone: Effect.asVoid(over) }
        }),
      end: (processId) =>
        Effect.sync(() => {
          // one that was interrupted before it started is not known
          const killed = running.get(processId)
          if (killed !== undefined) Deferred.doneUnsafe(killed, Effect.void)
        })
    }
  }
}
