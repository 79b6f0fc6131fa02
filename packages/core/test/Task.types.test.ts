import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import { Alongside } from "@spindle/core/Alongside"
import type { Journal } from "@spindle/core/Journal"
import type { Model } from "@spindle/core/Model"
import type { Outcome } from "@spindle/core/Outcome"
import type {
  JournalFailed,
  ModelFailed,
  SessionBusy,
  SessionClosed,
  SessionNotFound
} from "@spindle/core/SessionError"
import * as Session from "@spindle/core/Session"
import * as RegularTask from "@spindle/core/RegularTask"
import * as Task from "@spindle/core/Task"
import * as TaskKind from "@spindle/core/TaskKind"
import type { ToolSource } from "@spindle/core/ToolSource"
import * as Tools from "@spindle/core/Tools"
import { Turn } from "@spindle/core/Turn"
import { Context, Effect, Schema, type Scope } from "effect"
import { Tool, Toolkit } from "effect/ai"

class Clippy extends Context.Service<Clippy, { readonly hint: string }>()("test/Clippy") {}
class Files extends Context.Service<Files, { readonly read: (path: string) => string }>()("test/Files") {}

type SuccessOf<E> = E extends Effect.Effect<infer A, unknown, unknown> ? A : never
type FailureOf<E> = E extends Effect.Effect<unknown, infer E2, unknown> ? E2 : never
type NeedsOf<E> = E extends Effect.Effect<unknown, unknown, infer R> ? R : never

const task = Task.make(
  "typed",
  Effect.gen(function* () {
    const { hint } = yield* Clippy
    const turn = yield* Turn
    yield* Effect.addFinalizer(() => Effect.void)
    if (hint === "") return yield* Effect.fail("nothing to say" as const)
    return { hint, turn: turn.turnId.length }
  })
)

const read = Tool.make("read", {
  parameters: Schema.Struct({ path: Schema.String }),
  success: Schema.String,
  dependencies: [Files, Turn]
})
const toolkit = Toolkit.make(read)

declare const source: ToolSource<Clippy | Turn>
declare const other: ToolSource<Files>

/** Compiles for effects that require nothing. */
const complete = <A, E>(effect: Effect.Effect<A, E>) => effect
/** Compiles for effects that require at most a scope. */
const scoped = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => effect

declare const session: Session.Session
const starting = () => session.start(task)
const agent = () => Agent.make({ toolkit, approvals: { read: { approval: "allow", concurrency: "parallel" } } })

describe("Agent", () => {
  it("requires what its sources require, also if they are written in place", () => {
    const plain = Agent.make({ sources: [{ name: "plain", table: () => Tools.empty }] })
    expectTypeOf(plain).toEqualTypeOf<Agent.Agent<never>>()
    const table = () => Effect.map(Effect.andThen(Turn, Clippy), () => Tools.empty)
    const asking = Agent.make({
      sources: [
        { name: "asking", table },
        { name: "plain", table: () => Tools.empty }
      ]
    })
    expectTypeOf(asking).toEqualTypeOf<Agent.Agent<Clippy>>()
  })

  const searching = Tool.providerDefined({ id: "acme.search", customName: "Search", providerName: "search" })

  it("a tool that its provider runs has no policy, and is refused at run time", () => {
    const tools = Toolkit.make(searching())
    expectTypeOf<Agent.Policies<typeof tools.tools>["Search"]>().toEqualTypeOf<never>()
    const search = { approval: "allow", concurrency: "parallel" } as const
    // @ts-expect-error it cannot have a policy
    expect(() => Agent.make({ toolkit: tools, approvals: { Search: search } })).toThrow("Search is run by its provider")
  })
})

describe("Task", () => {
  it("a task carries its result, its failure and its requirements", () => {
    expectTypeOf(task).toEqualTypeOf<
      Task.Task<{ hint: string; turn: number }, "nothing to say", Clippy | Turn | Scope.Scope>
    >()
  })

  it("the projection of the last message takes the result of the task", () => {
    Task.make("projected", Effect.succeed({ verdict: "fine" }), {
      lastMessage: (value) => {
        expectTypeOf(value).toEqualTypeOf<{ verdict: string }>()
        return value.verdict
      }
    })
    Task.make("wrong", Effect.succeed(7), {
      // @ts-expect-error the projection returns a text or nothing
      lastMessage: (value) => value
    })
  })

  it("tasks with different results fit into one table", () => {
    const table: { readonly [kind: string]: Task.Task<unknown, unknown, Clippy | Turn | Scope.Scope> } = {
      typed: task,
      counted: Task.make("counted", Effect.succeed(7), { lastMessage: (value) => value.toFixed() })
    }
    expectTypeOf(table).toBeObject()
    const wider: Task.Task<{ readonly hint: string }, string, Clippy | Turn | Scope.Scope> = task
    // @ts-expect-error a result is not narrowed
    const narrower: Task.Task<{ readonly hint: "a" }, string, Clippy | Turn | Scope.Scope> = task
    expectTypeOf([wider, narrower]).toBeArray()
  })

  it("an abort hook may require what the task requires, and cannot fail", () => {
    Task.make("hooked", Clippy, {
      abortHook: (turn, reason) => Effect.andThen(Clippy, (clippy) => turn.say(`${clippy.hint} ${reason}`))
    })
    Task.make("failing hook", Effect.void, {
      // @ts-expect-error an abort hook has no failure
      // @effect-diagnostics-next-line missingEffectError:off
      abortHook: () => Effect.fail("no")
    })
  })
})

