/**
 * Observes one run closely: the last operation of each fiber, its position when an action came, and what it waits for
 * outside the simulation.
 *
 * A probe costs time, so a run is repeated with one only when there is something to explain. Waits outside are seen
 * only if the platform has `node:async_hooks`.
 */
import * as Fiber from "effect/Fiber"
import type { StackFrame } from "effect/References"
import { nameOf } from "./operations.ts"
import { isOfPlatform, lastYieldOf, watchYields } from "./yields.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** The position of a fiber. */
export interface Situation {
  /** The fiber's number, in the order of their first steps; 0 is the root. Undefined between two tasks. */
  readonly fiber: number | undefined
  /** Its spans and `Effect.fn` functions, innermost first, with their places if they are known. */
  readonly stack: ReadonlyArray<string>
  /** The operation that it started last, with the first characters of its function. */
  readonly operation: string
  /** The place of its last `yield*` in the program: file, line and column, if the runtime has a stack. */
  readonly place: string | undefined
}

/** Something that was started outside the simulation. */
export interface Outside {
  /** A type of `node:async_hooks`: `PROMISE`, `Timeout`, `TCPWRAP`. */
  readonly type: string
  readonly place: string
}

/** The part of `node:async_hooks` that is used here. */
interface AsyncHooks {
  readonly createHook: (hooks: {
    readonly init: (id: number, type: string, triggerId: number) => void
    readonly promiseResolve: (id: number) => void
  }) => {
    readonly enable: () => void
    readonly disable: () => void
  }
  readonly executionAsyncId: () => number
}

const asyncHooks = (): AsyncHooks | undefined =>
  (globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }).process?.getBuiltinModule?.(
    "node:async_hooks"
  ) as AsyncHooks | undefined

/** Resources that Effect and Node make for themselves. */
const internalTypes = new Set(["effect/Fiber", "TickObject", "Microtask", "RANDOMBYTESREQUEST"])

/** The most operations of a trace. */
const traceLimit = 20

/** A probe of one run. */
export class Probe {
  /** For each fiber: what it started outside since its last step, by id, in order. */
  private readonly outside = new Map<AnyFiber, Map<number, Outside>>()
  /** The fibers on whose behalf the resources outside were started, by id. */
  private readonly owners = new Map<number, AnyFiber>()
  /** Everything that was started outside, by id, without the promises that were settled. */
  private readonly pending = new Map<number, Outside>()
  private readonly traced: Array<readonly [fiber: AnyFiber, operation: string]> = []
  private isTracing = true
  private readonly fibers: { readonly keys: () => Iterable<AnyFiber> }
  private readonly last = new Map<AnyFiber, string>()

  constructor(fibers: { readonly keys: () => Iterable<AnyFiber> }) {
    this.fibers = fibers
  }

  /** Records that a fiber starts an operation. */
  startOperation(fiber: AnyFiber, primitive: object): void {
    const operation = describe(primitive)
    if (operation === undefined) return
    this.last.set(fiber, operation)
    if (!this.isTracing) return
    this.traced.push([fiber, operation])
    if (this.traced.length > traceLimit) this.traced.shift()
  }

  /** The last operations, with their fibers, until the trace ended. */
  get trace(): ReadonlyArray<string> {
    return this.traced.map(([fiber, operation]) => `fiber ${this.numberOf(fiber)} ${operation}`)
  }

  /** Ends the trace: later operations are not added to it. */
  endTrace(): void {
    this.isTracing = false
  }

  /** Records that a fiber takes a step, so that it no longer waits for anything outside. */
  leaveOutside(fiber: AnyFiber): void {
    this.outside.delete(fiber)
  }

  /** The position of a fiber. */
  situation(fiber: AnyFiber | undefined): Situation {
    if (fiber === undefined) {
      return { fiber: undefined, stack: [], operation: "between two tasks", place: undefined }
    }
    return {
      fiber: this.numberOf(fiber),
      stack: stackOf(fiber.cache.stackFrame),
      operation: this.last.get(fiber) ?? "its beginning",
      place: lastYieldOf(fiber)
    }
  }

  private numberOf(fiber: AnyFiber): number {
    return Array.from(this.fibers.keys()).indexOf(fiber)
  }

  /** Everything that was started outside, without the promises that were settled. */
  get started(): ReadonlyArray<Outside> {
    return Array.from(this.pending.values())
  }

  /**
   * Returns the wait of a fiber outside the simulation. Anything but a promise explains a wait better than a promise,
   * and the first promise was made by the program.
   */
  waitOf(fiber: AnyFiber): Outside | undefined {
    const started = this.outside.get(fiber) ?? new Map<number, Outside>()
    const pending = Array.from(started).flatMap(([id, one]) => (this.pending.has(id) ? [one] : []))
    if (pending.length === 0) return undefined
    return pending.find(({ type }) => type !== "PROMISE") ?? started.values().next().value
  }

  /**
   * Records where the program yields operations, and what fibers start outside, until the returned function is called.
   */
  watch(): () => void {
    const unwatchYields = watchYields()
    const unwatchOutside = this.watchOutside()
    return () => {
      unwatchOutside()
      unwatchYields()
    }
  }

  /** Assigns resources that a promise continuation starts to the fiber that started the promise. */
  private watchOutside(): () => void {
    const hooks = asyncHooks()
    const hook = hooks?.createHook({
      init: (id, type, triggerId) => {
        if (internalTypes.has(type)) return
        const fiber = Fiber.getCurrent() ?? this.owners.get(hooks.executionAsyncId()) ?? this.owners.get(triggerId)
        if (fiber === undefined) return
        this.owners.set(id, fiber)
        const outside = { type, place: placeOf() }
        this.pending.set(id, outside)
        const all = this.outside.get(fiber)
        if (all === undefined) this.outside.set(fiber, new Map([[id, outside]]))
        else all.set(id, outside)
      },
      promiseResolve: (id) => void this.pending.delete(id)
    })
    hook?.enable()
    return () => hook?.disable()
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

/** The first line of the JavaScript stack that belongs to the program of the caller. */
const placeOf = (): string => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 40
  const lines = new Error().stack?.split("\n").slice(1) ?? []
  Error.stackTraceLimit = limit
  const isForeign = (line: string) =>
    isOfPlatform(line) ||
    /[\\/]internal[\\/](probe|scheduler|actions|running|microtasks|virtualClock)\./.test(line) ||
    /[\\/]testing[\\/](src|dist)[\\/](Interrupts|Simulation|Vitest)\./.test(line)
  return lines.find((line) => !isForeign(line))?.trim() ?? "an unknown place"
}

/** An operation by its name and the first characters of its function; undefined if that explains nothing. */
const describe = (primitive: object): string | undefined => {
  const name = nameOf(primitive)
  if (name === undefined || name === "Success" || name === "Yield") return undefined
  const functions = Object.values(primitive).filter((value) => typeof value === "function")
  const source = functions.at(-1)?.toString().replace(/\s+/g, " ").slice(0, 70)
  // the operation with which the scheduler makes a fiber yield
  if (source === "() => prev") return undefined
  return source === undefined ? name : `${name} ${source}`
}
