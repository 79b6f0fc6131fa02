/**
 * The texts of `--help`, written from the table of flags.
 */
import type { Flag, Topic } from "./Flags.ts"
import * as Wrapping from "../output/wrapping.ts"
import { flags } from "./Flags.ts"

/** The exit codes of the program, in addition to 128 + the number of the signal that ended it. */
export const exitCodes = {
  /** The work is done. */
  ok: 0,
  /** The turn failed, or an error occurred while running. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The turn completed, but everything that it asked for was refused, because nobody could be asked. */
  refused: 3,
  /** A review found something as urgent as `--fail-on` says. */
  findings: 4,
  /** The configuration is wrong or incomplete, or this Node.js is too old (EX_CONFIG of sysexits). */
  configuration: 78
} as const

interface Page {
  readonly usage: ReadonlyArray<string>
  readonly about: string
  readonly commands?: ReadonlyArray<readonly [name: string, summary: string]>
  readonly more?: ReadonlyArray<string>
  readonly examples: ReadonlyArray<readonly [command: string, what: string]>
  /** The exit codes, if they mean something else than for most commands. */
  readonly exits?: ReadonlyArray<readonly [code: string, meaning: string]>
}

const pages: { readonly [topic in Topic]: Page } = {
  "": {
    usage: ["spindle COMMAND [FLAGS]"],
    about: "Runs supervised agent sessions.",
    commands: [
      ["exec [PROMPT | -]", "run one prompt and exit"],
      ["exec resume ID [PROMPT]", "continue a session (--last: the most recent one of this directory)"],
      ["sessions list", "list the sessions of this machine"],
      ["sessions show ID", "show one session"],
      ["sessions archive ID", "hide a session from the list (undo: unarchive ID)"],
      ["sessions delete ID", "delete a session and all that is kept of it"],
      ["sessions processes ID", "list the running processes of a session (--end: end them)"],
      ["hooks list", "list the commands that run as hooks here"],
      ["mcp list", "list the MCP servers (mcp add, remove, login, logout)"],
      ["features list", "list what can be switched on and off"],
      ["login", "store the key of a model provider (login status, logout)"],
      ["trace ID", "write a session as an HTML page (--last: as above)"],
      ["undo [ID]", "take back what the last turn changed in the files"],
      ["review [TEXT]", "review changes, and list what is wrong with them"],
      ["demo", "watch a scripted model repair a small project; needs no key and no network"],
      ["sandbox -- COMMAND", "run a command in the sandbox, to see what it may do"],
      ["doctor --sandbox", "try every way out of the sandbox of this machine"],
      ["apply-patch [PATCH]", "apply a patch of an agent to the files below this directory"]
    ],
    more: [
      "Configuration: config.toml in $SPINDLE_HOME, else in $CODEX_HOME (only read), else in ~/.spindle.",
      "Sessions are stored in $SPINDLE_HOME, else in ~/.spindle. The beginning of an id is enough if it is unique."
    ],
    examples: [
      ["spindle demo", "no key needed"],
      ['spindle exec "fix the failing test"', ""],
      ["spindle exec --help", "flags and examples of a command"]
    ]
  },
  exec: {
    usage: ["spindle exec [FLAGS] [PROMPT | -]", "spindle exec [FLAGS] resume ID | --last [PROMPT | -]"],
    about:
      "Runs one prompt and exits. Without a prompt, or with -, the prompt is read from stdin.\n" +
      "With a prompt, a pipe or file on stdin is added to it.\n" +
      "The final answer is written to stdout, everything else to stderr. If both are one terminal, it is written once.\n" +
      "At a terminal, the prompt !COMMAND runs a command in your shell, without a sandbox. The model reads it in the next turn.",
    more: ["Put `--` before a prompt that begins with a dash or is a command's name."],
    examples: [
      ['spindle exec --trace "explain this repository"', "the tree of spans at the end"],
      ['git diff | spindle exec "review this"', "stdin is added to the prompt"],
      ["git diff | spindle exec --json -", "one JSON event a line"],
      ['spindle exec -C ../api -m gpt-5 "update the changelog"', ""],
      ['spindle exec -c model_providers.local.base_url=http://127.0.0.1:8080/v1 -c model_provider=local "hello"', ""]
    ]
  },
  "exec resume": {
    usage: ["spindle exec [FLAGS] resume ID [PROMPT | -]", "spindle exec [FLAGS] resume --last [PROMPT | -]"],
    about:
      "Continues a session, even if it was interrupted or killed.\n" +
      "The prompt /compact shortens its conversation to your newest messages and a summary.",
    examples: [
      ['spindle exec resume --last "now add a test"', ""],
      ["spindle exec resume --last /compact", "shorten the conversation"],
      ['spindle exec resume 0199a213-81c0-7800-8aa1-bbab2a035a53 "continue"', ""]
    ]
  },
  sessions: {
    usage: [
      "spindle sessions list [FLAGS]",
      "spindle sessions show ID [FLAGS]",
      "spindle sessions archive ID",
      "spindle sessions unarchive ID",
      "spindle sessions delete ID",
      "spindle sessions processes ID [FLAGS]"
    ],
    about: "Lists, shows, archives and deletes sessions, and ends their processes.",
    examples: [["spindle sessions list --help", "flags and examples of a command"]]
  },
  "sessions list": {
    usage: ["spindle sessions list [FLAGS]"],
    about: "Lists sessions, the most recent first. Sub-agents are listed only with --all.",
    examples: [
      ["spindle sessions list", ""],
      ["spindle sessions list --json", "one JSON object a line"],
      ["spindle sessions list --archived", "the archived sessions"]
    ]
  },
  "sessions archive": {
    usage: ["spindle sessions archive ID"],
    about:
      "Hides a session from the list. Nothing is deleted. The session can be shown, but not resumed until it is unarchived.",
    examples: [["spindle sessions archive 0199a213-81c0-7800-8aa1-bbab2a035a53", ""]]
  },
  "sessions unarchive": {
    usage: ["spindle sessions unarchive ID"],
    about: "Puts an archived session back into the list.",
    examples: [["spindle sessions unarchive 0199a213-81c0-7800-8aa1-bbab2a035a53", ""]]
  },
  "sessions delete": {
    usage: ["spindle sessions delete ID"],
    about:
      "Deletes a session with its sub-agents: their journals, their snapshots of files, and their pages of `spindle trace`.\n" +
      "This cannot be undone. What the session changed in your files stays, and so does what its model provider has received.",
    examples: [["spindle sessions delete 0199a213-81c0-7800-8aa1-bbab2a035a53", ""]]
  },
  "sessions processes": {
    usage: [
      "spindle sessions processes ID [--json]",
      "spindle sessions processes ID --tail PROCESS",
      "spindle sessions processes ID --end PROCESS | all"
    ],
    about:
      "Lists the processes of a session that run, even while another spindle runs the session. PROCESS is the id of one, or the beginning of it.\n" +
      "If no spindle runs the session, the output of a process is what the agent has read.",
    examples: [
      ["spindle sessions processes 0199a213", ""],
      ["spindle sessions processes 0199a213 --end all", ""]
    ]
  },
  "sessions show": {
    usage: ["spindle sessions show ID [FLAGS]"],
    about: "Prints the transcript of a session.",
    examples: [["spindle sessions show 0199a213-81c0-7800-8aa1-bbab2a035a53", ""]]
  },
  hooks: {
    usage: ["spindle hooks list", "spindle hooks trust"],
    about: "Lists the commands that run as hooks here, and trusts those of the project.",
    examples: [["spindle hooks list --help", "what a command prints"]]
  },
  "hooks list": {
    usage: ["spindle hooks list"],
    about: "Lists hooks, one a line: event, matcher, whether it runs, command, file.",
    examples: [["spindle hooks list", ""]]
  },
  "hooks trust": {
    usage: ["spindle hooks trust"],
    about: "Lets the hooks in .spindle/hooks.json of the project run, until that file changes. Read it first.",
    examples: [["spindle hooks trust", ""]]
  },
  mcp: {
    usage: [
      "spindle mcp list [--json]",
      "spindle mcp add NAME ...",
      "spindle mcp remove NAME",
      "spindle mcp login NAME [FLAGS]",
      "spindle mcp logout NAME"
    ],
    about:
      "Lists, adds and removes the MCP servers of config.toml, and logs in to them. Their tools are named mcp__NAME__TOOL.",
    examples: [["spindle mcp add --help", "flags and examples of a command"]]
  },
  "mcp list": {
    usage: ["spindle mcp list [--json]"],
    about: "Lists the MCP servers of config.toml.",
    examples: [["spindle mcp list --json", "one JSON object a line"]]
  },
  "mcp add": {
    usage: ["spindle mcp add NAME [--env KEY=VALUE] -- COMMAND [ARGS]", "spindle mcp add NAME --url URL [FLAGS]"],
    about: "Adds an MCP server to config.toml: a command that speaks over its standard streams, or an address.",
    examples: [
      ["spindle mcp add files -- npx -y @modelcontextprotocol/server-filesystem .", ""],
      ["spindle mcp add docs --url https://example.org/mcp --bearer-token-env-var DOCS_TOKEN", ""]
    ]
  },
  "mcp remove": {
    usage: ["spindle mcp remove NAME"],
    about: "Removes an MCP server from config.toml, and the login to it.",
    examples: [["spindle mcp remove docs", ""]]
  },
  "mcp login": {
    usage: ["spindle mcp login NAME [FLAGS]"],
    about:
      "Logs in to an MCP server over HTTP with the browser. The token is stored in the home, for this user only, and renewed when needed.",
    more: [
      "The browser must run on this machine: it comes back to an address of it. The login ends after five minutes."
    ],
    examples: [
      ["spindle mcp login docs", ""],
      ["spindle mcp login docs --no-browser", "print the address only"],
      ['spindle mcp login docs --scopes "read write"', "ask for other permissions"]
    ]
  },
  "mcp logout": {
    usage: ["spindle mcp logout NAME"],
    about: "Removes the login to an MCP server from this machine.",
    examples: [["spindle mcp logout docs", ""]]
  },
  features: {
    usage: ["spindle features list [FLAGS]"],
    about: "Lists the features that can be switched on and off.",
    examples: [["spindle features list --help", "flags and examples of a command"]]
  },
  "features list": {
    usage: ["spindle features list [FLAGS]"],
    about:
      "Lists features: name, stage, whether it is on, and what it does.\n" +
      "To switch one: --enable and --disable of a command, or the table [features] of config.toml.",
    examples: [
      ["spindle features list", ""],
      ["spindle features list --enable js_repl --json", "one JSON object a line"]
    ]
  },
  login: {
    usage: ["spindle login --with-api-key [FLAGS]", "spindle login status [FLAGS]"],
    about:
      "Stores the key of a model provider: in auth.json of the home, which only you can read, or in the keyring of the system\n" +
      'with cli_auth_credentials_store = "keyring" in config.toml. The key is read from stdin.\n' +
      "A variable of the environment, such as OPENAI_API_KEY, wins over it.",
    examples: [
      ["printenv OPENAI_API_KEY | spindle login --with-api-key", ""],
      ["cat key.txt | spindle login --with-api-key --provider mistral", ""]
    ]
  },
  "login status": {
    usage: ["spindle login status [FLAGS]"],
    about: "Prints where the key of a model provider comes from, and never the key. Exits with 1 if there is none.",
    examples: [["spindle login status", ""]]
  },
  logout: {
    usage: ["spindle logout [FLAGS]"],
    about: "Removes the key that login has stored.",
    examples: [["spindle logout", ""]]
  },
  trace: {
    usage: ["spindle trace ID | --last [FLAGS]"],
    about:
      "Writes one session as one HTML file: its turns, model requests, tool calls, processes and questions on a time line.",
    more: ["The page contains prompts, answers and output. To send spans to a collector, see --otel of spindle exec."],
    examples: [
      ["spindle trace --last", "writes traces/ID.html below the home and prints its path"],
      ["spindle trace 0199a213-81c0-7800-8aa1-bbab2a035a53 --output turn.html", ""]
    ]
  },
  undo: {
    usage: ["spindle undo [ID] [FLAGS]"],
    about:
      "Takes back what the last turn of a session changed in the files of a git repository, and tells the model.\n" +
      "Without an id, it is the last session of this directory. Files that were changed since are kept or named.",
    examples: [
      ["spindle undo --dry-run", "what would change"],
      ["spindle undo --turns 2", ""],
      ["spindle undo --redo", "take the undo back"]
    ]
  },
  review: {
    usage: ["spindle review [FLAGS] [TEXT]"],
    about:
      "Reviews changes in a git repository and lists what is wrong with them. It changes nothing.\n" +
      "The findings are written to stdout, everything else to stderr.",
    examples: [
      ["spindle review", "what is not committed"],
      ["spindle review --base main --fail-on 1", "for CI"],
      ['spindle review "is the parser safe for untrusted input?"', ""]
    ]
  },
  demo: {
    usage: ["spindle demo [FLAGS]"],
    about:
      "Repairs a small project with a failing test, in a scratch copy. HTTP, processes, files, journal and approvals are real.\n" +
      "The model is a script, unless a key or a model provider is configured.",
    examples: [
      ["spindle demo", ""],
      ["spindle demo --json", "the events of the turn"]
    ]
  },
  sandbox: {
    usage: ["spindle sandbox [FLAGS] -- COMMAND [ARGUMENTS]"],
    about:
      "Runs a command as an agent would run it, and exits with its code. Both output streams are written to stdout.\n" +
      "Standard input is empty. Without --sandbox, the mode is that of the configuration, else read-only.",
    examples: [
      ["spindle sandbox -- touch file", "fails: read-only"],
      ["spindle sandbox -s workspace-write -- npm test", "may write in this directory, but not in .git"],
      ["spindle sandbox -s workspace-write -c sandbox_workspace_write.network_access=true -- npm ci", ""]
    ],
    exits: [
      ["N", "the exit code of the command, or 128 + the number of the signal that ended it"],
      ["1", "the command was not run: there is no sandbox here, or the command cannot be started"],
      ["2", "the command line is wrong"],
      ["78", "the configuration is wrong or incomplete, or Node.js is too old"],
      ["130", "stopped by Ctrl-C (129 by HUP, 143 by TERM); a second Ctrl-C ends at once"]
    ]
  },
  doctor: {
    usage: ["spindle doctor --sandbox"],
    about:
      "Tries to leave the sandbox of this machine in every known way, in a scratch directory, and prints what happened.\n" +
      "Most attempts are written in Perl, which must be installed.",
    examples: [["spindle doctor --sandbox", ""]],
    exits: [
      ["0", "the sandbox held against every attempt"],
      ["1", "one of them got out, or there is no sandbox here"],
      ["2", "the command line is wrong"],
      ["78", "Node.js is too old"],
      ["130", "stopped by Ctrl-C (129 by HUP, 143 by TERM); a second Ctrl-C ends at once"]
    ]
  },
  "apply-patch": {
    usage: ["spindle apply-patch [PATCH]"],
    about:
      "Applies a patch, in the format of the tool apply_patch, to the files below this directory: completely, or not at all.\n" +
      "Without PATCH it is read from stdin. Commands of an agent find this program as apply_patch.",
    examples: [["cat changes.patch | spindle apply-patch", ""]]
  }
}