describe("Session.start", () => {
  it("the outcome is typed, and an interruption is a value of it", () => {
    type Running = SuccessOf<ReturnType<typeof starting>>
    expectTypeOf<SuccessOf<Running["outcome"]>>().toEqualTypeOf<
      Outcome<{ hint: string; turn: number }, "nothing to say" | JournalFailed>
    >()
    expectTypeOf<FailureOf<Running["outcome"]>>().toBeNever()
    expectTypeOf<NeedsOf<Running["outcome"]>>().toBeNever()
    expectTypeOf<FailureOf<ReturnType<typeof starting>>>().toEqualTypeOf<SessionClosed>()
  })

  it("Turn and Scope are provided, everything else is required", () => {
    expectTypeOf<NeedsOf<ReturnType<typeof starting>>>().toEqualTypeOf<Clippy>()
    const own = () =>
      session.start(
        Task.make(
          "own",
          Effect.andThen(Turn, (turn) => turn.flush)
        )
      )
    expectTypeOf<NeedsOf<ReturnType<typeof own>>>().toBeNever()
  })

  it("a forgotten layer does not compile", () => {
    // @ts-expect-error Clippy is missing
    // @effect-diagnostics-next-line missingEffectContext:off
    const missing = () => complete(starting())
    const provided = () => complete(Effect.provideService(starting(), Clippy, { hint: "hi" }))
    expectTypeOf(missing).toBeFunction()
    expectTypeOf(provided).toBeFunction()
  })
})

