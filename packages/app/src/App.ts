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
import { readFileSync } from "node:fs"
import * as Path from "node:path"
import { Approvals } from "@spindle/core/Approvals"
import { Fragments } from "@spindle/core/Fragments"
import * as Hooks from "@spindle/core/Hooks"
import type { SessionId } from "@spindle/core/Ids"
import type { Journal } from "@spindle/core/Journal"
import * as JournalFile from "@spindle/core/JournalFile"
import { ModelOfTurn } from "@spindle/core/Model"
import * as Op from "@spindle/core/Op"
import type { Processes } from "@spindle/core/Processes"
import * as Session from "@spindle/core/Session"
import { defaults, SessionConfig } from "@spindle/core/SessionConfig"
import type { JournalFailed, SessionBusy, SessionNotFound } from "@spindle/core/SessionError"
import { isRecord, type SessionEvent } from "@spindle/core/SessionEvent"
import { both, SessionObserver } from "@spindle/core/SessionObserver"
import { MutationGate } from "@spindle/core/MutationGate"
import { CurrentTurnContext, type TurnContext, TurnContextRule, valueInTurn } from "@spindle/core/TurnContext"
import { nameOf } from "@spindle/tools/ApprovalPolicy"
import type { McpFailed } from "@spindle/mcp/McpFailed"
import * as McpServers from "@spindle/mcp/McpServers"
import * as McpTools from "@spindle/mcp/McpTools"
import { TurnHeaders } from "@spindle/mcp/TurnHeaders"
import * as CodingTools from "@spindle/tools/CodingTools"
import * as CommandEnvironment from "@spindle/tools/CommandEnvironment"
import * as Git from "@spindle/tools/Git"
import * as ExecCommand from "@spindle/tools/ExecCommand"
import * as JsRepl from "@spindle/tools/JsRepl"
import * as ProjectTools from "@spindle/tools/ProjectTools"
import * as ProcessGroups from "@spindle/tools/ProcessGroups"
import * as ProcessStat from "@spindle/tools/ProcessStat"
import * as Sandbox from "@spindle/tools/Sandbox"
import * as Snapshots from "@spindle/tools/Snapshots"
import * as Signals from "@spindle/tools/Signals"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as EffectPath from "effect/Path"
import type * as Scope from "effect/Scope"
import type * as HttpClient from "effect/http/HttpClient"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as CodingAgent from "./CodingAgent.ts"
import * as Connectors from "./connectors/Connectors.ts"
import * as HookCommands from "./HookCommands.ts"
import * as HookSettings from "./hooks/HookSettings.ts"
import * as Instructions from "./Instructions.ts"
import * as McpLogins from "./mcp/McpLogins.ts"
import * as Models from "./Models.ts"
import * as PatchCommand from "./PatchCommand.ts"
import * as LiveOutput from "./processes/liveOutput.ts"
import * as RuleFiles from "./RuleFiles.ts"
import * as SessionLease from "./storage/SessionLease.ts"
import type * as Settings from "./Settings.ts"
import * as NetworkProxy from "./sandbox/NetworkProxy.ts"
import { applyPolicy } from "./settings/approvals.ts"
import { environmentOf } from "./settings/commands.ts"
import { retriesOf } from "./settings/providers.ts"
import { networkIn } from "./settings/sandbox.ts"
import * as Skills from "./Skills.ts"
import * as StoredSessions from "./storage/StoredSessions.ts"
import * as Undo from "./tasks/UndoTask.ts"
import * as Tracing from "./Tracing.ts"
import * as TurnContexts from "./settings/TurnContexts.ts"
import * as TurnMetadata from "./TurnMetadata.ts"
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

/** The facts about this process. No other line of this module reads them. */
const host = {
  env: process.env,
  platform: process.platform,
  architecture: process.arch,
  /** The Node.js that runs it. */
  node: process.execPath,
  kill: process.kill
}

