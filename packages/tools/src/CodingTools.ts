/**
 * The tools of a coding agent, `exec_command`, `write_stdin` and `apply_patch`, ready for `Agent.make`: the toolkit,
 * the policies and the handlers.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import type { Policies } from "@spindle/core/Agent"
import type { Processes } from "@spindle/core/Processes"
import { Granted } from "@spindle/core/Granted"
import { Turn } from "@spindle/core/Turn"
import { type ByTurn, ofTurn, type TurnContext, valueIn, valueInTurn } from "@spindle/core/TurnContext"
import * as ApprovalPolicy from "./ApprovalPolicy.ts"
import * as ApplyPatch from "./ApplyPatch.ts"
import * as CommandApproval from "./CommandApproval.ts"
import * as Commands from "./Commands.ts"
import * as ExecCommand from "./ExecCommand.ts"
import * as Grants from "./internal/project/grants.ts"
import { askForHosts, escalate } from "./internal/escalation.ts"
import * as PatchCommand from "./internal/patch/patchCommand.ts"
import * as CutPatches from "./internal/patch/cutPatches.ts"
import * as PatchJournal from "./internal/patch/patchJournal.ts"
import * as Permissions from "./sandbox/Permissions.ts"
import * as SandboxPolicy from "./SandboxPolicy.ts"
import * as ShellWords from "./ShellWords.ts"
import * as TurnDiff from "./TurnDiff.ts"
import * as WriteStdin from "./WriteStdin.ts"

/** The tools. */
export const toolkit = Toolkit.make(ExecCommand.tool, WriteStdin.tool, ApplyPatch.tool)

/** The tools of {@link toolkit}, by name. */
export type Tools = (typeof toolkit)["tools"]

/** The rule for approvals: a person is asked about each call, each call is allowed, or a policy and rules decide. */
export type ApprovalMode = "ask" | "allow" | CommandApproval.Options

/**
 * The policies of the tools. Commands run concurrently, a patch runs alone. Waiting for a command and interrupting it
 * need no approval. Writing to it does, because to a shell the text is a command.
 *
 * The question about a command has `command`, `cwd`, `shell` (the program that runs it, if the model wants another than
 * the default), `justification` (if the model gives one) and, if a policy decides, a `CommandApproval.Explanation`. The
 * question about input has `sessionId` and `input`. The question about a patch has `changes`; see `Patch.Change`.
 *
 * A patch that does not apply fails without a question. A command that only calls `apply_patch` is such a patch. `cwd`
 * and `directory` are those of {@link layer}. The approval may depend on the context of the turn.
 */
export const policies = (
  options: Places & {
    readonly approval: ByTurn<ApprovalMode>
    /** The containment of patches. By default nothing contains them, unless commands have full access. */
    readonly patches?: ByTurn<ApprovalPolicy.Containment> | undefined
  }
): Policies<Tools> => ({
  exec_command: {
    ...commandPolicy(options),
    concurrency: "parallel",
    kind: "command",
    redirect: patchCall,
    check: (params) => Effect.succeed(ExecCommand.refusalOf(params)),
    mayRunWith: (_, permissions, context) =>
      isContained(valueIn(options.approval, context)) && Permissions.isPermissions(permissions),
    display: (params, context) => ExecCommand.display(params, placeIn(options, context).directory),
    payload: (params, context) => {
      const command = commandLine(params, placeIn(options, context))
      const { cwd, line, shell } = command
      const approval = valueIn(options.approval, context)
      return {
        command: line,
        cwd,
        ...(shell === undefined ? {} : { shell }),
        ...(params.justification === undefined ? {} : { justification: params.justification }),
        ...(typeof approval === "string" ? {} : CommandApproval.explain(approval, command))
      }
    }
  },
  write_stdin: {
    approval: (params, context) => {
      const approval = valueIn(options.approval, context)
      return WriteStdin.isHarmless(params) ? "allow" : decideByPolicy(approval, inputContainment(approval))
    },
    concurrency: "parallel",
    mutates: (params) => !WriteStdin.isHarmless(params),
    kind: "command",
    display: WriteStdin.display,
    payload: ({ chars = "", session_id }) => ({ sessionId: session_id, input: chars })
  },
  apply_patch: {
    approval: (_, context) => {
      const approval = valueIn(options.approval, context)
      return decideByPolicy(approval, valueIn(options.patches, context) ?? unlessFullAccess(approval))
    },
    concurrency: "exclusive",
    kind: "patch",
    display: ({ input }, context) => ApplyPatch.display(input, placeIn(options, context)),
    check: ({ input }) => Effect.flatMap(ApplyPatch.Check, (check) => check(input)),
    payload: ({ input }, context) => ({ changes: ApplyPatch.changesOf(input, placeIn(options, context)) }),
    freeform: ApplyPatch.freeform
  }
})