const exits: ReadonlyArray<readonly [string, string]> = [
  ["0", "done"],
  ["1", "the turn failed, or an error occurred while running"],
  ["2", "the command line is wrong"],
  ["3", "the turn completed, but everything it asked for was refused, because nobody could be asked"],
  ["4", "a review found something as urgent as --fail-on says"],
  ["78", "the configuration is wrong or incomplete, or Node.js is too old"],
  ["130", "stopped by Ctrl-C (129 by HUP, 143 by TERM); a second Ctrl-C ends at once"]
]

/** Returns the help of a topic, in lines of at most so many columns, except examples. It ends with a line break. */
export const text = (topic: Topic, columns = Infinity): string => {
  const page = pages[topic]
  const own = flags
    .filter((flag) => flag.commands.includes(topic))
    .map((flag) => (flag.switchOf?.command === topic ? switchOf(flag, flag.switchOf.summary) : flag))
  const sections = [
    page.usage.map((line, index) => `${index === 0 ? "Usage: " : "       "}${line}`).join("\n"),
    Wrapping.all(page.about, columns),
    ...(page.commands === undefined ? [] : [`Commands:\n${table(page.commands, columns)}`]),
    `Flags:\n${table(
      own.map((flag) => [leftColumn(flag), rightColumn(flag)]),
      columns
    )}`,
    ...(page.more === undefined ? [] : [Wrapping.all(page.more.join("\n"), columns)]),
    `Examples:\n${page.examples.map(([line, what]) => `  ${line}${what === "" ? "" : `   # ${what}`}`).join("\n")}`,
    `Exit codes:\n${table(page.exits ?? exits, columns)}`
  ]
  return `${sections.join("\n\n")}\n`
}

