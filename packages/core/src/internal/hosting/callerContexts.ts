/**
 * Contexts of callers. A hosted session passes a part of the caller's context to the turn that a submission starts
 * (contract S9): the log annotations, and the references that the application names.
 *
 * The context is found again by the input of the turn, which is the same array that was submitted. So nothing is kept
 * for input that never starts a turn, and turns that a resumed session starts from its journal have no caller.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as Agent from "../../Agent.ts"
import { Alongside } from "../../Alongside.ts"
import * as Hooks from "../../Hooks.ts"
import { type Model, ModelOfTurn } from "../../ports/Model.ts"
import type { ToolPolicy } from "../../ports/ToolSource.ts"
import type { Input } from "../../protocol/Input.ts"
import { isSubmission, type Op, opOf, type Submission } from "../../protocol/Op.ts"
import type { TaskKind } from "../../TaskKind.ts"
import { Turn } from "../../Turn.ts"

type ModelOfTurnShape = Context.Service.Shape<typeof ModelOfTurn>

/** The contexts of the callers of hosted sessions. */
export class CallerContexts {
  private readonly ofInputs = new WeakMap<Input, Context.Context<never>>()
  private readonly references: ReadonlyArray<Context.Reference<any>>
  constructor(references: ReadonlyArray<Context.Reference<any>>) {
    this.references = [References.CurrentLogAnnotations, ...references]
  }

  /** Returns the submission with an input by which the context of its caller is found. */
  remember(submission: Op | Submission, caller: Context.Context<never>): Op | Submission {
    const op = opOf(submission)
    if (op._tag !== "UserInput" && op._tag !== "Notice" && op._tag !== "StartTask") return submission
    const passed = this.references.filter(({ key }) => caller.mapUnsafe.has(key))
    if (passed.length === 0) return submission
    // a new array, because several callers may submit the same one
    const input = (op.input ?? []).slice()
    this.ofInputs.set(input, Context.pick(...passed)(caller) as Context.Context<never>)
    return isSubmission(submission) ? { ...submission, op: { ...op, input } } : { ...op, input }
  }

  /** Runs an effect of a turn with the context of the turn's caller. */
  readonly provide = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.contextWith((context: Context.Context<never>) => {
      const passed = this.passedTo(context)
      return passed === undefined ? effect : Effect.provideContext(effect, passed)
    })

  private passedTo(context: Context.Context<never>): Context.Context<never> | undefined {
    const own = (context.mapUnsafe.get(Alongside.key) ?? context.mapUnsafe.get(Turn.key)) as
      | Alongside
      | Turn
      | undefined
    const passed = own === undefined ? undefined : this.ofInputs.get(own.input)
    if (passed === undefined) return undefined
    const annotations = {
      ...Context.get(context, References.CurrentLogAnnotations),
      ...Context.get(passed, References.CurrentLogAnnotations)
    }
    return Context.add(passed, References.CurrentLogAnnotations, annotations)
  }

  /** Makes a model whose requests run with the context of the caller. */
  toModel(model: Model): Model {
    const { compact } = model
    const provide = (send: Model["stream"]): Model["stream"] => {
      return (request) =>
        Stream.unwrap(
          Effect.contextWith((context: Context.Context<never>) => {
            const passed = this.passedTo(context)
            const stream = send(request)
            return Effect.succeed(passed === undefined ? stream : Stream.provideContext(stream, passed))
          })
        )
    }
    return {
      get provider() {
        return model.provider
      },
      get model() {
        return model.model
      },
      get contextWindow() {
        return model.contextWindow
      },
      stream: provide((request) => model.stream(request)),
      compact: compact === undefined ? undefined : provide((request) => compact(request))
    }
  }

  /** Makes the models of turns with a changed context run with the context of the caller; see `toModel`. */
  private toModelOfTurn(of: ModelOfTurnShape): ModelOfTurnShape {
    const made = new WeakMap<Model, Model>()
    return (context, own) => {
      const model = of(context, own)
      if (model === own) return own
      const known = made.get(model) ?? this.toModel(model)
      made.set(model, known)
      return known
    }
  }

  /** Makes a context whose hooks and models of turns, if it has them, run with the context of the caller. */
  toReferences<R>(context: Context.Context<R>): Context.Context<R> {
    const { mapUnsafe } = context
    let made = context
    if (mapUnsafe.has(Hooks.Hooks.key)) {
      made = Context.add(made, Hooks.Hooks, this.toHooks(Context.get(context, Hooks.Hooks)))
    }
    if (mapUnsafe.has(ModelOfTurn.key)) {
      made = Context.add(made, ModelOfTurn, this.toModelOfTurn(Context.get(context, ModelOfTurn)))
    }
    return made
  }

  /** Makes an agent whose tools, sources and tasks run with the context of the caller. */
  toAgent<R>(agent: Agent.Agent<R>): Agent.Agent<R> {
    const { provide } = this
    const sources = agent.sources.map((source) => ({
      ...source,
      table: () => {
        const table = source.table()
        return Effect.isEffect(table) ? provide(table) : table
      }
    }))
    const tasks = new Map(Array.from(agent.tasks, ([name, kind]) => [name, this.toKind(kind)]))
    const defaultPolicy = this.toPolicy(agent.defaultPolicy)
    return Agent.mapTools({ ...agent, sources, tasks, defaultPolicy }, ({ asks, policy, ...tool }) => ({
      ...tool,
      policy: policy === undefined ? undefined : this.toPolicy(policy),
      run: (params, callId) => provide(tool.run(params, callId)),
      asks: asks === undefined ? undefined : (params, callId, items) => provide(asks(params, callId, items))
    }))
  }

  /** Makes a policy whose check runs with the context of the caller. */
  private toPolicy(policy: ToolPolicy<any>): ToolPolicy<any> {
    const { check } = policy
    return check === undefined ? policy : { ...policy, check: (params) => this.provide(check(params)) }
  }

  /** Makes a task kind whose tasks run with the context of the caller that started them. */
  private toKind<R>(kind: TaskKind<R>): TaskKind<R> {
    const { provide } = this
    return {
      ...kind,
      taskOf: (params) => {
        const found = kind.taskOf(params)
        if ("_tag" in found) return found
        const { abortHook, alongside } = found
        return {
          ...found,
          effect: provide(found.effect),
          abortHook:
            abortHook === undefined
              ? undefined
              : (turn, reason) => Effect.provideService(provide(abortHook(turn, reason)), Turn, turn),
          alongside: alongside === undefined ? undefined : provide(alongside)
        }
      }
    }
  }

  /** Makes hooks that run with the context of the caller. */
  private toHooks<E, R>(hooks: Hooks.Hooks<E, R>): Hooks.Hooks<E, R> {
    const { provide } = this
    if (hooks === Hooks.none) return hooks
    return {
      sessionStart: (...args) => provide(hooks.sessionStart(...args)),
      userPromptSubmit: (...args) => provide(hooks.userPromptSubmit(...args)),
      preToolUse: (...args) => provide(hooks.preToolUse(...args)),
      postToolUse: (...args) => provide(hooks.postToolUse(...args)),
      permissionRequest: (...args) => provide(hooks.permissionRequest(...args)),
      preCompact: (...args) => provide(hooks.preCompact(...args)),
      postCompact: (...args) => provide(hooks.postCompact(...args)),
      stop: (...args) => provide(hooks.stop(...args)),
      interrupt: (...args) => provide(hooks.interrupt(...args)),
      notification: (...args) => provide(hooks.notification(...args))
    }
  }
}