/** A command that only applies a patch is a call of `apply_patch`. */
const patchCall = ({ cmd, shell, workdir }: ExecCommand.Parameters) => {
  const input = shell && !ShellWords.isShell(shell) ? undefined : PatchCommand.patchOf(cmd, workdir)
  return input === undefined ? undefined : { name: ApplyPatch.tool.name, params: { input } }
}

/** The directories of the calls of a turn: that of the session, and the one in which they start. */
interface Place {
  readonly cwd: string
  readonly directory: string
}

const placeIn = ({ cwd, directory }: Places, context: TurnContext): Place => ({
  cwd,
  directory: directory === undefined ? cwd : valueIn(directory, context)
})

const placeInTurn = (places: Places): Effect.Effect<Place> => Effect.map(ofTurn, (context) => placeIn(places, context))

const commandLine = (params: ExecCommand.Parameters, { cwd, directory }: Place): CommandApproval.CommandLine => {
  const workdir = ExecCommand.workingDirectory(directory, params.workdir)
  return {
    line: params.cmd,
    cwd: workdir,
    isElsewhere: withoutEnd(workdir) !== withoutEnd(cwd),
    shell: params.shell || undefined,
    isEscalated: isEscalated(params)
  }
}

/** A path without slashes and dots at its end, which do not change the directory. */
const withoutEnd = (path: string): string => {
  let end = path.length
  for (;;) {
    if (path[end - 1] === "/") end -= 1
    else if (path[end - 1] === "." && path[end - 2] === "/") end -= 2
    else return path.slice(0, end)
  }
}

const isEscalated = (params: ExecCommand.Parameters): boolean => params.sandbox_permissions === "require_escalated"

const commandPolicy = ({ approval, ...places }: Places & { readonly approval: ByTurn<ApprovalMode> }) => ({
  approval: (params: ExecCommand.Parameters, context: TurnContext) => {
    const mode = valueIn(approval, context)
    if (typeof mode !== "string") return CommandApproval.ruling(mode, commandLine(params, placeIn(places, context)))
    // a way out of the sandbox is never implied
    return isEscalated(params) ? "ask" : mode
  },
  keys: (params: ExecCommand.Parameters, context: TurnContext) =>
    CommandApproval.keys(commandLine(params, placeIn(places, context)))
})

/** True if a sandbox can enforce less than a command asks for. */
const isContained = (approval: ApprovalMode): boolean =>
  typeof approval !== "string" && approval.containment === "sandbox"

const unlessFullAccess = (approval: ApprovalMode): ApprovalPolicy.Containment =>
  typeof approval !== "string" && approval.containment === "full-access" ? "full-access" : "missing"

/** A person may have let the command run outside the sandbox, and input can be anything. */
const inputContainment = (approval: ApprovalMode): ApprovalPolicy.Containment | undefined =>
  typeof approval !== "string" && ApprovalPolicy.mayEscalate(approval.policy) ? unlessFullAccess(approval) : undefined

