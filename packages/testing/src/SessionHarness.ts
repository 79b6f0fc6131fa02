/**
 * A session under test, with a scripted model, a journal in memory, tools of one line each, and a list of its events.
 *
 * The observer of the session takes the events synchronously and in order, so a test sees them without its own fiber
 * and without waiting for a scheduler.
 */
import * as Agent from "@spindle/core/Agent"
import { Approvals } from "@spindle/core/Approvals"
import { type HookFailed, Hooks, none } from "@spindle/core/Hooks"
import * as Journal from "@spindle/core/Journal"
import type { Model } from "@spindle/core/Model"
import { both, SessionObserver } from "@spindle/core/SessionObserver"
import type { SessionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import { defaults, SessionConfig } from "@spindle/core/SessionConfig"
import { SessionPolicy } from "@spindle/core/SessionPolicy"
import type { JournalFailed, SessionBusy, SessionNotFound } from "@spindle/core/SessionError"
import * as SessionEvent from "@spindle/core/SessionEvent"
import * as Session from "@spindle/core/Session"
import type { TaskKind } from "@spindle/core/TaskKind"
import { Turn } from "@spindle/core/Turn"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as ScriptedModel from "./ScriptedModel.ts"

/** A tool of a test. By default its calls are allowed and run in parallel. */
export interface TestTool {
  readonly run: (params: { readonly [key: string]: unknown }, callId: string) => Effect.Effect<unknown, unknown, Turn>
  readonly policy?: Partial<Agent.ToolPolicy> | undefined
  /** The fields of its arguments. Default: any. */
  readonly parameters?: Schema.Struct.Fields | undefined
  /** The rule by which the tool itself asks for the approval of its calls. Default: it never asks. */
  readonly needsApproval?: Tool.NeedsApproval<any> | undefined
}

/**
 * Makes a session in the scope, new or resumed. Closing the scope must close the session. The factory must use the
 * journal and the model of the context, and its configuration, hooks and deciders.
 */
export type SessionFactory = <R>(
  agent: Agent.Agent<R>,
  options: { readonly resume?: SessionId | undefined }
) => Effect.Effect<Session.Session, unknown, R | Model | Journal.Journal | Scope.Scope>

/** The parts of a harness. Each has a default. */
export interface HarnessOptions {
  /** Makes the session. Default: `Session.make`. */
  readonly factory?: SessionFactory | undefined
  readonly script?: ScriptedModel.Script | undefined
  /** A scripted model, or one that wraps it. `script` is then not used. */
  readonly model?: ScriptedModel.ScriptedModel | undefined
  readonly tools?: { readonly [name: string]: TestTool } | undefined
  readonly instructions?: string | undefined
  /** The kinds of tasks that `Op.startTask` may start. */
  readonly tasks?: ReadonlyArray<TaskKind<Model>> | undefined
  readonly config?: Partial<SessionConfig> | undefined
  readonly policy?: SessionPolicy | undefined
  readonly hooks?: Partial<Hooks<HookFailed, Turn>> | undefined
  readonly approvals?: Approvals | undefined
  /** Called with every event of the session, and of the sessions that its tasks make. */
  readonly observer?: ((sessionId: SessionId, event: SessionEvent.SessionEvent) => void) | undefined
  /** The `onEvent` of `Session.make`. A custom `factory` ignores it. */
  readonly onEvent?: ((event: SessionEvent.SessionEvent) => void) | undefined
  /** Resumes this session from `journal`. */
  readonly resume?: SessionId | undefined
  /** Default: a new journal in memory. */
  readonly journal?: Journal.Journal | undefined
}

/** A session under test. */
export interface SessionHarness {
  readonly session: Session.Session
  readonly model: ScriptedModel.ScriptedModel
  /** All events until now, in order. */
  readonly events: ReadonlyArray<SessionEvent.SessionEvent>
  /** The records among them. */
  readonly records: () => ReadonlyArray<SessionEvent.JournalRecord>
  /** The tags of the records, in order, for assertions on sequences. */
  readonly tags: () => ReadonlyArray<string>
  /** Waits for a past or future event. */
  readonly awaitEvent: <E extends SessionEvent.SessionEvent>(
    is: (event: SessionEvent.SessionEvent) => event is E
  ) => Effect.Effect<E>
  /** Submits a text, and returns the receipt. */
  readonly submit: (text: string) => Effect.Effect<Op.Receipt, JournalFailed>
  /** Submits a text, waits until the session is idle, and returns the last terminal record. */
  readonly run: (text: string) => Effect.Effect<SessionEvent.Terminal, JournalFailed>
  /** The requests that the model got. */
  readonly requests: ReadonlyArray<Parameters<Model["stream"]>[0]>
}

/** Returns a predicate for events with a tag, for `awaitEvent`. */
export const hasTag =
  <Tag extends SessionEvent.SessionEvent["_tag"]>(tag: Tag) =>
  (event: SessionEvent.SessionEvent): event is Extract<SessionEvent.SessionEvent, { readonly _tag: Tag }> =>
    event._tag === tag

/** Makes a journal in memory that outlives one harness, for tests that resume. */
export const memoryJournal: Effect.Effect<Journal.Journal, never, Scope.Scope> = Effect.map(
  Layer.build(Journal.layerMemory()),
  (context) => Context.get(context, Journal.Journal)
)

/**
 * Makes a session under test in the current scope. Closing the scope closes it.
 *
 * @example
 * ```ts no-run
 * import { assert, it } from "@effect/vitest"
 * import { Op } from "@spindle/core"
 * import { ScriptedModel, SessionHarness } from "@spindle/testing"
 * import { Effect } from "effect"
 *
 * it.effect("greets", () =>
 *   Effect.gen(function* () {
 *     const { session } = yield* SessionHarness.make({ script: [[ScriptedModel.text("Hello.")]] })
 *     yield* session.submit(Op.userInput("I am Ada."))
 *     yield* session.awaitIdle
 *     assert.strictEqual((yield* session.snapshot).items.length, 2)
 *   }).pipe(Effect.scoped)
 * )
 * ```
 */
export const make = Effect.fnUntraced(function* (options: HarnessOptions = {}) {
  const model = options.model ?? ScriptedModel.make(options.script ?? [])
  const journal = options.journal ?? (yield* memoryJournal)
  const log = eventLog()
  const { agent, handlers } = agentOf(options.tools ?? {}, options)
  const services = yield* Layer.build(Layer.mergeAll(model.layer, handlers))
  const session = yield* (options.factory ?? defaultFactory(options))(
    agent,
    options.resume === undefined ? {} : { resume: options.resume }
  ).pipe(
    Effect.provideService(Journal.Journal, journal),
    Effect.provideService(SessionConfig, { ...defaults, ...options.config }),
    Effect.provideService(Hooks, options.hooks === undefined ? none : { ...none, ...options.hooks }),
    // the sessions that its tasks make have the same observer, and so has a parent that the factory makes
    Effect.provideService(
      SessionObserver,
      both(yield* SessionObserver, {
        onEvent: (sessionId, event) => {
          log.add(sessionId, event)
          options.observer?.(sessionId, event)
        }
      })
    ),
    options.policy === undefined ? (session) => session : Effect.provideService(SessionPolicy, options.policy),
    options.approvals === undefined ? (session) => session : Effect.provideService(Approvals, options.approvals),
    Effect.provideContext(services)
  ) as Effect.Effect<Session.Session, SessionNotFound | SessionBusy | JournalFailed, Scope.Scope>
  log.setSession(session.sessionId)
  const submit = (text: string) => session.submit(Op.userInput(text))
  const harness: SessionHarness = {
    session,
    model,
    events: log.events,
    records: () => log.events.filter(SessionEvent.isRecord),
    tags: () => log.events.filter(SessionEvent.isRecord).map((event) => event._tag),
    awaitEvent: log.awaitEvent,
    submit,
    run: (text) =>
      Effect.gen(function* () {
        yield* submit(text)
        yield* session.awaitIdle
        return log.events.findLast(SessionEvent.isTerminal)!
      }),
    requests: model.requests
  }
  return harness
})

/** Makes the session with `Session.make`. */
const defaultFactory =
  ({ onEvent }: HarnessOptions): SessionFactory =>
  (agent, options) =>
    Session.make(agent, onEvent === undefined ? options : { ...options, onEvent })

/** Collects the events of one session from the first. Its id is known only after the factory has made it. */
const eventLog = () => {
  const events: Array<SessionEvent.SessionEvent> = []
  let own: SessionId | undefined
  let before: Array<readonly [SessionId, SessionEvent.SessionEvent]> = []
  const waiters = new Set<(event: SessionEvent.SessionEvent) => void>()
  const awaitEvent = <E extends SessionEvent.SessionEvent>(
    is: (event: SessionEvent.SessionEvent) => event is E
  ): Effect.Effect<E> =>
    Effect.callback<E>((resume) => {
      const past = events.find(is)
      if (past !== undefined) return resume(Effect.succeed(past))
      const waiter = (event: SessionEvent.SessionEvent) => {
        if (!is(event)) return
        waiters.delete(waiter)
        resume(Effect.succeed(event))
      }
      waiters.add(waiter)
      return Effect.sync(() => void waiters.delete(waiter))
    })
  const add = (sessionId: SessionId, event: SessionEvent.SessionEvent) => {
    if (own === undefined) return void before.push([sessionId, event])
    if (own !== sessionId) return
    events.push(event)
    for (const waiter of waiters) waiter(event)
  }
  const setSession = (sessionId: SessionId) => {
    own = sessionId
    for (const [of, event] of before) add(of, event)
    before = []
  }
  return { events, awaitEvent, add, setSession }
}

// made once, so that the agents of many runs share what is compiled from it
const anyParameters = Schema.Record(Schema.String, Schema.Unknown)

/** Makes an agent with tools of one line each, and the layer of their handlers. */
export const agentOf = (
  tools: { readonly [name: string]: TestTool },
  { instructions, tasks }: Pick<HarnessOptions, "instructions" | "tasks"> = {}
) => {
  const definitions = Object.entries(tools).map(([name, { needsApproval, parameters }]) =>
    Tool.make(name, {
      description: name,
      parameters: parameters === undefined ? anyParameters : Schema.Struct(parameters),
      success: Schema.Unknown,
      failure: Schema.Unknown,
      dependencies: [Turn],
      needsApproval
    })
  )
  // handlers and policies are typed by the names of the tools, which are known only at run time
  const toolkit = Toolkit.make(...definitions)
  const handlers = toolkit.toLayer(
    Object.fromEntries(
      Object.entries(tools).map(([name, { run }]) => [
        name,
        (params: { readonly [key: string]: unknown }, context: { readonly toolCallId?: string | undefined }) =>
          run(params, context.toolCallId ?? "")
      ])
    ) as never
  ) as Layer.Layer<never>
  const policies = Object.fromEntries(
    Object.entries(tools).map(([name, { policy }]) => [
      name,
      { approval: "allow" as const, concurrency: "parallel" as const, ...policy }
    ])
  )
  const agent = Agent.make({
    toolkit,
    approvals: policies as never,
    tasks,
    ...(instructions === undefined ? {} : { instructions })
  }) as Agent.Agent
  return { agent, handlers }
}
