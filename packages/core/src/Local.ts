/**
 * State that the code of tools, tool sources, hooks and tasks keeps with a session or with one of its turns.
 *
 * A local is a typed key. Its value is reached from the session or the turn that owns it. It is made when it is first
 * used, and freed with its owner. It is not recorded, so a session that is resumed or forked begins without it. State
 * that has to survive a resume belongs in records; see `NoteKind`.
 *
 * @example
 * ```ts
 * import { Agent, Journal, Local, Session, Task, Turn } from "@spindle/core"
 * import { ScriptedModel } from "@spindle/testing"
 * import { Effect, Layer } from "effect"
 *
 * const visits = Local.make(() => ({ count: 0 }))
 * const visit = Task.make(
 *   "visit",
 *   Effect.map(Turn.Turn, ({ session }) => `visit ${++Local.get(visits, session).count}`)
 * )
 *
 * const program = Effect.gen(function* () {
 *   const session = yield* Session.make(Agent.make({ instructions: "Greet people." }))
 *   yield* (yield* session.start(visit)).outcome
 *   return yield* (yield* session.start(visit)).outcome
 * }).pipe(Effect.scoped, Effect.provide(Layer.merge(ScriptedModel.make([]).layer, Journal.layerMemory())))
 * const outcome = await Effect.runPromise(program)
 * console.log(outcome._tag === "Completed" ? outcome.value : outcome._tag)
 * // prints: visit 2
 * ```
 */

/** The key of a value of type `A` that each owner of type `O` has for itself. */
export interface Local<in O extends Owner, in out A> {
  /** Makes the value of an owner. */
  readonly initial: (owner: O) => A
}

/** An owner of locals: a `Turn` or its `TurnSession`. */
export interface Owner {
  readonly locals: Locals
}

/** Makes a local. Make it once, next to the code that uses it: two locals never share a value. */
export const make = <A, O extends Owner = Owner>(initial: (owner: O) => A): Local<O, A> => ({ initial })

/** Returns the value of an owner, which is made by the first call. */
export const get = <O extends Owner, A>(local: Local<O, A>, owner: O): A =>
  owner.locals.get(local, () => local.initial(owner))

/** The values of the locals of one owner. */
export class Locals {
  // weak, so that the values of a local that is made at run time, for one agent or one layer, are freed with it
  private values: WeakMap<Local<never, any>, unknown> | undefined

  /** @see {@link get} */
  get<A>(local: Local<never, A>, make: () => A): A {
    this.values ??= new WeakMap()
    if (!this.values.has(local)) this.values.set(local, make())
    return this.values.get(local) as A
  }
}
