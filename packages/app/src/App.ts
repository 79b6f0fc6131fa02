/**
 * The composition root: settings in, sessions out.
 *
 * A face (the program, a server, a terminal) provides the platform and a way to answer questions. Everything between
 * is combined here: the model, the tools, the agents, the journals with their lease, traces and metrics.
 *
 * From left to right, each part needs the ones to its right:
 *
 * ```
 * open ── agent, hooks ─┬─ tools, fragments ──── sandbox ────── processes ─┐
 *                       ├─ MCP tools ─────────── MCP servers ── logins ────┤
 *                       ├─ models                                          ├─ tracing ── platform of the face
 *                       ├─ journals ──────────── lease                     │
 *                       └─ stores of sessions ── snapshots ──── git ───────┘
 * ```
 */
import { Approvals } from "@spindle/core/Approvals"
import type { SessionId } from "@spindle/core/Ids"
import { ModelOfTurn } from "@spindle/core/Model"
import * as Op from "@spindle/core/Op"
import * as Session from "@spindle/core/Session"
import { SessionConfig } from "@spindle/core/SessionConfig"
import type { JournalFailed, SessionBusy, SessionNotFound } from "@spindle/core/SessionError"
import { isRecord, type SessionEvent } from "@spindle/core/SessionEvent"
import { both, SessionObserver } from "@spindle/core/SessionObserver"
import { MutationGate } from "@spindle/core/MutationGate"
import { CurrentTurnContext, TurnContextRule } from "@spindle/core/TurnContext"
import type { McpFailed } from "@spindle/mcp/McpFailed"
import * as McpServers from "@spindle/mcp/McpServers"
import type * as Git from "@spindle/tools/Git"
import * as ProcessGroups from "@spindle/tools/ProcessGroups"
import type * as Sandbox from "@spindle/tools/Sandbox"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as EffectPath from "effect/Path"
import type * as Scope from "effect/Scope"
import type * as HttpClient from "effect/http/HttpClient"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as AgentTools from "./AgentTools.ts"
import * as CodingAgent from "./CodingAgent.ts"
import * as AgentHooks from "./hooks/AgentHooks.ts"
import * as Machine from "./Machine.ts"
import * as ConfiguredServers from "./mcp/ConfiguredServers.ts"
import * as Models from "./Models.ts"
import * as RuleFiles from "./RuleFiles.ts"
import { applyPolicy } from "./settings/approvals.ts"
import { retriesOf } from "./settings/providers.ts"
import * as Surroundings from "./Surroundings.ts"
import * as StoredSessions from "./storage/StoredSessions.ts"
import * as Undo from "./tasks/UndoTask.ts"
import * as Tracing from "./Tracing.ts"
import * as TurnContexts from "./settings/TurnContexts.ts"
import * as TurnSnapshots from "./TurnSnapshots.ts"

export type { McpFailed } from "@spindle/mcp/McpFailed"

/** The services that a face provides. */
export type Platform = FileSystem.FileSystem | EffectPath.Path | ChildProcessSpawner | HttpClient.HttpClient

/** The services that sessions of this application need. */
export type Services =
  | CodingAgent.Services
  | ProcessGroups.ProcessGroups
  | Sandbox.Sandbox
  | McpServers.McpServers
  | Git.Git

/** The options of the layer. */
export interface Options<E> extends CodingAgent.Options {
  readonly serveScripted: Models.ServeScripted<E>
  readonly tracing: Tracing.Options
}

/**
 * Everything that sessions in the working directory `cwd` need. **Errors**: `McpFailed` if an MCP server that is required
 * does not start.
 */
export const layer = <E>(options: Options<E>): Layer.Layer<Services, E | McpFailed, Platform> => {
  const { cwd, serveScripted, settings, tracing } = options
  const { home } = settings
  return Layer.merge(CodingAgent.layer(options), AgentHooks.layer(options)).pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        Models.layer(settings, serveScripted),
        Layer.merge(AgentTools.layer(options), Surroundings.layer(options)).pipe(
          Layer.provideMerge(Machine.sandboxFor(home)),
          Layer.provideMerge(Machine.processesFor(settings, Machine.host.env))
        ),
        StoredSessions.journals(home),
        ConfiguredServers.layer({ cwd, settings, version: tracing.version }),
        Layer.provideMerge(StoredSessions.stores(home), StoredSessions.snapshots(home))
      )
    ),
    Layer.provideMerge(Tracing.layer(settings, tracing))
  )
}

