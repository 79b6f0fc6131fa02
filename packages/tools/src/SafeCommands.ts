/**
 * Commands that only read, so that they can run without a question: they write no file, start no other program and
 * change no state, whatever their arguments. A program that can do so is on the list only with arguments that rule it
 * out.
 */
import type { Command } from "./ShellWords.ts"

type Args = ReadonlyArray<string>

const always = (): boolean => true
const hasNone =
  (pattern: RegExp) =>
  (args: Args): boolean =>
    !args.some((arg) => pattern.test(arg))
const hasOnly =
  (pattern: RegExp) =>
  (args: Args): boolean =>
    args.every((arg) => pattern.test(arg))

const readers =
  "basename cat cd cut dirname echo expr false grep head id ls nl paste pwd readlink realpath rev seq stat tac tail tr true uname wc which whoami"

// options that write to a file, that run a program named by the configuration or by their value, and the abbreviations
// of such options
const gitWrites = /^--(?:o(?!neline$)|ext|exec|textc|show-si)/

const gitCommands: ReadonlyMap<string, (args: Args) => boolean> = new Map([
  ["branch", hasOnly(/^(?:-a|-r|-v|-vv|--all|--list|--remotes|--show-current|--verbose)$/)],
  ["diff", hasNone(gitWrites)],
  ["log", hasNone(gitWrites)],
  ["ls-files", always],
  ["rev-parse", always],
  ["show", hasNone(gitWrites)],
  ["status", always]
])

const programs: ReadonlyMap<string, (args: Args) => boolean> = new Map<string, (args: Args) => boolean>([
  ...readers.split(" ").map((name) => [name, always] as const),
  ["find", hasNone(/^-(?:exec|ok|delete|fls|fprint)/)],
  // an option before the name of the command, such as -c, can name a program to run
  ["git", ([command = "", ...args]) => gitCommands.get(command)?.(args) ?? false],
  ["rg", hasNone(/^(?:--(?:pre|hostname-bin|search-zip)|-[^-]*z)/)],
  // one range of lines
  ["sed", ([n, range = "", ...files]) => n === "-n" && /^\d+(?:,\d+)?p$/.test(range) && hasNone(/^-/)(files)],
  // a second file would be written
  ["uniq", (args) => args.filter((arg) => !arg.startsWith("-")).length <= 1]
])

const isSafe = ([program = "", ...args]: Command): boolean => programs.get(program)?.(args) ?? false

/**
 * True if every command of a line only reads. `isElsewhere` is true if the line does not run in the directory of the
 * session. A line that runs git there, or changes the directory first, does not count: the configuration of that
 * repository could name a program to run.
 */
export const areSafe = (commands: ReadonlyArray<Command>, isElsewhere = false): boolean => {
  const calls = (name: string) => commands.some(([program]) => program === name)
  return commands.every(isSafe) && !(calls("git") && (isElsewhere || calls("cd")))
}
