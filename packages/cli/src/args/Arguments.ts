/**
 * The command line as a typed command.
 *
 * The parser is pure: it reads no file and no environment. Flags may come before, between and after the words of a
 * command, as the programs that drive the reference write them. Any fault is one `UsageError` with a message of one
 * line.
 */
import { parseArgs } from "node:util"
import type { ApprovalPolicy, SandboxMode } from "@spindle/app/Settings"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Flags from "./Flags.ts"
import type { ColorMode, Flag, Topic } from "./Flags.ts"
import * as McpArguments from "./mcpArguments.ts"
import * as AccountArguments from "./accountArguments.ts"
import * as FeatureArguments from "./featureArguments.ts"
import * as SessionArguments from "./sessionArguments.ts"
import * as TaskArguments from "./taskArguments.ts"

/** The command line is wrong. `hint` is a command that explains it. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  detail: Schema.String,
  hint: Schema.String
}) {
  override get message() {
    return `${this.detail} (see ${this.hint})`
  }
}

/** The options of `exec` and `demo`. Without a flag, a field is undefined and a list is empty. */
export interface TurnOptions {
  readonly json: boolean
  readonly color: ColorMode
  readonly cwd: string | undefined
  readonly model: string | undefined
  /** `key=value` as given, in order. */
  readonly config: ReadonlyArray<readonly [key: string, value: string]>
  readonly approvalPolicy: ApprovalPolicy | undefined
  readonly sandboxMode: SandboxMode | undefined
  readonly outputSchemaFile: string | undefined
  readonly lastMessageFile: string | undefined
  readonly images: ReadonlyArray<string>
  readonly addedDirectories: ReadonlyArray<string>
  readonly threadSource: string | undefined
  /** True if traces and metrics are sent even if nothing is configured. */
  readonly telemetry: boolean
  /** True if the tree of spans is shown at the end. */
  readonly trace: boolean
  /** True if everything is shown in full at a terminal, too. */
  readonly verbose: boolean
  /** True if keys of the configuration without an effect are refused. */
  readonly strictConfig: boolean
  /** The features of `--enable` and `--disable`. */
  readonly features: { readonly [name: string]: boolean }
}

/** The session that `exec resume` continues: by the beginning of its id, or the last one of this directory or `all`. */
export type Resume = { readonly _tag: "Id"; readonly id: string } | { readonly _tag: "Last"; readonly all: boolean }

/** The source of the prompt: the command line, or stdin (`-`, or no prompt at all). */
export type Prompt =
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Stdin"; readonly dash: boolean }

/** A command with its options. */
export type Command =
  | {
      readonly _tag: "Exec"
      readonly prompt: Prompt
      readonly resume: Resume | undefined
      readonly options: TurnOptions
    }
  | { readonly _tag: "Demo"; readonly options: TurnOptions }
  | {
      readonly _tag: "Undo"
      readonly session: Resume
      readonly undo: TaskArguments.Undo
      readonly options: TurnOptions
    }
  | {
      readonly _tag: "Review"
      readonly target: TaskArguments.ReviewTarget
      /** The least urgent priority that makes the program fail. */
      readonly failOn: number | undefined
      readonly options: TurnOptions
    }
  | SessionArguments.Sessions
  | { readonly _tag: "HooksList" | "HooksTrust" }
  | McpArguments.McpCommand
  | { readonly _tag: "FeaturesList"; readonly options: TurnOptions }
  | AccountArguments.Account
  | { readonly _tag: "Trace"; readonly session: Resume; readonly outputFile: string | undefined }
  | {
      readonly _tag: "Sandbox"
      readonly words: ReadonlyArray<string>
      readonly cwd: string | undefined
      readonly config: ReadonlyArray<readonly [key: string, value: string]>
      readonly sandboxMode: SandboxMode | undefined
      readonly addedDirectories: ReadonlyArray<string>
    }
  | { readonly _tag: "Doctor" }
  | { readonly _tag: "ApplyPatch"; readonly patch: string | undefined }
  | { readonly _tag: "Help"; readonly topic: Topic }
  | { readonly _tag: "Version" }

type Values = ReadonlyMap<string, ReadonlyArray<string>>

/** Parses the words after the program's name. */
export const parse = (argv: ReadonlyArray<string>): Result.Result<Command, UsageError> => {
  try {
    return Result.succeed(command(argv))
  } catch (error) {
    if (error instanceof UsageError) return Result.fail(error)
    throw error
  }
}