/** Decides about patches and the input of commands, which no rule names. */
const decideByPolicy = (approval: ApprovalMode, contained?: ApprovalPolicy.Containment) => {
  if (typeof approval === "string") return approval
  const { containment, policy } = approval
  return ApprovalPolicy.decide({ policy, containment: contained ?? containment, annotation: "ask" })
}

/** The directories of the tools. */
export interface Places {
  /** The absolute working directory, which patches cannot leave and commands can. */
  readonly cwd: string
  /**
   * The directory inside `cwd` in which the calls of a turn start, and from which relative paths are resolved. The
   * default is `cwd`.
   */
  readonly directory?: ByTurn<string> | undefined
}

/**
 * Options of the tools. `shell` is a program that takes `-c`; see {@link ExecCommand.defaultShell} for the default.
 * `login` is true if it reads the profile of the user, unless the model asks for the opposite (default true). `sandbox`
 * is the most that commands and patches may touch; the default is full access. Commands are confined by the `Processes`
 * of `Sandbox.layer`, unless their call was approved to run outside. `approval` and `sandbox` may depend on the context
 * of the turn.
 */
export interface Options extends Places {
  readonly shell?: string | undefined
  readonly login?: boolean | undefined
  /** See `WriteStdin.Options`. */
  readonly maxPoll?: Duration.Input | undefined
  /** A directory of programs that commands find before those of their path. */
  readonly bin?: string | undefined
  /**
   * Decides about a command that the sandbox has blocked: the approval that {@link policies} received. By default
   * nobody is asked.
   */
  readonly approval?: ByTurn<CommandApproval.Options> | undefined
  /**
   * The directory of the journals of patches. With it, a patch that a crash cuts is rolled back when {@link layer} is
   * built next. Without it, such a patch stays half done.
   */
  readonly journals?: string | undefined
  /**
   * The directory of the journals of the patches that commands apply with the program `apply_patch`. With it, such a
   * patch becomes part of the diff of its turn, and a cut one is finished or rolled back. Commands must be allowed to
   * write there, and other users must not. A journal of a command counts only for the files of `cwd` that a command may
   * change.
   */
  readonly commandJournals?: string | undefined
  readonly sandbox?: ByTurn<Limits> | undefined
}

/** The most that commands and patches may touch. */
export interface Limits {
  readonly commands: SandboxPolicy.SandboxPolicy
  readonly patches: SandboxPolicy.SandboxPolicy
}

/** The handlers of the tools, the commands that they run, and the check of patches before anybody is asked. */
export const layer = (
  options: Options
): Layer.Layer<Tool.HandlersFor<Tools> | Commands.Commands, never, FileSystem.FileSystem | Path.Path | Processes> =>
  Layer.provideMerge(Layer.mergeAll(handlers(options), checks(options), recovery(options)), Commands.layer)

const recovery = (options: Options) =>
  Layer.effectDiscard(
    Effect.matchEffect(Effect.andThen(recoverOwn(options), recoverCommands(options)), {
      onSuccess: () => Effect.void,
      onFailure: (error) => Effect.logWarning(`cannot look for patches that were cut off: ${error.message}`)
    })
  )

const recoverIn = (directory: string, gone?: ReadonlySet<string>) =>
  Effect.flatMap(PatchJournal.recover(directory, gone), (recovered) =>
    Effect.forEach(recovered, (one) => Effect.logWarning(describe(one)), { discard: true })
  )

const recoverOwn = ({ journals }: Options) => (journals === undefined ? Effect.void : recoverIn(journals))

/** Recovers the patches of commands under the policy of commands. Each session has its directory. */
const recoverCommands = Effect.fnUntraced(function* (options: Options) {
  const { commandJournals } = options
  if (commandJournals === undefined) return
  const fileSystem = yield* FileSystem.FileSystem
  if (!(yield* fileSystem.exists(commandJournals))) return
  for (const session of yield* fileSystem.readDirectory(commandJournals)) {
    yield* confineToCommands(options, recoverIn(`${commandJournals}/${session}`))
  }
})

