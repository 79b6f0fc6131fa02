/**
 * The approval of shell commands: combines rules, commands that only read and the approval policy into the policy of a
 * tool that runs command lines.
 */
import type { Ruling } from "@spindle/core/Authority"
import * as ApprovalPolicy from "./ApprovalPolicy.ts"
import * as CommandRules from "./CommandRules.ts"
import type * as Permissions from "./sandbox/Permissions.ts"
import * as SafeCommands from "./SafeCommands.ts"
import * as ShellWords from "./ShellWords.ts"

/** Options of the approval of commands. */
export interface Options {
  readonly policy: ApprovalPolicy.ApprovalPolicy
  readonly containment: ApprovalPolicy.Containment
  /** True if nothing lets a command out of its sandbox. A call that asks for it is refused. */
  readonly isBound?: boolean | undefined
  /** A description of what the sandbox allows, for the person who is asked. */
  readonly sandbox?: string | undefined
  /** Returns the rules that hold now. Called for each command. */
  readonly rules?: (() => ReadonlyArray<CommandRules.Rule>) | undefined
}

/** A command line that a model wants to run. */
export interface CommandLine {
  readonly line: string
  /** The absolute directory. */
  readonly cwd: string
  /** True if that is not the directory of the session. */
  readonly isElsewhere?: boolean | undefined
  /** The program that runs the line; undefined for the default shell, which is bash or sh. */
  readonly shell?: string | undefined
  readonly isEscalated?: boolean | undefined
  /** True if the sandbox has blocked it before. */
  readonly wasBlocked?: boolean | undefined
}

/** The explanation of a command line for a person, as a part of the payload of the question. */
export interface Explanation {
  readonly reason?: string
  readonly sandbox?: string
  /** The commands that an answer may allow from now on; see {@link amendmentOf}. */
  readonly amendment?: ReadonlyArray<ShellWords.Command>
  /** The permissions that an answer may grant in place of a run outside the sandbox. */
  readonly less?: ReadonlyArray<Permissions.Less>
}

// builtins after which a command of the same line means something else
const stateful: ReadonlySet<string> = new Set(
  ". alias builtin cd command declare enable eval exec export hash let local popd pushd readonly set shopt source trap typeset unalias unset".split(
    " "
  )
)

// programs whose arguments are a program: a rule about their first words would allow anything
const interpreters =
  /^(?:.*\/)?(?:ba|da|z|k|fi|c|tc)?sh$|^(?:.*\/)?(?:awk|busybox|bun|deno|doas|env|find|nice|node|nohup|npx|perl|php|python[\d.]*|ruby|ssh|sudo|time|timeout|xargs)$/

const hasState = (commands: ReadonlyArray<ShellWords.Command>): boolean =>
  commands.some(([name = ""]) => stateful.has(name))

/** Returns the commands of a plain line, if its shell reads it like bash. */
const commandsOf = ({ line, shell }: CommandLine): ReadonlyArray<ShellWords.Command> | undefined =>
  shell === undefined || ShellWords.isShell(shell) ? ShellWords.commandsWithin(line) : undefined

type Found = Pick<ApprovalPolicy.Circumstances, "rule" | "isSafe">

/**
 * Judges a line. A rule allows it if each of its commands is allowed by one, or only reads. A line that is not plain is
 * asked about if it mentions a program that a rule restricts.
 */
const judge = (command: CommandLine, rules: ReadonlyArray<CommandRules.Rule>): Found => {
  const commands = commandsOf(command)
  if (commands === undefined) {
    const rule = CommandRules.restrictionIn(rules, command.line)
    return rule === undefined ? {} : { rule: { decision: "prompt", justification: rule.justification } }
  }
  const isElsewhere = command.isElsewhere === true || hasState(commands)
  const isSafe = SafeCommands.areSafe(commands, isElsewhere)
  const found = commands.map((words) => CommandRules.ruleFor(rules, words))
  for (const decision of ["forbid", "prompt"] as const) {
    const rule = found.find((one) => one?.decision === decision)
    if (rule !== undefined) return { rule, isSafe }
  }
  const rest = commands.filter((_, index) => found[index] === undefined)
  const isAllowed = rest.length < commands.length && (rest.length === 0 || SafeCommands.areSafe(rest, isElsewhere))
  return isAllowed ? { rule: { decision: "allow" }, isSafe } : { isSafe }
}

/** Decides what happens before a command runs. */
export const ruling = (options: Options, command: CommandLine): Ruling =>
  options.isBound === true && command.isEscalated === true ? bound : decide(options, command)

const bound: Ruling = {
  permission: "deny",
  source: "policy",
  reason: "this agent may not leave its sandbox: run the command without sandbox_permissions"
}

const decide = (options: Options, command: CommandLine): Ruling =>
  ApprovalPolicy.decide({
    ...judge(command, options.rules?.() ?? []),
    policy: options.policy,
    containment: options.containment,
    annotation: "ask",
    isEscalated: command.isEscalated,
    wasBlocked: command.wasBlocked
  })

/**
 * Returns the keys by which a grant of a line is remembered: each of its commands with its directory, so that a later
 * line is granted if all of its commands were. A line that is not plain, or whose commands depend on each other, is
 * remembered as a whole.
 */
export const keys = (command: CommandLine): ReadonlyArray<string> => {
  const { cwd, isEscalated = false, line, shell } = command
  const commands = commandsOf(command)
  const parts = commands === undefined || hasState(commands) ? [line] : commands
  return [...new Set(parts.map((part) => `command:${JSON.stringify([part, cwd, shell ?? "", isEscalated])}`))]
}

/** Returns the explanation of a command for the person who is asked about it. */
export const explain = (options: Options, command: CommandLine): Explanation => {
  const { reason, source } = ruling(options, command)
  const commands = source === "policy" ? commandsOf(command) : undefined
  const amendment = commands === undefined || hasState(commands) ? [] : withoutRule(commands, options.rules?.() ?? [])
  return {
    ...(reason === undefined ? {} : { reason }),
    ...(options.sandbox === undefined ? {} : { sandbox: options.sandbox }),
    ...(amendment.length === 0 ? {} : { amendment }),
    ...(options.containment === "sandbox" ? lessThan(command) : {})
  }
}

/** A command that the sandbox has blocked as it is would be blocked again. */
const lessThan = ({ isEscalated = false, wasBlocked = false }: CommandLine): Pick<Explanation, "less"> => {
  const withNetwork = { label: "in the sandbox, with the network", permissions: { network: { enabled: true } } }
  if (wasBlocked) return { less: [withNetwork] }
  return isEscalated ? { less: [{ label: "in the sandbox", permissions: {} }, withNetwork] } : {}
}

/** Returns the commands that need a rule; none if a rule for one of them would allow too much. */
const withoutRule = (
  commands: ReadonlyArray<ShellWords.Command>,
  rules: ReadonlyArray<CommandRules.Rule>
): ReadonlyArray<ShellWords.Command> => {
  const needed = commands.filter((words) => !SafeCommands.areSafe([words]) && !CommandRules.ruleFor(rules, words))
  return needed.some(([name = ""]) => interpreters.test(name)) ? [] : needed
}

/** Reads the amendment of an answer: the commands to allow. Returns undefined if it is not an amendment. */
export const amendmentOf = (value: unknown): ReadonlyArray<ShellWords.Command> | undefined =>
  Array.isArray(value) && value.length > 0 && value.every(isCommand) ? value : undefined

const isCommand = (value: unknown): value is ShellWords.Command =>
  Array.isArray(value) && value.every((word) => typeof word === "string") && value[0] !== undefined && value[0] !== ""
