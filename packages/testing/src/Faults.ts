/**
 * Named points at which something may go wrong, as the simulation decides.
 *
 * A program, or a fake that it uses, asks at a point which of its faults happens now. Outside a simulation none
 * happens, so the points may stay in fakes that other tests share. Each decision is one choice of the run: the seed
 * repeats it, and shrinking removes it if it does not matter.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Decides about faults. By default none happens. */
export interface Faults {
  /** Returns the fault that happens at a point, if any. It is synchronous, and takes no step and no time. */
  readonly choose: <const Fault extends string>(point: string, faults: ReadonlyArray<Fault>) => Fault | undefined
}

/** The key of {@link Faults}. */
export const Faults: Context.Reference<Faults> = Context.Reference<Faults>("@spindle/testing/Faults", {
  defaultValue: () => ({ choose: () => undefined })
})

/**
 * Returns the fault that happens at this point, if any.
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