/** Runs an effect under the limits of the commands of a session. */
const confineToCommands = Effect.fnUntraced(function* <A, E, R>(
  { cwd, sandbox }: Options,
  effect: Effect.Effect<A, E, R>
) {
  const { commands } = yield* limitsInTurn(sandbox)
  const fileSystem = yield* FileSystem.FileSystem
  const workspace: SandboxPolicy.SandboxPolicy = {
    _tag: "WorkspaceWrite",
    roots: [yield* Effect.orElseSucceed(fileSystem.realPath(cwd), () => cwd)],
    scratch: [],
    protectedPaths: [],
    network: false
  }
  return yield* effect.pipe(SandboxPolicy.confine(workspace), SandboxPolicy.confine(commands))
})

/**
 * Concludes the patches that commands which are gone have left in a directory. Returns whether unfinished ones are
 * left.
 */
const recoverGone = (options: Options) => (directory: string, gone: ReadonlySet<string>) =>
  confineToCommands(options, Effect.andThen(recoverIn(directory, gone), PatchJournal.hasUnfinished(directory))).pipe(
    Effect.catch((error) =>
      Effect.as(Effect.logWarning(`cannot look for the patches of a command: ${error.message}`), false)
    )
  )

const describe = ({ paths, result, untouched }: PatchJournal.Recovered): string => {
  const done = result === "finished" ? "was finished" : "was undone"
  const left =
    untouched.length === 0 ? "" : `; left as they are, because they have changed since: ${untouched.join(", ")}`
  return `a patch that was cut off ${done}: ${paths.join(", ")}${left}`
}

interface Asking extends Place {
  readonly approval: CommandApproval.Options | undefined
}

const onBlocked = ({ approval, ...place }: Asking): ExecCommand.Options["onBlocked"] =>
  approval === undefined
    ? undefined
    : (params, callId) => escalate(approval, commandLine(params, place), { callId, tool: ExecCommand.tool.name })

const onDenied = ({ approval, ...place }: Asking): ExecCommand.Options["onDenied"] =>
  approval === undefined
    ? undefined
    : (params, callId, denials) =>
        askForHosts(approval, commandLine(params, place), { callId, tool: ExecCommand.tool.name }, denials)

/** The paths that commands never write, whatever was granted. */
const protectedPathsOf = ({ patches }: Limits): ReadonlyArray<string> =>
  patches._tag === "WorkspaceWrite" ? patches.protectedPaths : []

/**
 * Returns the policy of a command: widened by the earlier grants, or, if less was granted than it asks for, by exactly
 * that.
 */
const policyOf = Effect.fnUntraced(function* (params: ExecCommand.Parameters, sandbox: Limits) {
  const turn = yield* Turn
  const less = yield* Granted
  if (less === undefined && isEscalated(params)) return SandboxPolicy.fullAccess
  const granted = Permissions.widen(sandbox.commands, Grants.of(turn), protectedPathsOf(sandbox))
  if (less === undefined) return granted
  const asked = isEscalated(params) ? Permissions.everything : Permissions.none
  const grant = Permissions.meet(asked, less.permissions)
  if (less.scope !== "once") Grants.add(turn, less.scope, grant)
  return Permissions.widen(granted, grant, protectedPathsOf(sandbox))
})

const noSandbox: Limits = { commands: SandboxPolicy.fullAccess, patches: SandboxPolicy.fullAccess }

const limitsInTurn = (sandbox: Options["sandbox"]): Effect.Effect<Limits> =>
  Effect.map(valueInTurn(sandbox), (limits) => limits ?? noSandbox)

