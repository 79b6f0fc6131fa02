/** The programs that search files for a pattern, as processes of the turn. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import { CallId } from "@spindle/core/Ids"
import type { Process, Processes } from "@spindle/core/Processes"
import { Turn } from "@spindle/core/Turn"
import * as BoundedOutput from "../../BoundedOutput.ts"
import { HostVariables } from "../../CommandEnvironment.ts"
import { environment } from "../../ExecCommand.ts"
import { safeOptions } from "../../Git.ts"
import * as Utf8 from "../../Utf8.ts"
import * as Walk from "./walk.ts"

/** The place to search: a directory, or one file in it. */
export interface Place {
  readonly directory: string
  readonly file: string | undefined
}

/** A search. `node` is the program that runs JavaScript. */
export interface Search extends Place {
  readonly pattern: string
  readonly callId: string | undefined
  readonly node: string
}

/** The files that match, relative to the directory. `isCut`: there are more. */
export interface Found {
  readonly paths: ReadonlyArray<string>
  readonly isCut: boolean
}

/** The time limit of a search. */
const deadline = "30 seconds"
/** The most output of a program that is read, in bytes. */
const maxOutputBytes = 4_194_304

type Services = FileSystem.FileSystem | Path.Path | Processes | Turn

/** Searches with the best program that is available. **Errors**: the reason why nothing was searched, in words. */
export const run: (search: Search) => Effect.Effect<Found, string, Services> = Effect.fnUntraced(function* (search) {
  const ripgrep = yield* programPath("rg")
  if (ripgrep !== undefined) return yield* searchWithRipgrep(ripgrep, search)
  const git = yield* programPath("git")
  const found = git === undefined ? undefined : yield* searchWithGit(git, search, "--perl-regexp")
  return found ?? (yield* searchByWalk(search))
})

/** Returns the path of a program; undefined if it is not installed. */
const programPath = Effect.fnUntraced(function* (name: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const { PATH = "" } = (yield* HostVariables)()
  for (const directory of PATH.split(":").filter((one) => one.startsWith("/"))) {
    const path = `${directory}/${name}`
    const info = yield* Effect.option(fileSystem.stat(path))
    if (info._tag === "Some" && info.value.type === "File" && (info.value.mode & 0o111) !== 0) return path
  }
  return undefined
})

const searchWithRipgrep = Effect.fnUntraced(function* (program: string, search: Search) {
  // ignore files count outside a repository too, as they do for the walk
  const scope = ["--hidden", "--glob=!.git", "--no-require-git"]
  const options = ["--no-config", "--color=never", "--no-messages", ...scope]
  // without a path, rg would search its standard input
  const place = `./${search.file ?? ""}`
  const command = [program, ...options, "--files-with-matches", "--null", `--regexp=${search.pattern}`, "--", place]
  const ended = yield* collect(search, command)
  const found = pathsIn(ended, (path) => path.slice(2))
  // 2 also means that some files could not be read
  return ended.code > 1 && found.paths.length === 0 && ended.text !== "" ? yield* Effect.fail(messageIn(ended)) : found
})

/** Returns undefined if the directory is in no repository that git reads. */
const searchWithGit = (
  program: string,
  search: Search,
  syntax: "--perl-regexp" | "--extended-regexp"
): Effect.Effect<Found | undefined, string, Services> =>
  Effect.gen(function* () {
    const options = ["-c", "grep.fallbackToNoIndex=false", "--no-pager", ...safeOptions, "grep", "--untracked"]
    const output = ["--no-color", "-I", "--files-with-matches", "--null", "--no-recurse-submodules", "--no-textconv"]
    const place = ["-e", search.pattern, "--", `:(literal)${search.file ?? "."}`]
    const ended = yield* collect(search, [program, ...options, ...output, syntax, ...place])
    if (ended.code <= 1) return pathsIn(ended)
    if (/not a git repository|dubious ownership|must be run in a work tree/.test(ended.text)) return undefined
    const hasNoPerl = syntax === "--perl-regexp" && /Perl-compatible/.test(ended.text)
    return hasNoPerl ? yield* searchWithGit(program, search, "--extended-regexp") : yield* Effect.fail(messageIn(ended))
  })

