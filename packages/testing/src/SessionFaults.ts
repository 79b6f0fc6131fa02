/**
 * Wraps journals, models and tools so that they fail when `Faults` chooses: the points `journal`, `model` and `tool`.
 *
 * Each wrapper uses the `Faults` of the fiber that makes it, so that a simulation, or a test, decides for the entire
 * session. Outside a simulation the wrappers change nothing.
 */
import type { Journal, JournalWriter } from "@spindle/core/Journal"
import type { Model, ModelPart } from "@spindle/core/Model"
import { JournalFailed, ModelFailed } from "@spindle/core/SessionError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Faults } from "./Faults.ts"
import type { TestTool } from "./SessionHarness.ts"

/** The delay of a slow port, in milliseconds: longer than the grace of an abort. */
const slowMillis = 150

/**
 * The delay of a hanging port, in milliseconds: half an hour, longer than every deadline of a session, but not forever,
 * so that stragglers end.
 */
const hangMillis = 1_800_000

/**
 * Wraps a journal whose appends are `slow` (150 ms), `hang` (half an hour, longer than the session waits) or `fail`.
 * After a failure all later appends of that writer fail, as the port requires.
 */
export const journal = (inner: Journal): Effect.Effect<Journal> =>
  Effect.map(Faults, (faults) => ({
    ...inner,
    open: (sessionId, mode) =>
      Effect.map(inner.open(sessionId, mode), (writer): JournalWriter => {
        let isBroken = false
        const failed = new JournalFailed({ sessionId, operation: "append", detail: "a fault of the simulation" })
        return {
          ...writer,
          append: (records) =>
            Effect.suspend(() => {
              if (isBroken) return Effect.fail(failed)
              const fault = faults.choose("journal", ["slow", "hang", "fail"])
              if (fault === "slow") return Effect.andThen(Effect.sleep(slowMillis), writer.append(records))
              if (fault === undefined) return writer.append(records)
              isBroken = true
              return fault === "fail"
                ? Effect.fail(failed)
                : Effect.andThen(Effect.sleep(hangMillis), Effect.fail(failed))
            })
        }
      })
  }))

/**
 * Wraps a model whose responses are `slow` (150 ms before the first part), `drop` (end after two parts without a
 * finish), `fail` after two parts as `Disconnected`, or `hang` after two parts and end half an hour later, without a
 * finish.
 */
export const model = (inner: Model): Effect.Effect<Model> =>
  Effect.map(Faults, (faults) => ({
    ...inner,
    stream: (request) =>
      Stream.suspend((): Stream.Stream<ModelPart, ModelFailed> => {
        const firstParts = Stream.take(inner.stream(request), 2)
        switch (faults.choose("model", ["slow", "drop", "fail", "hang"])) {
          case undefined:
            return inner.stream(request)
          case "slow":
            return Stream.concat(Stream.fromEffectDrain(Effect.sleep(slowMillis)), inner.stream(request))
          case "drop":
            return firstParts
          case "fail":
            return Stream.concat(firstParts, Stream.fail(disconnection(inner)))
          case "hang":
            return Stream.concat(firstParts, Stream.fromEffectDrain(Effect.sleep(hangMillis)))
        }
      })
  }))

/** Wraps a tool that is `slow` (150 ms), `hang`s for half an hour, or `fail`s. */
export const tool = (inner: TestTool): Effect.Effect<TestTool> =>
  Effect.map(Faults, (faults) => ({
    ...inner,
    run: (params, callId) =>
      Effect.suspend(() => {
        const fault = faults.choose("tool", ["slow", "hang", "fail"])
        if (fault === "fail") return Effect.fail("a fault of the simulation")
        const run = inner.run(params, callId)
        if (fault === undefined) return run
        return Effect.andThen(Effect.sleep(fault === "hang" ? hangMillis : slowMillis), run)
      })
  }))

const disconnection = ({ model: name, provider }: Model) =>
  new ModelFailed({ kind: "Disconnected", provider, model: name, detail: "a fault of the simulation" })