const handlers = (options: Options) =>
  toolkit.toLayer(
    Effect.gen(function* () {
      const context = yield* Effect.context<FileSystem.FileSystem | Path.Path | Processes | Commands.Commands>()
      const shell = options.shell ?? (yield* ExecCommand.defaultShell)
      const cut = yield* CutPatches.make((directory, gone) =>
        Effect.provideContext(recoverGone(options)(directory, gone), context)
      )
      const concludeCut = Effect.flatMap(Turn, (turn) => {
        const directory = journalsOf(turn, options)
        return directory === undefined ? Effect.void : cut.conclude(directory)
      })
      return toolkit.of({
        exec_command: (params, { toolCallId }) =>
          Effect.gen(function* () {
            // a person who has granted less is not asked for more, and a context that is narrower stays so
            yield* concludeCut
            const turn = yield* Turn
            const sandbox = yield* limitsInTurn(options.sandbox)
            const place = yield* placeInTurn(options)
            const asking: Asking = { ...place, approval: yield* valueInTurn(options.approval) }
            const directory = journalsOf(turn, options)
            const unwatch: Array<Effect.Effect<void>> = []
            const isSettled = (yield* Granted) !== undefined || (yield* SandboxPolicy.Current)._tag !== "FullAccess"
            return yield* ExecCommand.run(params, toolCallId, {
              cwd: place.directory,
              login: options.login,
              bin: options.bin,
              shell,
              variables: directory === undefined ? undefined : { [ApplyPatch.reportsName]: directory },
              onStarted: (process) =>
                directory === undefined
                  ? Effect.void
                  : Effect.map(cut.watch(directory, process), (remove) => void unwatch.push(remove)),
              sandbox: yield* policyOf(params, sandbox),
              protectedPaths: protectedPathsOf(sandbox),
              onBlocked: isSettled ? undefined : onBlocked(asking),
              onDenied: isSettled ? undefined : onDenied(asking)
              // an abort waits only for commands of calls that it has interrupted: another one may be kept
            }).pipe(Effect.tap(() => Effect.suspend(() => Effect.all(unwatch, { discard: true }))))
          }).pipe(Effect.ensuring(collect(options)), Effect.provideContext(context)),
        write_stdin: (params, { toolCallId }) =>
          WriteStdin.run(params, toolCallId, options).pipe(
            Effect.ensuring(collect(options)),
            Effect.provideContext(context)
          ),
        apply_patch: ({ input }, { toolCallId }) =>
          Effect.andThen(
            concludeCut,
            Effect.flatMap(placeInTurn(options), (place) => ApplyPatch.run(input, toolCallId, place))
          ).pipe(
            withinPatches(options),
            Effect.provideService(PatchJournal.Directory, options.journals),
            Effect.provideContext(context)
          )
      })
    })
  )

/** Runs an effect under the limits of patches. */
const withinPatches =
  ({ sandbox }: Options) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(limitsInTurn(sandbox), ({ patches }) => SandboxPolicy.confine(effect, patches))

/** Returns the directory in which the commands of a session report their patches. */
const journalsOf = ({ sessionId }: Turn, { commandJournals }: Options): string | undefined =>
  commandJournals === undefined ? undefined : `${commandJournals}/${sessionId}`

/** Adds the patches that commands of the session have applied to the diff of the turn. */
const collect = (options: Options): Effect.Effect<void, never, Turn | FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const turn = yield* Turn
    const directory = journalsOf(turn, options)
    if (directory === undefined) return
    for (const files of yield* PatchJournal.collect(directory, options.cwd)) yield* TurnDiff.record(turn, files)
  }).pipe(Effect.catch((error) => Effect.logWarning(`cannot read the patches of commands: ${error.message}`)))

const checks = (options: Options) =>
  Layer.effect(
    ApplyPatch.Check,
    Effect.map(
      Effect.context<FileSystem.FileSystem | Path.Path>(),
      (context) => (input) =>
        Effect.flatMap(placeInTurn(options), (place) => ApplyPatch.check(input, place)).pipe(
          withinPatches(options),
          Effect.provideContext(context)
        )
    )
  )
