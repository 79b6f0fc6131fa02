/** Observes each operation of each fiber as it is evaluated, through the hook that Effect has for tracers. */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"

/** An operation. */
export type EffectPrimitive<X> = Tracer.EffectPrimitive<X>

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** A context in which a function evaluates the operations. Spans are made as by the default tracer. */
export const makeObservingContext = (
  evaluate: <X>(primitive: EffectPrimitive<X>, fiber: AnyFiber) => X
): Context.Context<never> => {
  const native = Context.get(Context.empty(), Tracer.Tracer)
  const tracer = Tracer.make({ span: (options) => native.span(options), context: evaluate })
  return Context.make(Tracer.Tracer, tracer) as Context.Context<never>
}

/** The name of an operation: `Sync`, `OnSuccess`, `WithFiber`. */
export const nameOf = (primitive: object): string | undefined =>
  (primitive as { readonly "~effect/Effect/identifier"?: string })["~effect/Effect/identifier"]

/** True if an operation may open an uninterruptible region. All operations that do are made of this one. */
export const opensRegion = (primitive: object): boolean => nameOf(primitive) === "WithFiber"