/** Returns a flag as it is shown for the command for which it takes no value. */
const switchOf = ({ commands, name, short }: Flag, summary: string): Flag => ({
  name,
  ...(short === undefined ? {} : { short }),
  commands,
  summary
})

const leftColumn = (flag: Flag): string => {
  const short = flag.short === undefined ? "    " : `-${flag.short}, `
  return `${short}--${flag.name}${flag.takes === undefined ? "" : ` ${flag.takes}`}`
}

const rightColumn = (flag: Flag): string => {
  const aliases = flag.aliases === undefined ? "" : ` (also ${flag.aliases.map((alias) => `--${alias}`).join(", ")})`
  return `${flag.summary}${flag.choices === undefined ? "" : `: ${flag.choices.join(", ")}`}${aliases}`
}

const table = (rows: ReadonlyArray<readonly [string, string]>, columns: number): string => {
  const longest = Math.min(32, Math.max(...rows.map(([name]) => name.length)))
  // below the name where there is no room next to it
  const width = columns < longest + 34 ? 4 : longest
  const indent = " ".repeat(width + 4)
  return rows
    .map(([name, summary]) => {
      const right = Wrapping.all(summary, Math.max(10, columns - indent.length)).replaceAll("\n", `\n${indent}`)
      return name.length > width ? `  ${name}\n${indent}${right}` : `  ${name.padEnd(width)}  ${right}`
    })
    .join("\n")
}