const refuse = (topic: Topic, detail: string): never => {
  throw new UsageError({ detail, hint: `spindle ${topic === "" ? "" : `${topic} `}--help` })
}

const command = (argv: ReadonlyArray<string>): Command => {
  const options = optionsOf(argv[0])
  const { tokens } = parseArgs({ args: [...argv], strict: false, allowPositionals: true, tokens: true, options })
  const terminator = tokens.find((token) => token.kind === "option-terminator")?.index ?? Infinity
  const positionals = tokens.filter((token) => token.kind === "positional")
  // words after `--` are never commands
  const words = positionals.filter((token) => token.index < terminator).map((token) => token.value)
  const rest = positionals.map((token) => token.value)
  const asksHelp = tokens.some((token) => token.kind === "option" && (token.name === "help" || token.name === "h"))
  const topic = topicOf(words, asksHelp)
  const values = new Map<string, Array<string>>()
  for (const token of tokens) if (token.kind === "option") collect(topic, values, token)
  if (topic.help || values.has("help")) return { _tag: "Help", topic: topic.topic }
  if (values.has("version")) return { _tag: "Version" }
  return build(topic.topic, rest.slice(topic.wordsCount), values)
}

const optionsOf = (command: string | undefined) =>
  Object.fromEntries(
    Flags.flags.flatMap((flag) => {
      const isSwitch = flag.takes === undefined || flag.switchOf?.command === command
      const option = { type: isSwitch ? ("boolean" as const) : ("string" as const), multiple: true }
      const names: Array<[string, object]> = (flag.aliases ?? []).map((alias) => [alias, option])
      return [[flag.name, flag.short === undefined ? option : { ...option, short: flag.short }], ...names]
    })
  ) as { [name: string]: { type: "boolean" | "string" } }

interface Found {
  readonly topic: Topic
  readonly wordsCount: number
  readonly help: boolean
}

const topicOf = (words: ReadonlyArray<string>, asksHelp: boolean): Found => {
  const [first, second] = words
  const makeFound = (topic: Topic, wordsCount: number): Found => ({ topic, wordsCount, help: false })
  switch (first) {
    case undefined:
      return makeFound("", 0)
    case "help":
      return { ...topicOf(words.slice(1), true), help: true }
    case "exec":
    case "e":
      return second === "resume" ? makeFound("exec resume", 2) : makeFound("exec", 1)
    case "login":
      return second === "status" ? makeFound("login status", 2) : makeFound("login", 1)
    case "apply-patch":
    case "demo":
    case "doctor":
    case "logout":
    case "sandbox":
    case "trace":
    case "undo":
    case "review":
      return makeFound(first, 1)
    case "sessions":
    case "hooks":
    case "features":
    case "mcp": {
      const known = topicBelow(first, second)
      if (known !== undefined) return makeFound(known, 2)
      if (second === undefined) return makeFound(first, 1)
      if (asksHelp) return makeFound(first, words.length)
      return refuse(first, unknown(`command "${first} ${second}"`, Flags.nearestWord(second, commandsBelow[first])))
    }
  }
  if (first === "resume") return refuse("", unknown(`command "${first}"`, "spindle exec resume"))
  if (Flags.sessionsCommands.some((name) => name === first)) {
    return refuse("", unknown(`command "${first}"`, `spindle sessions ${first}`))
  }
  if (/\s/.test(first)) return refuse("", 'this is not a command; to run it as a prompt: spindle exec "PROMPT"')
  return refuse("", unknown(`command "${first}"`, Flags.nearestWord(first, [...commandNames, "help"])))
}

const commandNames =
  "exec, sessions, hooks, mcp, features, login, logout, trace, undo, review, demo, sandbox, doctor".split(", ")

const commandsBelow = {
  sessions: Flags.sessionsCommands,
  mcp: Flags.mcpCommands,
  hooks: Flags.hooksCommands,
  features: Flags.featuresCommands
}

const topicBelow = (first: keyof typeof commandsBelow, second: string | undefined): Topic | undefined => {
  const topic = `${first} ${second}`
  return commandsBelow[first].some((name) => name === second) ? (topic as Topic) : undefined
}

const unknown = (what: string, near: string | undefined): string =>
  `unknown ${what}${near === undefined ? "" : `; did you mean ${near}?`}`

