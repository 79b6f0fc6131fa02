/**
 * Numbers that come from an environment or a configuration file. One that makes no sense (zero, negative, not a number)
 * is ignored, and one that is too small or too large is replaced by the nearest that works.
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/** The bounds of a number, and the value that replaces one that makes no sense. */
export interface Bounds<A> {
  readonly otherwise: A
  readonly least?: A | undefined
  readonly most: A
}

/** Returns a whole number within bounds. */
export const countOf = (value: number | undefined, { least = 1, most, otherwise }: Bounds<number>): number => {
  if (value === undefined || !(value > 0)) return otherwise
  return Math.min(most, Math.max(least, Math.floor(value)))
}

/** Returns a duration within bounds. */
export const durationOf = (
  value: Duration.Input | undefined,
  { least = Duration.millis(1), most, otherwise }: Bounds<Duration.Duration>
): Duration.Duration => {
  if (value === undefined) return otherwise
  const millis = Option.match(Duration.fromInput(value), { onNone: () => Number.NaN, onSome: Duration.toMillis })
  if (!(millis > 0)) return otherwise
  return Duration.min(most, Duration.max(least, Duration.millis(millis)))
}

/** Returns a share from 0 to 1. Anything that is not a number is 1. */
export const ratioOf = (value: number | undefined): number =>
  value === undefined || Number.isNaN(value) ? 1 : Math.min(1, Math.max(0, value))
