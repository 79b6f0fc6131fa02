/**
 * The flags of the program as one table. The command line is parsed with it, and `--help` prints it.
 *
 * The names are those of the reference's `exec`, so that programs that drive it can drive this one.
 */
import { approvalPolicies, sandboxModes } from "@spindle/app/Settings"

/** The commands below `sessions`. */
export const sessionsCommands = ["list", "show", "archive", "unarchive", "delete", "processes"] as const

/** The commands below `hooks`. */
export const hooksCommands = ["list", "trust"] as const

/** The commands below `mcp`. */
export const mcpCommands = ["list", "add", "remove", "login", "logout"] as const

/** The commands below `features`. */
export const featuresCommands = ["list"] as const

/** The commands, as the words that name them. */
export const topics = [
  "",
  "exec",
  "exec resume",
  "sessions",
  "sessions list",
  "sessions show",
  "sessions archive",
  "sessions unarchive",
  "sessions delete",
  "sessions processes",
  "hooks",
  "hooks list",
  "hooks trust",
  "mcp",
  "mcp list",
  "mcp add",
  "mcp remove",
  "mcp login",
  "mcp logout",
  "features",
  "features list",
  "login",
  "login status",
  "logout",
  "trace",
  "undo",
  "review",
  "demo",
  "sandbox",
  "doctor",
  "apply-patch"
] as const
/** @see {@link topics} */
export type Topic = (typeof topics)[number]

/**
 * One flag. `takes` names its value in the help; a flag without it is a switch. `choices` lists the allowed values,
 * `repeats` allows the flag more than once, and `aliases` are other long names. For the command in `switchOf` the flag
 * takes no value and has another summary.
 */
export interface Flag {
  readonly name: string
  readonly short?: string
  readonly aliases?: ReadonlyArray<string>
  readonly takes?: string
  readonly choices?: ReadonlyArray<string>
  readonly repeats?: true
  readonly switchOf?: { readonly command: Topic; readonly summary: string }
  readonly commands: ReadonlyArray<Topic>
  readonly summary: string
}

/** The modes of `--color`. `auto` writes colours to a terminal. */
export const colorModes = ["auto", "always", "never"] as const
/** @see {@link colorModes} */
export type ColorMode = (typeof colorModes)[number]

const turns: ReadonlyArray<Topic> = ["exec", "exec resume", "demo"]
const exec: ReadonlyArray<Topic> = ["exec", "exec resume"]
const tasks: ReadonlyArray<Topic> = ["undo", "review"]
const accounts: ReadonlyArray<Topic> = ["login", "login status", "logout"]

