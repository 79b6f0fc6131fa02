/**
 * Looks closely at one run: what each fiber did last, where it stood when an action came, and what it waits for outside the simulation.
 *
 * Costs time, so a run is repeated with a probe only when there is something to explain. Where there is no `node:async_hooks`, waits outside are not seen.
 */
import * as Fiber from "effect/Fiber"
import type { StackFrame } from "effect/References"
import { nameOf } from "./operations.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** Where a fiber stood. */
export interface Situation {
  /** The fiber's number, in the order of their first steps; 0 is the root. Undefined between two tasks. */
  readonly fiber: number | undefined
  /** Its spans and `Effect.fn` functions, innermost first, with their places where they are known. */
  readonly stack: ReadonlyArray<string>
  /** The operation that it had begun last, with the beginning of its function. */
  readonly operation: string
}

/** Something that was begun in the world outside. */
export interface Outside {
  /** A type of `node:async_hooks`: `PROMISE`, `Timeout`, `TCPWRAP`. */
  readonly type: string
  readonly place: string
}

/** What `node:async_hooks` offers of what is used here. */
interface AsyncHooks {
  readonly createHook: (hooks: { readonly init: (id: number, type: string) => void }) => {
    readonly enable: () => void
    readonly disable: () => void
  }
}

const asyncHooks = (): AsyncHooks | undefined =>
  (globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }).process?.getBuiltinModule?.(
    "node:async_hooks"
  ) as AsyncHooks | undefined

/** Resources that Effect and Node make for themselves. */
const own = new Set(["effect/Fiber", "TickObject", "Microtask", "RANDOMBYTESREQUEST"])

/** A probe of one run. */
export class Probe {
  /** What each fiber waits for that did something outside in its last step. */
  readonly outside = new Map<AnyFiber, Outside>()
  /** Everything that was begun outside. */
  readonly begun: Array<Outside> = []
  private readonly fibers: { readonly keys: () => Iterable<AnyFiber> }
  private readonly last = new Map<AnyFiber, string>()

  constructor(fibers: { readonly keys: () => Iterable<AnyFiber> }) {
    this.fibers = fibers
  }

  /** A fiber begins an operation. */
  begin(fiber: AnyFiber, primitive: object): void {
    const operation = describe(primitive)
    if (operation !== undefined) this.last.set(fiber, operation)
  }

  /** A fiber takes a step: it does not wait any more. */
  step(fiber: AnyFiber): void {
    this.outside.delete(fiber)
  }

  /** Where a fiber stands. */
  situation(fiber: AnyFiber | undefined): Situation {
    if (fiber === undefined) return { fiber: undefined, stack: [], operation: "between two tasks" }
    return {
      fiber: Array.from(this.fibers.keys()).indexOf(fiber),
      stack: stackOf(fiber.cache.stackFrame),
      operation: this.last.get(fiber) ?? "its beginning"
    }
  }

  /** Runs something, and notes what fibers begin outside meanwhile. */
  watch<A>(run: () => A): A {
    const hook = asyncHooks()?.createHook({
      init: (_, type) => {
        const fiber = Fiber.getCurrent()
        // what a step begins first is what it waits for; the rest follows from it
        if (fiber === undefined || own.has(type) || this.outside.has(fiber)) return
        const outside = { type, place: placeOf() }
        this.begun.push(outside)
        this.outside.set(fiber, outside)
      }
    })
    hook?.enable()
    try {
      return run()
    } finally {
      hook?.disable()
    }
  }
}

const stackOf = (innermost: StackFrame | undefined): ReadonlyArray<string> => {
  const stack: Array<string> = []
  for (let frame = innermost; frame !== undefined && stack.length < 10; frame = frame.parent) {
    const place = frame.stack()?.trim().replace(/^at /, "")
    stack.push(place === undefined ? frame.name : `${frame.name} (${place})`)
  }
  return stack
}

/** The line of the caller's program that the JavaScript stack holds first. */
const placeOf = (): string => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 40
  const lines = new Error().stack?.split("\n").slice(1) ?? []
  Error.stackTraceLimit = limit
  const isForeign = (line: string) =>
    /node:|<anonymous>\)?$|[\\/]node_modules[\\/]effect[\\/]|[\\/]internal[\\/](probe|exploringScheduler|reporting|virtualClock)\./.test(
      line
    )
  return lines.find((line) => !isForeign(line))?.trim() ?? "an unknown place"
}

/** An operation by its name and the beginning of its function; undefined for one that says nothing. */
const describe = (primitive: object): string | undefined => {
  const name = nameOf(primitive)
  if (name === undefined || name === "Success" || name === "Yield") return undefined
  const functions = Object.values(primitive).filter((value) => typeof value === "function")
  const source = functions.at(-1)?.toString().replace(/\s+/g, " ").slice(0, 70)
  // how the scheduler makes a fiber yield
  if (source === "() => prev") return undefined
  return source === undefined ? name : `${name} ${source}`
}