interface OptionToken {
  readonly name: string
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

const collect = ({ topic }: Found, values: Map<string, Array<string>>, token: OptionToken): void => {
  const flag = Flags.find(token.name)
  const shown = token.rawName
  if (flag === undefined) {
    const names = Flags.flags.filter((one) => one.commands.includes(topic)).map((one) => one.name)
    const near = token.name === "v" ? "verbose or --version" : Flags.nearestWord(token.name, names)
    return refuse(topic, unknown(`flag ${shown}`, near === undefined ? undefined : `--${near}`))
  }
  if (flag.name !== "help" && flag.name !== "version" && !takesFlag(flag, topic)) {
    refuse(topic, `spindle${topic === "" ? " without a command" : ` ${topic}`} has no flag ${shown}`)
  }
  const before = values.get(flag.name)
  if (flag.takes === undefined || flag.switchOf?.command === topic) {
    if (token.value !== undefined) refuse(topic, `${shown} takes no value`)
    values.set(flag.name, [])
    return
  }
  if (before !== undefined && flag.repeats === undefined) refuse(topic, `${shown} is given twice`)
  values.set(flag.name, [...(before ?? []), valueOf(flag, topic, token)])
}

// the program without a command, and a command with others below it, accept every flag, to show help
const takesFlag = (flag: Flag, topic: Topic) =>
  topic === "" || topic === "sessions" || topic === "mcp" || flag.commands.includes(topic)

const valueOf = (flag: Flag, topic: Topic, token: OptionToken): string => {
  const shown = token.rawName
  const isShort = !shown.startsWith("--")
  const value = isShort && token.inlineValue === true ? token.value?.replace(/^=/, "") : token.value
  const missing =
    value === undefined || value === "" || (token.inlineValue !== true && value.length > 1 && value.startsWith("-"))
  if (missing) {
    const got =
      value === undefined || value === ""
        ? ""
        : `; "${value}" looks like a flag (write ${shown}=${value} to use it as the value)`
    return refuse(topic, `${shown} needs a value (${flag.choices?.join(", ") ?? flag.takes})${got}`)
  }
  if (flag.choices !== undefined && !flag.choices.includes(value)) {
    return refuse(topic, `${shown} takes one of ${flag.choices.join(", ")}, not "${value}"`)
  }
  return value
}

const configOf = (topic: Topic, values: Values) =>
  McpArguments.pairsOf("config", { values, refuse: (detail) => refuse(topic, detail) })

const build = (topic: Topic, rest: ReadonlyArray<string>, values: Values): Command => {
  const expectAtMost = (count: number, ask: string) =>
    rest.length > count ? refuse(topic, `unexpected "${rest[count]}"; ${ask}`) : undefined
  const resumeOf = (): Resume => {
    if (values.has("last")) return { _tag: "Last", all: values.has("all") }
    if (values.has("all")) return refuse(topic, "--all needs --last")
    return { _tag: "Id", id: rest[0] || refuse(topic, "give a session id, or --last") }
  }
  switch (topic) {
    case "":
      return refuse(topic, `a command is missing: ${commandNames.slice(0, -1).join(", ")} or ${commandNames.at(-1)}`)
    case "sessions":
    case "hooks":
    case "features":
    case "mcp":
      return refuse(topic, `a command is missing: ${commandsBelow[topic].join(", ")}`)
    case "sessions list":
    case "sessions show":
    case "sessions archive":
    case "sessions unarchive":
    case "sessions delete":
    case "sessions processes":
      return SessionArguments.sessionsOf(topic, { rest, values, refuse: (detail) => refuse(topic, detail) })
    case "hooks list":
    case "hooks trust":
      expectAtMost(0, `${topic} takes nothing else`)
      return topic === "hooks list" ? { _tag: "HooksList" } : { _tag: "HooksTrust" }
    case "mcp list":
    case "mcp add":
    case "mcp remove":
    case "mcp login":
    case "mcp logout": {
      const name = topic.slice("mcp ".length) as (typeof Flags.mcpCommands)[number]
      return McpArguments.commandOf(name, { rest, values, refuse: (detail) => refuse(topic, detail) })
    }
    case "features list":
      expectAtMost(0, "features list takes flags only")
      return { _tag: "FeaturesList", options: turnOptions(topic, values) }
    case "login":
    case "login status":
    case "logout":
      return AccountArguments.accountOf(topic, {
        rest,
        values,
        config: configOf(topic, values),
        refuse: (detail) => refuse(topic, detail)
      })
    case "trace": {
      const last = values.has("last")
      expectAtMost(last ? 0 : 1, "give one session id, or --last")
      return { _tag: "Trace", session: resumeOf(), outputFile: values.get("output")?.[0] }
    }
    case "undo":
      expectAtMost(1, "give one session id, or none for the last session of this directory")
      return undo(rest[0], values)
    case "review":
      expectAtMost(1, "put the instructions in quotes")
      return review(rest[0], values)
    case "demo":
      expectAtMost(0, "demo takes no prompt")
      return { _tag: "Demo", options: turnOptions(topic, values) }
    case "sandbox":
      return sandbox(topic, rest, values)
    case "doctor":
      expectAtMost(0, "doctor takes flags only")
      return values.has("sandbox") ? { _tag: "Doctor" } : refuse(topic, "say what to look at: --sandbox")
    case "apply-patch":
      expectAtMost(1, "put the patch in quotes")
      return { _tag: "ApplyPatch", patch: rest[0] }
    case "exec":
      expectAtMost(1, "put the prompt in quotes")
      return { _tag: "Exec", prompt: prompt(topic, rest[0]), resume: undefined, options: turnOptions(topic, values) }
    case "exec resume": {
      const last = values.has("last")
      expectAtMost(last ? 1 : 2, "put the prompt in quotes")
      const resume = resumeOf()
      return { _tag: "Exec", prompt: prompt(topic, rest[last ? 0 : 1]), resume, options: turnOptions(topic, values) }
    }
  }
}

const sandbox = (topic: Topic, words: ReadonlyArray<string>, values: Values): Command => {
  if (words.length === 0) refuse(topic, "give a command, after --")
  const { addedDirectories, config, cwd, sandboxMode } = turnOptions(topic, values)
  return { _tag: "Sandbox", words, cwd, config, sandboxMode, addedDirectories }
}

const undo = (id: string | undefined, values: Values): Command => ({
  _tag: "Undo",
  session: id === undefined ? { _tag: "Last", all: false } : { _tag: "Id", id },
  undo: TaskArguments.undoOf(values, (detail) => refuse("undo", detail)),
  options: turnOptions("undo", values)
})

const review = (text: string | undefined, values: Values): Command => ({
  _tag: "Review",
  ...TaskArguments.reviewOf(text, values, (detail) => refuse("review", detail)),
  options: turnOptions("review", values)
})

const prompt = (topic: Topic, text: string | undefined): Prompt => {
  if (text === undefined || text === "-") return { _tag: "Stdin", dash: text === "-" }
  return text.trim() === "" ? refuse(topic, "the prompt is empty") : { _tag: "Text", text }
}

const turnOptions = (topic: Topic, values: Values): TurnOptions => {
  const one = (name: string) => values.get(name)?.[0]
  const many = (name: string) => values.get(name) ?? []
  const bypass = values.has("dangerously-bypass-approvals-and-sandbox")
  const fullAuto = values.has("full-auto")
  for (const other of ["full-auto", "ask-for-approval", "sandbox"]) {
    if (bypass && values.has(other)) {
      refuse(topic, `--dangerously-bypass-approvals-and-sandbox cannot be used together with --${other}`)
    }
  }
  const approvalPolicy = (one("ask-for-approval") ?? (bypass ? "never" : fullAuto ? "on-request" : undefined)) as
    | ApprovalPolicy
    | undefined
  const sandboxMode = (one("sandbox") ?? (bypass ? "danger-full-access" : fullAuto ? "workspace-write" : undefined)) as
    | SandboxMode
    | undefined
  return {
    json: values.has("json"),
    color: (one("color") ?? "auto") as ColorMode,
    cwd: one("cd"),
    model: one("model"),
    config: configOf(topic, values),
    approvalPolicy,
    sandboxMode,
    outputSchemaFile: one("output-schema"),
    lastMessageFile: one("output-last-message"),
    images: many("image").flatMap((files) => files.split(",").filter((file) => file !== "")),
    addedDirectories: many("add-dir"),
    threadSource: one("thread-source"),
    telemetry: values.has("otel"),
    trace: values.has("trace"),
    verbose: values.has("verbose"),
    strictConfig: values.has("strict-config"),
    features: FeatureArguments.featuresOf(many("enable"), many("disable"), (detail) => refuse(topic, detail))
  }
}
