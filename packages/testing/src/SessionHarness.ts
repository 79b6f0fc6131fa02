/**
 * A session under test: scripted model, journal in memory, tools of one line each, and a record of everything it told.
 *
 * Events are taken by the session's observer, synchronously and in order, so a test sees them without a fiber of its own and without waiting for a scheduler.
 */
import * as Agent from "@spindle/core/Agent"
import { Approvals } from "@spindle/core/Approvals"
import { Hooks, none } from "@spindle/core/Hooks"
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
import { Turn } from "@spindle/core/Turn"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as ScriptedModel from "./ScriptedModel.ts"

/** A tool of a test: what it does with its arguments, and its policy (default: allowed, parallel). */
export interface TestTool {
  readonly run: (params: { readonly [key: string]: unknown }, callId: string) => Effect.Effect<unknown, unknown, Turn>
  readonly policy?: Partial<Agent.ToolPolicy>
  /** The fields of its arguments; by default any. */
  readonly parameters?: Schema.Struct.Fields
  /** Whether the tool itself wants its calls to be approved. Default: it does not. */
  readonly needsApproval?: Tool.NeedsApproval<any>
}

/**
 * A host of sessions: makes one in the scope, new or resumed; closing the scope must close it. It must use the journal and the model that it is given, and what
 * the context says of tunables, hooks and deciders.
 */
export type Make = <R>(
  agent: Agent.Agent<R>,
  options: { readonly resume?: SessionId }
) => Effect.Effect<Session.Session, unknown, R | Model | Journal.Journal | Scope.Scope>

/** What a harness is made of; everything has a default. */
export interface HarnessOptions {
  /** Who hosts the session. Default: `Session.make`. */
  readonly host?: Make
  readonly script?: ScriptedModel.Script
  /** A scripted model that was made already, or one around it; `script` is then not used. */
  readonly model?: ScriptedModel.ScriptedModel
  readonly tools?: { readonly [name: string]: TestTool }
  readonly instructions?: string
  readonly config?: Partial<SessionConfig>
  readonly policy?: SessionPolicy
  readonly hooks?: Partial<Hooks>
  readonly approvals?: Approvals
  /** Told every event of the session, and of those that its tasks make. */
  readonly observer?: (sessionId: SessionId, event: SessionEvent.SessionEvent) => void
  /** Told every event of the session, as its owner; by the default host only. */
  readonly onEvent?: (event: SessionEvent.SessionEvent) => void
  /** Opens this session again; needs a `journal` that has it. */
  readonly resume?: SessionId
  /** The journals; by default new ones in memory. */
  readonly journal?: Journal.Journal
}

/** A session under test. */
export interface SessionHarness {
  readonly session: Session.Session
  readonly model: ScriptedModel.ScriptedModel
  /** Everything that was told so far, in order. */
  readonly events: ReadonlyArray<SessionEvent.SessionEvent>
  /** The records among them. */
  readonly records: () => ReadonlyArray<SessionEvent.JournalRecord>
  /** The tags of the records, in order; for assertions on sequences. */
  readonly tags: () => ReadonlyArray<string>
  /** Waits for an event, past or to come. */
  readonly awaitEvent: <E extends SessionEvent.SessionEvent>(
    is: (event: SessionEvent.SessionEvent) => event is E
  ) => Effect.Effect<E>
  /** Submits a text, and answers the receipt. */
  readonly submit: (text: string) => Effect.Effect<Op.Receipt, JournalFailed>
  /** Submits a text and waits until the session is idle; answers the last terminal record. */
  readonly run: (text: string) => Effect.Effect<SessionEvent.Terminal, JournalFailed>
  /** The requests that the model got. */
  readonly requests: ReadonlyArray<Parameters<Model["stream"]>[0]>
}

/** Whether an event has a tag; for `awaitEvent`. */
export const tagged =
  <Tag extends SessionEvent.SessionEvent["_tag"]>(tag: Tag) =>
  (event: SessionEvent.SessionEvent): event is Extract<SessionEvent.SessionEvent, { readonly _tag: Tag }> =>
    event._tag === tag

/** Makes journals in memory that outlive one harness, for tests that resume. */
export const memoryJournal: Effect.Effect<Journal.Journal, never, Scope.Scope> = Effect.map(
  Layer.build(Journal.layerMemory()),
  (context) => Context.get(context, Journal.Journal)
)

/** Makes a session under test in the current scope; closing the scope closes it. */
export const make = Effect.fnUntraced(function* (options: HarnessOptions = {}) {
  const model = options.model ?? ScriptedModel.make(options.script ?? [])
  const journal = options.journal ?? (yield* memoryJournal)
  const log = eventLog()
  const { agent, handlers } = agentOf(options.tools ?? {}, options.instructions)
  const services = yield* Layer.build(Layer.mergeAll(model.layer, handlers))
  const session = yield* (options.host ?? inProcess(options))(
    agent,
    options.resume === undefined ? {} : { resume: options.resume }
  ).pipe(
    Effect.provideService(Journal.Journal, journal),
    Effect.provideService(SessionConfig, { ...defaults, ...options.config }),
    Effect.provideService(Hooks, { ...none, ...options.hooks }),
    // the sessions that its tasks make have the same observer, and those above it if its host has any
    Effect.provideService(
      SessionObserver,
      both(yield* SessionObserver, {
        onEvent: (sessionId, event) => {
          log.add(sessionId, event)
          options.observer?.(sessionId, event)
        }
      })
    ),
    options.policy === undefined ? (made) => made : Effect.provideService(SessionPolicy, options.policy),
    options.approvals === undefined ? (made) => made : Effect.provideService(Approvals, options.approvals),
    Effect.provideContext(services)
  ) as Effect.Effect<Session.Session, SessionNotFound | SessionBusy | JournalFailed, Scope.Scope>
  log.begin(session.sessionId)
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

/** The host that needs no other: a session of its own. */
const inProcess =
  ({ onEvent }: HarnessOptions): Make =>
  (agent, options) =>
    Session.make(agent, onEvent === undefined ? options : { ...options, onEvent })

/** The events of one session, from its first: which it is, is known when its host has made it. */
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
  const begin = (sessionId: SessionId) => {
    own = sessionId
    for (const [of, event] of before) add(of, event)
    before = []
  }
  return { events, awaitEvent, add, begin }
}

/** An agent with tools of one line each, and the layer of their handlers. */
export const agentOf = (tools: { readonly [name: string]: TestTool }, instructions?: string) => {
  const made = Object.entries(tools).map(([name, { needsApproval, parameters }]) =>
    Tool.make(name, {
      description: name,
      parameters: parameters === undefined ? Schema.Record(Schema.String, Schema.Unknown) : Schema.Struct(parameters),
      success: Schema.Unknown,
      failure: Schema.Unknown,
      dependencies: [Turn],
      needsApproval
    })
  )
  // handlers and policies are typed by the names of the tools, which are known at run time only
  const toolkit = Toolkit.make(...made)
  const handlers = toolkit.toLayer(
    Object.fromEntries(
      Object.entries(tools).map(([name, { run }]) => [
        name,
        (params: { readonly [key: string]: unknown }, context: { readonly toolCallId?: string }) =>
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
    ...(instructions === undefined ? {} : { instructions })
  }) as Agent.Agent
  return { agent, handlers }
}