/**
 * Everything that sessions in the working directory `cwd` need. **Errors**: `McpFailed` if an MCP server that is required
 * does not start.
 */
export const layer = <E>(options: Options<E>): Layer.Layer<Services, E | McpFailed, Platform> =>
  Layer.merge(CodingAgent.layer(options), hooks(options)).pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        Models.layer(options.settings, options.serveScripted),
        Layer.merge(tools(options), fragments(options)).pipe(
          Layer.provideMerge(sandboxFor(options.settings.home)),
          Layer.provideMerge(processesFor(options.settings, host.env))
        ),
        journals(options.settings.home),
        mcp(options),
        Layer.provideMerge(StoredSessions.stores(options.settings.home), snapshots(options.settings.home))
      )
    ),
    Layer.provideMerge(Tracing.layer(options.settings, options.tracing))
  )

/** The sandbox of this machine, with a network proxy whose sockets are below a home. */
export const sandboxFor = (home: string) =>
  Sandbox.layer({
    platform: host.platform,
    architecture: host.architecture,
    proxy: NetworkProxy.make({ directory: home, node: host.node })
  })

/** The tools, under the policies of the settings and of their turns. */
const tools = ({ cwd, settings }: CodingAgent.Options) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const limits = yield* CodingAgent.limitsIn({ cwd, settings })
      const { commands: own } = limits({}).sandbox
      const scratch = own._tag === "WorkspaceWrite" ? own.scratch : []
      const commandJournals = yield* Effect.try({
        try: () => PatchCommand.journalsUnsafe(settings.home, scratch),
        catch: (error) => `patches of scripts are not part of the diff of a turn: ${(error as Error).message}`
      }).pipe(Effect.catch((warning) => Effect.as(Effect.logWarning(warning), undefined)))
      const places = { cwd, directory: TurnContexts.directoryIn(cwd) }
      const coding = CodingTools.layer({
        ...places,
        commandJournals,
        approval: (context) => limits(context).approval,
        login: settings.commands.allowsLoginShell,
        maxPoll: settings.commands.maxPollMillis,
        journals: Path.join(settings.home, "patches"),
        bin: PatchCommand.isInstalled(settings.home) ? PatchCommand.directoryOf(settings.home) : undefined,
        sandbox: (context) => limits(context).sandbox
      })
      const sandbox = (context: TurnContext) => limits(context).sandbox.commands
      const looking = { ...places, node: host.node, sandbox }
      const live = Layer.effectDiscard(LiveOutput.serve(settings.home))
      return Layer.mergeAll(Layer.provideMerge(live, coding), ProjectTools.layer(looking), JsRepl.layer(looking))
    })
  )

/** The MCP servers of the settings. They start in the background. */
const mcp = ({ cwd, settings, tracing }: Pick<Options<never>, "cwd" | "settings" | "tracing">) =>
  McpTools.layer({
    servers: settings.mcpServers,
    approval: (context) => {
      const { approvalPolicy, sandboxMode } = TurnContexts.settingsIn(settings, context)
      return sandboxMode === "danger-full-access" && approvalPolicy !== "untrusted" ? "allow" : "ask"
    }
  }).pipe(
    Layer.provideMerge(
      McpServers.layer({
        variables: host.env,
        program: { name: "spindle", version: tracing.version },
        grants: McpLogins.grants(settings.home)
      })
    ),
    Layer.merge(
      Layer.provide(Layer.effect(TurnHeaders)(TurnMetadata.make({ cwd, sandbox: settings.sandboxMode })), Git.layer)
    )
  )

/** Returns the places of the instructions and the skills of a turn. They belong to the directory in which its calls start. */
const placesOf =
  (settings: Settings.Settings, cwd: string) =>
  (context: TurnContext): Skills.Places => ({
    home: settings.configDirectory,
    cwd: TurnContexts.directoryIn(cwd)(context),
    disabledSkills: settings.disabledSkills,
    ...settings.projectDoc
  })

