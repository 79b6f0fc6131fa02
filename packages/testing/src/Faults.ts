/**
 * Named points at which something may go wrong, decided by the simulation.
 *
 * A program, or a fake that it runs against, asks at a point which of its faults happens now. Outside a simulation none ever does, so the points
 * may stay in fakes that other tests share. Each answer is one choice of the run: it is replayed from the seed, and shrinking takes it away if it does not matter.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** What decides about faults. By default none happens. */
export class Faults extends Context.Reference<{
  /** Which of these faults happens at a point, if any. Synchronous: asking takes no step and no time. */
  readonly choose: <const Fault extends string>(point: string, faults: ReadonlyArray<Fault>) => Fault | undefined
}>("@spindle/testing/Faults", { defaultValue: () => ({ choose: () => undefined }) }) {}

/**
 * Which of these faults happens at this point, if any.
 *
 * @example
 * ```ts
 * import * as Faults from "@spindle/testing/Faults"
 * import * as Effect from "effect/Effect"
 *
 * const write = Effect.flatMap(Faults.at("disk", ["full", "slow"]), (fault) =>
 *   fault === "full" ? Effect.fail("no space") : Effect.sleep(fault === "slow" ? 500 : 1)
 * )
 * console.log(await Effect.runPromise(Effect.as(write, "written")))
 * // prints: written
 * ```
 */
export const at = <const Fault extends string>(
  point: string,
  faults: ReadonlyArray<Fault>
): Effect.Effect<Fault | undefined> => Effect.map(Faults, ({ choose }) => choose(point, faults))