/** Every flag, in the order of the help. */
export const flags: ReadonlyArray<Flag> = [
  {
    name: "json",
    aliases: ["experimental-json"],
    commands: [...turns, ...tasks, "sessions list", "sessions show", "sessions processes", "mcp list", "features list"],
    summary: "write one JSON object a line to stdout"
  },
  { name: "cd", short: "C", takes: "DIR", commands: [...exec, ...tasks, "sandbox"], summary: "work in this directory" },
  { name: "model", short: "m", takes: "MODEL", commands: [...turns, "review"], summary: "the model to ask" },
  {
    name: "config",
    short: "c",
    takes: "KEY=VALUE",
    repeats: true,
    commands: [...turns, ...tasks, ...accounts, "features list", "sandbox"],
    summary: "override a key of config.toml; dotted keys, TOML values"
  },
  {
    name: "enable",
    takes: "FEATURE",
    repeats: true,
    commands: [...turns, ...tasks, "features list"],
    summary: "switch a feature on (see spindle features list)"
  },
  {
    name: "disable",
    takes: "FEATURE",
    repeats: true,
    commands: [...turns, ...tasks, "features list"],
    summary: "switch a feature off"
  },
  {
    name: "ask-for-approval",
    short: "a",
    takes: "POLICY",
    choices: approvalPolicies,
    commands: turns,
    summary: "when to ask before running something; never: refuse instead of asking"
  },
  {
    name: "sandbox",
    short: "s",
    takes: "MODE",
    choices: sandboxModes,
    commands: [...turns, "sandbox", "doctor"],
    switchOf: { command: "doctor", summary: "try every way out of the sandbox" },
    summary: "what commands may touch"
  },
  {
    name: "full-auto",
    commands: turns,
    summary: "short for -s workspace-write -a on-request"
  },
  {
    name: "dangerously-bypass-approvals-and-sandbox",
    commands: turns,
    summary: "run everything without asking; for machines that are sandboxed from outside"
  },
  {
    name: "skip-git-repo-check",
    commands: exec,
    summary: "accepted and without effect: a repository is never required"
  },
  { name: "output-schema", takes: "FILE", commands: exec, summary: "a JSON Schema that the final answer must follow" },
  {
    name: "output-last-message",
    short: "o",
    takes: "FILE",
    commands: [...turns, "review"],
    summary: "write the final answer to this file"
  },
  {
    name: "image",
    short: "i",
    takes: "FILE",
    repeats: true,
    commands: exec,
    summary: "an image for the prompt; repeat the flag, or separate files with commas"
  },
  {
    name: "add-dir",
    takes: "DIR",
    repeats: true,
    commands: [...exec, "sandbox"],
    summary: "let commands write in this directory, too, with -s workspace-write"
  },
  {
    name: "all",
    commands: ["sessions list", "exec resume", "trace"],
    summary: "list every session, sub-agents too (as --json does), not the latest 50; with --last: of any directory"
  },
  {
    name: "last",
    commands: ["exec resume", "trace"],
    summary: "the most recent session of this directory (never a sub-agent)"
  },
  {
    name: "verbose",
    commands: [...turns, ...tasks, "sessions show"],
    summary: "show output and long lines in full; without it they are folded at a terminal"
  },
  {
    name: "strict-config",
    commands: [...turns, ...tasks],
    summary: "refuse keys of the configuration that are unknown or ignored, instead of naming them"
  },
  { name: "archived", commands: ["sessions list"], summary: "list the archived sessions instead" },
  { name: "turns", takes: "N", commands: ["undo"], summary: "undo the last N turns that changed files; default 1" },
  { name: "dry-run", commands: ["undo"], summary: "show what an undo would change, and change nothing" },
  { name: "force", commands: ["undo"], summary: "restore files even if they were changed since" },
  { name: "redo", commands: ["undo"], summary: "take the last undo back" },
  { name: "uncommitted", commands: ["review"], summary: "review what is not committed; the default" },
  { name: "base", takes: "BRANCH", commands: ["review"], summary: "review what differs from this branch" },
  { name: "commit", takes: "SHA", commands: ["review"], summary: "review one commit" },
  {
    name: "fail-on",
    takes: "PRIORITY",
    choices: ["0", "1", "2", "3"],
    commands: ["review"],
    summary: "exit with 4 for a finding of this priority or a more urgent one; 0 is the most urgent"
  },
  {
    name: "tail",
    takes: "PROCESS",
    commands: ["sessions processes"],
    summary: "print the last output of a process"
  },
  {
    name: "end",
    takes: "PROCESS",
    commands: ["sessions processes"],
    summary: "end a process with everything that it started, or all of the session with `all`"
  },
  {
    name: "otel",
    commands: [...turns, "review"],
    summary:
      "send traces and metrics over OTLP, to the endpoint in [otel] or OTEL_EXPORTER_OTLP_ENDPOINT, or to localhost:4318"
  },
  { name: "trace", commands: [...turns, "review"], summary: "write the tree of spans to stderr at the end" },
  {
    name: "output",
    aliases: ["out"],
    takes: "FILE",
    commands: ["trace"],
    summary: "write the page to this file, not below the home; - is stdout"
  },
  { name: "url", takes: "URL", commands: ["mcp add"], summary: "the address of a server over HTTP" },
  {
    name: "bearer-token-env-var",
    takes: "NAME",
    commands: ["mcp add"],
    summary: "the variable that holds the token for --url"
  },
  {
    name: "env",
    takes: "KEY=VALUE",
    repeats: true,
    commands: ["mcp add"],
    summary: "a variable for the command of the server"
  },
  { name: "no-browser", commands: ["mcp login"], summary: "print the address of the login and open no browser" },
  {
    name: "scopes",
    takes: "LIST",
    commands: ["mcp login"],
    summary: "the permissions to ask for, separated by commas or spaces; default: those that the server names"
  },
  { name: "with-api-key", commands: ["login"], summary: "read the key from stdin" },
  {
    name: "provider",
    takes: "NAME",
    commands: accounts,
    summary: "a provider of config.toml, or openai; default: model_provider"
  },
  { name: "thread-source", takes: "NAME", commands: exec, summary: "what started the session, for its record" },
  { name: "cyber-access-program", commands: exec, summary: "accepted and without effect" },
  {
    name: "color",
    takes: "WHEN",
    choices: colorModes,
    commands: [...turns, ...tasks, "sessions list", "sessions show"],
    summary: "colours; auto means on a terminal and without NO_COLOR"
  },
  { name: "help", short: "h", commands: topics, summary: "show this help" },
  { name: "version", short: "V", commands: topics, summary: "show the version" }
]

/** Returns the flag with a name or alias, without dashes. */
export const find = (name: string): Flag | undefined =>
  flags.find((flag) => flag.name === name || flag.aliases?.includes(name) === true)

/** Returns the word that a mistyped one is likely to mean; undefined if none is near enough. */
export const nearestWord = (word: string, known: ReadonlyArray<string>): string | undefined => {
  let best: string | undefined
  let least = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const candidate of known) {
    const distance = word.length > 2 && candidate.startsWith(word) ? 1 : editDistance(word, candidate)
    if (distance < least) {
      best = candidate
      least = distance
    }
  }
  return best
}

const editDistance = (from: string, to: string): number => {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let line = 1; line <= from.length; line++) {
    const next = [line]
    for (let column = 1; column <= to.length; column++) {
      const replaced = row[column - 1]! + (from[line - 1] === to[column - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[column]! + 1, next[column - 1]! + 1))
    }
    row = next
  }
  return row[to.length]!
}