/** The instructions, the environment and the skills of the model. */
const fragments = ({
  cwd,
  settings
}: CodingAgent.Options): Layer.Layer<never, never, FileSystem.FileSystem | Sandbox.Sandbox> =>
  Layer.effect(
    Fragments,
    Effect.gen(function* () {
      const shell = yield* ExecCommand.defaultShell
      const context = yield* Effect.context<Sandbox.Sandbox | FileSystem.FileSystem>()
      const places = placesOf(settings, cwd)
      const make = Instructions.make({
        places,
        further: Effect.map(Effect.flatMap(valueInTurn(places), Skills.read), Skills.fragmentsOf),
        environment: (now, context) => {
          const current = TurnContexts.settingsIn(settings, context)
          return [
            ["cwd", TurnContexts.directoryIn(cwd)(context)],
            ["approval_policy", nameOf(current.approvalPolicy)],
            ["sandbox_mode", current.sandboxMode],
            ...Instructions.networkOf(networkIn(current.sandboxMode, current.sandbox)),
            ["shell", Path.basename(shell)],
            ...Instructions.dateOf(now)
          ]
        }
      })
      const prepare = CodingAgent.prepareTurn(settings)
      return (known) => Effect.provideContext(Effect.andThen(prepare, make(known)), context)
    })
  )

/** The skills and apps that a prompt names, and the commands that the configuration names as hooks. */
const hooks = ({
  cwd,
  settings
}: CodingAgent.Options): Layer.Layer<never, never, FileSystem.FileSystem | Processes | McpTools.McpTools> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { features, home, model } = settings
      const found = features.isEnabled("hooks") ? yield* HookSettings.load(settings, cwd) : HookSettings.none
      const approvalPolicy = nameOf(settings.approvalPolicy)
      const shell = yield* ExecCommand.defaultShell
      const places = placesOf(settings, cwd)
      const own = Hooks.combine(Skills.hooks(places), Connectors.hooks)
      if (found.handlers.length === 0 && found.problems.length === 0) return Hooks.layer(own)
      const commands = HookCommands.make({ settings: found, cwd, home, shell, model, approvalPolicy })
      const interruptHookLimit = HookSettings.interruptLimitMillis(found)
      return Layer.merge(
        Hooks.layer(Hooks.combine(own, commands)),
        Layer.succeed(SessionConfig, { ...defaults, interruptHookLimit })
      )
    })
  )

/** Commands in process groups of this machine (contract X1). */
export const processes: Layer.Layer<
  Processes | ProcessGroups.ProcessGroups,
  never,
  FileSystem.FileSystem | ChildProcessSpawner
> = ProcessGroups.layer.pipe(
  Layer.provide(Signals.layerKill(host.kill)),
  Layer.provide(ProcessStat.layerRead((pid) => readFileSync(`/proc/${pid}/stat`, "utf8")))
)

/**
 * As {@link processes}, for the commands of a session: they get the environment of the configuration, without any variable
 * that holds the key or a header of the provider or of an MCP server, whatever its name.
 */
export const processesFor = (
  settings: Pick<Settings.Settings, "commands" | "mcpServers" | "provider">,
  env: CommandEnvironment.Variables
) => Layer.provide(processes, Layer.succeed(CommandEnvironment.CommandEnvironment, environmentOf(settings, env)))

/** The journals below a home, each leased by one process of this machine (contract J2). */
export const journals = (home: string): Layer.Layer<Journal, never, FileSystem.FileSystem | EffectPath.Path> =>
  JournalFile.layer({ directory: Path.join(home, "sessions") }).pipe(Layer.provide(SessionLease.layer(home)))

/** The snapshots of sessions below a home, and git. */
export const snapshots = (
  home: string
): Layer.Layer<Snapshots.Snapshots | Git.Git, never, FileSystem.FileSystem | EffectPath.Path | ChildProcessSpawner> =>
  Snapshots.layer({ directory: Path.join(home, "snapshots") }).pipe(Layer.provideMerge(Git.layer))

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