/** Reads file names that end in NUL, and writes those of text files with a match. */
const script = `
const { readFileSync } = require("node:fs")
const pattern = new RegExp(process.argv[1], "m")
for (const name of readFileSync(0, "utf8").split("\\0").slice(0, -1)) {
  try {
    const bytes = readFileSync(name)
    if (!bytes.subarray(0, 8192).includes(0) && pattern.test(bytes.toString("utf8"))) process.stdout.write(name + "\\0")
  } catch {}
}`

const searchByWalk = Effect.fnUntraced(function* (search: Search) {
  const { directory, file, node, pattern } = search
  try {
    new RegExp(pattern, "m")
  } catch (error) {
    return yield* Effect.fail((error as Error).message)
  }
  const files = file === undefined ? yield* Walk.files(directory) : { paths: [file], isCut: false }
  const names = files.paths.map((one) => `${one}\0`).join("")
  const ended = yield* collect(search, [node, "-e", script, "--", pattern], Utf8.encode(names))
  if (ended.code !== 0) return yield* Effect.fail(messageIn(ended))
  const found = pathsIn(ended)
  return { ...found, isCut: found.isCut || files.isCut }
})

/** The end of a program: its exit code, and the beginning of its output. */
interface Ended {
  readonly code: number
  readonly text: string
  readonly isCut: boolean
}

const collect = Effect.fnUntraced(function* (search: Search, command: ReadonlyArray<string>, input?: Uint8Array) {
  const turn = yield* Turn
  const { callId, directory: cwd } = search
  const started = Effect.mapError(
    turn.process({
      ...(callId === undefined ? {} : { callId: CallId.make(callId) }),
      ...(input === undefined ? {} : { input: "pipe" as const }),
      command,
      cwd,
      env: environment
    }),
    ({ detail }) => detail
  )
  const endOf = (process: Process) =>
    Effect.gen(function* () {
      const [output] = yield* Effect.all([read(process), write(process, input)], { concurrency: 2 })
      if (output.isCut) yield* turn.endProcess(process.processId)
      const { exitCode } = yield* process.exit
      return { ...output, code: output.isCut ? 0 : (exitCode ?? 2) } satisfies Ended as Ended
    }).pipe(
      Effect.timeoutOrElse({
        duration: deadline,
        orElse: () => Effect.fail(`it took longer than ${deadline}; narrow the search`)
      })
    )
  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(started), (process) =>
      Effect.onExit(restore(endOf(process)), (exit) =>
        exit._tag === "Success" ? Effect.void : turn.endProcess(process.processId)
      )
    )
  )
})

/** Writes the input, which a process takes at once. One that has ended reads no more. */
const write = ({ input: pipe }: Process, input: Uint8Array | undefined): Effect.Effect<void> =>
  pipe === undefined || input === undefined ? Effect.void : Effect.andThen(Effect.ignore(pipe.write(input)), pipe.close)

const read = (process: Process) =>
  Effect.suspend(() => {
    const output = BoundedOutput.make(maxOutputBytes * 2)
    const isCut = () => output.totalBytes() > maxOutputBytes
    const text = () => ({ text: output.toKept().head, isCut: isCut() })
    return process.output.pipe(
      Stream.takeUntil((chunk) => {
        output.append(chunk)
        return isCut()
      }),
      Stream.runDrain,
      Effect.map(text)
    )
  })

const pathsIn = ({ isCut, text }: Ended, toPath: (found: string) => string = (found) => found): Found => ({
  paths: text.split("\0").slice(0, -1).map(toPath),
  isCut
})

const messageIn = ({ code, text }: Ended): string => {
  const message = text
    .trim()
    .replace(/^(fatal|rg): /, "")
    .slice(0, 1_000)
    .toWellFormed()
  return message === "" ? `the search ended with code ${code}` : message
}