describe("Agent", () => {
  it("a tool without a policy, and a policy without a tool, do not compile", () => {
    // @ts-expect-error the policy of read is missing
    const missing = () => Agent.make({ toolkit, approvals: {} })
    // @ts-expect-error there are no policies at all
    const none = () => Agent.make({ toolkit })
    const invented = () =>
      Agent.make({
        toolkit,
        approvals: {
          read: { approval: "allow", concurrency: "parallel" },
          // @ts-expect-error there is no such tool
          write: { approval: "allow", concurrency: "parallel" }
        }
      })
    expectTypeOf([missing, none, invented]).toBeArray()
  })

  it("the form of the output is a schema or a JSON schema with a name, and needs nothing", () => {
    const Verdict = Schema.Struct({ verdict: Schema.Literals(["good", "bad"]) })
    const plain = Agent.make({ name: "reviewer", output: Verdict })
    expectTypeOf(plain).toEqualTypeOf<Agent.Agent>()
    const withTools = () =>
      Agent.make({ name: "reviewer", toolkit, approvals: { read: { approval: "allow" } }, output: Verdict })
    expectTypeOf<ReturnType<typeof withTools>>().toEqualTypeOf<ReturnType<typeof agent>>()
    const described = () => Agent.make({ output: { name: "verdict", schema: { type: "object" } } })
    expectTypeOf(described).returns.toEqualTypeOf<Agent.Agent>()
    // @ts-expect-error a type is no schema
    const wrong = () => Agent.make({ output: "verdict" })
    expectTypeOf(wrong).toBeFunction()
  })

  it("a policy decides by the arguments of its tool", () => {
    const decided = () =>
      Agent.make({
        toolkit,
        approvals: {
          read: {
            approval: (params) => {
              expectTypeOf(params).toEqualTypeOf<{ readonly path: string }>()
              return params.path.startsWith("/") ? "ask" : "allow"
            },
            concurrency: "parallel"
          }
        }
      })
    expectTypeOf(decided).toBeFunction()
  })

  it("the types of tools are erased: only the requirements of handlers and sources remain, without the turn", () => {
    type Needs<A> = A extends Agent.Agent<infer R> ? R : never
    type Needed = Needs<ReturnType<typeof agent>>
    expectTypeOf<Extract<Needed, Turn>>().toBeNever()
    expectTypeOf<Files>().toExtend<Needed>()
    expectTypeOf<Tool.HandlersFor<(typeof toolkit)["tools"]>>().toExtend<Needed>()
    expectTypeOf<ReturnType<typeof agent>>().toEqualTypeOf<Agent.Agent<Needed>>()
    const plain = () => Agent.make({ instructions: "Answer." })
    expectTypeOf<Needs<ReturnType<typeof plain>>>().toBeNever()
    // the requirements of a source are in the type, without the turn
    const sourced = () => Agent.make({ sources: [source] })
    expectTypeOf<Needs<ReturnType<typeof sourced>>>().toEqualTypeOf<Clippy>()
    const two = () => Agent.make({ sources: [source, other] })
    expectTypeOf<Needs<ReturnType<typeof two>>>().toEqualTypeOf<Clippy | Files>()
    const both = () => Agent.make({ toolkit, approvals: { read: { approval: "allow" } }, sources: [source] })
    expectTypeOf<Needs<ReturnType<typeof both>>>().toEqualTypeOf<Needed | Clippy>()
    // agents with different tools fit into one record
    const roles = (): { readonly [role: string]: Agent.Agent<Needed> } => ({ worker: agent(), speaker: plain() })
    expectTypeOf(roles).toBeFunction()
  })

  it("a task that a client may start makes the session require its layer, without the turn and its scope", () => {
    const kind = TaskKind.make("typed", {
      params: Schema.Struct({ loud: Schema.Boolean }),
      task: (params) => {
        expectTypeOf(params).toEqualTypeOf<{ readonly loud: boolean }>()
        return task
      }
    })
    expectTypeOf(kind).toEqualTypeOf<TaskKind.TaskKind<Clippy>>()
    const plain = TaskKind.make("plain", { params: Schema.Struct({}), task: () => Task.make("plain", Effect.void) })
    const agent = Agent.make({ tasks: [kind, plain] })
    expectTypeOf(agent).toEqualTypeOf<Agent.Agent<Clippy>>()
    const both = Agent.make({ toolkit, approvals: { read: { approval: "allow" } }, tasks: [kind] })
    expectTypeOf<Agent.Agent<Clippy>>().toExtend<typeof both>()
    const made = () => Session.make(agent)
    expectTypeOf<NeedsOf<ReturnType<typeof made>>>().toEqualTypeOf<Clippy | Model | Journal | Scope.Scope>()
    // @ts-expect-error a kind of tasks that need more is not one of tasks that need nothing
    const narrower: TaskKind.TaskKind = kind
    const wider: TaskKind.TaskKind<Clippy> = plain
    expectTypeOf([narrower, wider]).toBeArray()
    // @ts-expect-error it needs at least one mode
    TaskKind.make("none", { params: Schema.Struct({}), task: () => task, modes: [] })
    // @ts-expect-error a task that needs its own turn does not run alongside another
    TaskKind.make("none", { params: Schema.Struct({}), task: () => task, modes: ["alongside"] })
  })

  it("a kind of tasks alongside a turn requires what they need besides that turn, which is not theirs", () => {
    const params = Schema.Struct({ loud: Schema.Boolean })
    const run = Effect.gen(function* () {
      const { hint } = yield* Clippy
      yield* Effect.addFinalizer(() => Effect.void)
      yield* (yield* Alongside).report({ name: "hint", text: hint })
    })
    const kind = TaskKind.makeAlongside("hint", { params, run: () => run })
    expectTypeOf(kind).toEqualTypeOf<TaskKind.TaskKind<Clippy>>()
    const taking = TaskKind.makeAlongside("taking", {
      params,
      run: () => Effect.flatMap(Turn, (turn) => turn.takeInput)
    })
    expectTypeOf(taking).toEqualTypeOf<TaskKind.TaskKind<Turn>>()
  })

  it("a session requires what its agent needs, a model and a journal", () => {
    const made = () => Session.make(agent())
    type Needed = NeedsOf<ReturnType<typeof made>>
    expectTypeOf<Files | Model | Journal | Scope.Scope>().toExtend<Needed>()
    expectTypeOf<FailureOf<ReturnType<typeof made>>>().toEqualTypeOf<SessionNotFound | SessionBusy | JournalFailed>()
    // @ts-expect-error tools, model and journal are missing
    // @effect-diagnostics-next-line missingEffectContext:off
    const missing = () => scoped(made())
    expectTypeOf(missing).toBeFunction()
  })

  it("its regular task returns a text and fails with the errors of the model", () => {
    const regular = () => RegularTask.make(Agent.make({ instructions: "Answer." }))
    expectTypeOf<ReturnType<typeof regular>>().toEqualTypeOf<Task.Task<string | undefined, ModelFailed, Turn | Model>>()
  })
})
