/**
 * The files with rules about commands: `rules/*.rules` in the home of Spindle, and `.spindle/rules/*.rules` in the
 * project.
 *
 * A file of the project applies only while `rules/trusted` in the home lists its content, as `sha256sum` prints it. So
 * an agent that can write to the project cannot give itself more authority. The files are read for each command, so a
 * change holds at once in every session.
 */
import { createHash } from "node:crypto"
import * as FileSystem from "node:fs"
import * as Path from "node:path"
import type { SessionObserver } from "@spindle/core/SessionObserver"
import * as CommandApproval from "@spindle/tools/CommandApproval"
import * as CommandRules from "@spindle/tools/CommandRules"
import type { Command } from "@spindle/tools/ShellWords"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import * as Directories from "./storage/Directories.ts"
import * as RegularFile from "./storage/RegularFile.ts"

/** The sources of rules. */
export interface Places {
  readonly home: string
  readonly cwd: string
}

/** The rules that apply, and the files of the project that do not. */
export interface RuleFiles extends CommandRules.Rules {
  readonly untrusted: ReadonlyArray<string>
}

const directoryOf = (home: string): string => Path.join(home, "rules")
const trustedFile = (home: string): string => Path.join(directoryOf(home), "trusted")
const amendedFile = (home: string): string => Path.join(directoryOf(home), "default.rules")

/** Reads the rules that hold now. A file that cannot be read makes no command more permissive. */
export const read = ({ cwd, home }: Places): RuleFiles => {
  const directory = directoryOf(home)
  const { error, files } = filesIn(directory)
  const all = files.map(readRules)
  if (error !== undefined) all.push(CommandRules.makeUnreadable(directory, `cannot list it: ${error}`))
  const untrusted: Array<string> = []
  const isTrusted = trustedContents(home)
  for (const file of filesIn(Path.join(cwd, ".spindle", "rules")).files) {
    const content = contentOf(file)
    if ("error" in content || !isTrusted(file, content.bytes)) untrusted.push(file)
    else all.push(CommandRules.parse(file, content.bytes.toString("utf8")))
  }
  return { ...CommandRules.concat(all), untrusted }
}

/** Returns the warnings for a person about the rules, one line each. */
export const warningsOf = (home: string, { problems, untrusted }: RuleFiles): ReadonlyArray<string> => [
  ...problems.map((problem) => `${CommandRules.textOf(problem)}: ${problem.message}`),
  ...untrusted.map(
    (file) => `the rules in ${file} do not apply; to trust them: sha256sum '${file}' >> '${trustedFile(home)}'`
  )
]

/** Returns the rules that an answer with this amendment adds, as lines of a file; none if it is not an amendment. */
export const linesOf = (amendment: unknown): ReadonlyArray<string> =>
  CommandApproval.amendmentOf(amendment)?.map(CommandRules.allowLine) ?? []

/** Adds the rules that allow these commands to the home, each once. Throws the errors of the file system. */
export const allowUnsafe = (home: string, commands: ReadonlyArray<Command>): void => {
  const file = amendedFile(home)
  const content = contentOf(file)
  if ("error" in content && content.error !== "ENOENT") throw new Error(`${file}: ${content.error}`)
  const text = "error" in content ? "" : content.bytes.toString("utf8")
  const present = new Set(text.split("\n"))
  const lines = [...new Set(commands.map(CommandRules.allowLine))].filter((line) => !present.has(line))
  if (lines.length === 0) return
  Directories.makeUnsafe(Path.dirname(file))
  FileSystem.appendFileSync(file, `${text === "" || text.endsWith("\n") ? "" : "\n"}${lines.join("\n")}\n`)
}

/**
 * Returns an observer that adds the rules which an answer allows to the home. A failure is logged, because the answer itself
 * holds. The fibers that log belong to the scope.
 */
export const amendments = (home: string): Effect.Effect<SessionObserver, never, Scope.Scope> =>
  Effect.map(FiberSet.makeRuntime(), (run) => ({
    onEvent: (_, event) => {
      if (event._tag !== "QuestionSettled" || event.decision._tag !== "Approved") return
      const commands = CommandApproval.amendmentOf(event.decision.amendment)
      if (commands === undefined) return
      try {
        allowUnsafe(home, commands)
      } catch (error) {
        run(Effect.logWarning(`cannot write the rule: ${(error as Error).message}`))
      }
    }
  }))

const readRules = (file: string): CommandRules.Rules => {
  const content = contentOf(file)
  return "error" in content
    ? CommandRules.makeUnreadable(file, `cannot read it: ${content.error}`)
    : CommandRules.parse(file, content.bytes.toString("utf8"))
}

/** Returns the rule files of a directory in the order of their names, or the error if they cannot be listed. */
const filesIn = (directory: string): { readonly files: ReadonlyArray<string>; readonly error?: string } => {
  try {
    const names = FileSystem.readdirSync(directory).filter((name) => name.endsWith(".rules"))
    return { files: names.toSorted().map((name) => Path.join(directory, name)) }
  } catch (error) {
    const code = codeOf(error)
    return code === "ENOENT" ? { files: [] } : { files: [], error: code }
  }
}

const contentOf = (file: string): { readonly bytes: Buffer } | { readonly error: string } => {
  try {
    return { bytes: RegularFile.readUnsafe(file) }
  } catch (error) {
    return { error: codeOf(error) }
  }
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? (error as Error).message

/** Returns a function that returns true if the home lists a file of the project with this content. */
const trustedContents = (home: string): ((file: string, bytes: Buffer) => boolean) => {
  const content = contentOf(trustedFile(home))
  const lines = new Set("error" in content ? [] : content.bytes.toString("utf8").split("\n"))
  return (file, bytes) => lines.has(`${createHash("sha256").update(bytes).digest("hex")}  ${file}`)
}
