/** Finds the places at which the generators of fibers yield operations. */
import * as Fiber from "effect/Fiber"
import { SingleShotGen } from "effect/Utils"

const places = new WeakMap<Fiber.Fiber<unknown, unknown>, string>()
let watchersCount = 0

/** The place at which a fiber that was watched yielded last: file, line and column. */
export const lastYieldOf = (fiber: Fiber.Fiber<unknown, unknown>): string | undefined => places.get(fiber)

/** Lines of a stack that belong to the platform or to Effect. */
export const isOfPlatform = (line: string): boolean =>
  /node:|<anonymous>\)?$|[\\/]node_modules[\\/]effect[\\/]/.test(line)

/**
 * Records where fibers yield operations, until the returned function is called. `yield*` calls the method `next` of an
 * operation's iterator, with the generator on the stack; only V8 writes stacks in the format that is read here.
 */
export const watchYields = (): (() => void) => {
  if (watchersCount++ === 0) SingleShotGen.prototype.next = watchedNext
  return () => {
    if (--watchersCount === 0) SingleShotGen.prototype.next = plainNext
  }
}

const plainNext = SingleShotGen.prototype.next

const watchedNext = function (this: SingleShotGen<unknown, unknown>, value: unknown) {
  const result = plainNext.call(this, value)
  const fiber = Fiber.getCurrent()
  const place = result.done === true || fiber === undefined ? undefined : placeOfGenerator()
  if (fiber !== undefined && place !== undefined) places.set(fiber, place)
  return result
} as typeof plainNext

/** The place of the generator that called `next`, if it belongs to the program. */
const placeOfGenerator = (): string | undefined => {
  const limit = Error.stackTraceLimit
  // after the message come this function, `next` and its caller
  Error.stackTraceLimit = 3
  const line = new Error().stack?.split("\n")[3]
  Error.stackTraceLimit = limit
  return line === undefined || isOfPlatform(line) ? undefined : /([^\s(]+:\d+:\d+)\)?$/.exec(line)?.[1]
}