/** The session to open, and the face that opens it. */
export interface Opening extends CodingAgent.Options {
  readonly sessionId: SessionId
  /** True if the session has a journal that is opened again. */
  readonly isResumed: boolean
  /** Answers the questions of the session and its agents. Nobody is asked if the approval policy is `never`. */
  readonly approvals: Approvals
  /** Receives every event of the session and of the agents below it. */
  readonly observer?: SessionObserver | undefined
  /** The description of the program that makes a new session, for its journal. */
  readonly meta: { readonly [name: string]: string }
}

/** An open session. */
export interface Opened {
  readonly session: Session.Session
  /** The number of the first record that the session has written since it was opened. */
  readonly from: number
  /**
   * Returns the targets to kill for a program that must end at once. It stays valid afterwards, because processes can outlive
   * the turn and the session.
   */
  readonly killTargets: () => ProcessGroups.KillTargets
}

/** Opens a session in the current scope. **Interruption**, **Errors**: those of `Session.make`. */
export const open = (
  opening: Opening
): Effect.Effect<Opened, SessionNotFound | SessionBusy | JournalFailed, Services | Scope.Scope> =>
  Effect.gen(function* () {
    const { cwd, sessionId, settings } = opening
    const groups = yield* ProcessGroups.ProcessGroups
    const servers = yield* McpServers.McpServers
    const clock = yield* Clock.Clock
    const models = yield* Models.NamedModels
    const killTargets = () => {
      const ofCommands = groups.killTargets()
      return { ...ofCommands, targets: [...ofCommands.targets, ...servers.pids().map((pid) => -pid)] }
    }
    const known = yield* Models.KnownModels
    const turns = settings.features.isEnabled("undo") ? yield* TurnSnapshots.make(cwd) : undefined
    // the first event is a record, and comes before the session is made; the later ones change nothing
    const first = yield* Deferred.make<number>()
    const onEvent = (event: SessionEvent) => {
      if (isRecord(event)) Deferred.doneUnsafe(first, Effect.succeed(event.seq))
    }
    const session = yield* Session.make(yield* CodingAgent.make(opening), {
      ...(opening.isResumed ? { resume: sessionId } : { sessionId }),
      onEvent,
      meta: { cwd, model: settings.model, ...opening.meta }
    }).pipe(
      Effect.provideService(Approvals, applyPolicy(settings, opening.approvals)),
      Effect.provideService(
        SessionObserver,
        combine(yield* SessionObserver, turns?.observer, opening.observer, yield* RuleFiles.amendments(settings.home))
      ),
      Effect.provideService(MutationGate, turns?.gate),
      CodingAgent.withLimits(settings),
      Effect.provideService(CurrentTurnContext, () => TurnContexts.make(opening, clock.currentTimeMillisUnsafe())),
      Effect.provideService(TurnContextRule, TurnContexts.ruleOf(opening, models)),
      Effect.provideService(ModelOfTurn, TurnContexts.modelOf(settings, models)),
      Effect.provideService(SessionConfig, {
        ...(yield* SessionConfig),
        ...retriesOf(settings.provider),
        compactFromTokens: known(settings.model)?.compactFromTokens
      })
    )
    // the session is leased now: no other process works on its snapshots
    const recovered = opening.isResumed ? yield* TurnSnapshots.recover(sessionId) : undefined
    if (recovered !== undefined) yield* session.submit(Op.notice(Undo.fragment, recovered, { delivery: "wait" }))
    return { session, from: yield* Deferred.await(first), killTargets }
  })

const combine = (...observers: ReadonlyArray<SessionObserver | undefined>): SessionObserver | undefined =>
  observers.reduce((first, second) => both(first, second), undefined)
