/**
 * The port to git: runs git on a repository without running any program that the repository names.
 *
 * The configuration of a repository may name programs: hooks, a file system monitor, filters, a pager, external diffs.
 * A repository that was cloned is foreign data, so every command here switches them off. Nothing here takes a lock that
 * a person's own git would wait for, asks for a password, or fetches.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as CommandEnvironment from "./CommandEnvironment.ts"
import * as Spawn from "./internal/spawn.ts"
import * as Utf8 from "./Utf8.ts"

/** The reasons for which a command of git failed. */
export const GitProblem = Schema.Literals(["NoGit", "NotARepository", "Bare", "UnknownRevision", "Failed"])
/** @see {@link GitProblem} */
export type GitProblem = typeof GitProblem.Type

/** A command of git failed. */
export class GitFailed extends Schema.TaggedError<GitFailed>()("GitFailed", {
  problem: GitProblem,
  /** The directory, or for `UnknownRevision` the revision. */
  subject: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    switch (this.problem) {
      case "NoGit":
        return `cannot run git: ${this.detail}`
      case "NotARepository":
        return `${this.subject} is not in a git repository`
      case "Bare":
        return `${this.subject} is in a bare git repository, which has no files to work on`
      case "UnknownRevision":
        return `git knows no revision ${JSON.stringify(this.subject)}`
      case "Failed":
        return `git failed: ${this.detail}`
    }
  }
}

/** A repository with a working tree. Paths are absolute. */
export interface Repository {
  /** The top directory of the working tree. */
  readonly top: string
  readonly gitDir: string
  /** The directory that all working trees of the repository share. */
  readonly commonDir: string
  readonly index: string
  readonly objectFormat: string
}

/** A command of git. */
export interface GitCommand {
  readonly args: ReadonlyArray<string>
  readonly cwd: string
  /** Written to its standard input. */
  readonly input?: Uint8Array | undefined
  /** Environment variables for git. The variables `GIT_*` of this program are not passed. */
  readonly env?: { readonly [name: string]: string } | undefined
}

/** Runs git. */
export interface Git {
  /**
   * Runs a command and returns its output. **Interruption** ends it. **Errors**: `GitFailed` if git does not exist, or
   * exits with a code other than 0.
   */
  readonly run: (command: GitCommand) => Effect.Effect<Uint8Array, GitFailed>
}

/** The service key of {@link Git}. */
export const Git: Context.Service<Git, Git> = Context.Service("@spindle/tools/Git")

/**
 * The options of git that switch off whatever runs a program, takes a lock or writes something that nobody asked for.
 */
export const safeOptions: ReadonlyArray<string> = [
  "core.fsmonitor=false",
  "core.hooksPath=/dev/null",
  "core.untrackedCache=false",
  "core.splitIndex=false",
  "core.pager=cat",
  "core.sshCommand=false",
  "core.askPass=false",
  "credential.helper=",
  "diff.external=",
  "commit.gpgSign=false",
  "log.showSignature=false",
  "gc.auto=0",
  "maintenance.auto=false",
  "protocol.allow=never"
].flatMap((option) => ["-c", option])

const safeVariables = {
  GIT_TERMINAL_PROMPT: "0",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_NO_LAZY_FETCH: "1",
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_LITERAL_PATHSPECS: "0",
  LC_ALL: "C"
}

/** Runs the git of the host. */
export const layer: Layer.Layer<Git, never, ChildProcessSpawner> = Layer.effect(
  Git,
  Effect.gen(function* () {
    const spawner = yield* ChildProcessSpawner
    const variables = yield* CommandEnvironment.HostVariables
    return Git.of({ run: (command) => Effect.scoped(run(spawner, variables(), command)) })
  })
)

const run = Effect.fnUntraced(function* (
  spawner: ChildProcessSpawner["Service"],
  variables: CommandEnvironment.Variables,
  { args, cwd, env, input }: GitCommand
) {
  const inherited = Object.entries(variables).filter(([name]) => !name.startsWith("GIT_"))
  const command = ChildProcess.make("git", ["--no-optional-locks", ...safeOptions, ...args], {
    cwd,
    env: { ...Object.fromEntries(inherited), ...safeVariables, ...env },
    extendEnv: false,
    stdin: input === undefined ? "ignore" : Stream.make(input),
    forceKillAfter: "1 second"
  })
  const noGit = (detail: string) => new GitFailed({ problem: "NoGit", subject: cwd, detail })
  const handle = yield* Effect.mapError(spawner.spawn(command), (error) =>
    noGit(
      error.reason._tag === "NotFound" ? "there is no program git, or no such directory" : Spawn.reasonOf(error.reason)
    )
  )
  const [output, errors, code] = yield* Effect.all(
    [Stream.mkUint8Array(handle.stdout), Stream.mkUint8Array(handle.stderr), handle.exitCode],
    {
      concurrency: "unbounded"
    }
  ).pipe(
    Effect.mapError(({ reason }) => new GitFailed({ problem: "Failed", subject: cwd, detail: Spawn.reasonOf(reason) }))
  )
  if (code !== 0) return yield* failureOf(cwd, Utf8.decode(errors), `${args[0]} exited with code ${code}`)
  return output
})

/** `otherwise` describes a failure about which git says nothing. */
const failureOf = (cwd: string, errors: string, otherwise: string): GitFailed => {
  const said = /^(?:fatal|error): (.*)$/m.exec(errors)?.[1] ?? errors.split("\n")[0]!
  const problem = /not a git repository/.test(errors)
    ? "NotARepository"
    : /must be run in a work tree/.test(errors)
      ? "Bare"
      : "Failed"
  return new GitFailed({ problem, subject: cwd, detail: said === "" ? otherwise : said })
}

/** Runs a command and returns its output as text. */
export const text = (command: GitCommand): Effect.Effect<string, GitFailed, Git> =>
  Effect.flatMap(Git, (git) => Effect.map(git.run(command), Utf8.decode))

/** Returns the parts of an output that end with a NUL. */
export const parts = (output: string): ReadonlyArray<string> => output.split("\0").slice(0, -1)

/** Finds the repository of a directory. **Errors**: `GitFailed` if there is none, or it has no working tree. */
export const repositoryOf = Effect.fnUntraced(function* (cwd: string): Effect.fn.Return<Repository, GitFailed, Git> {
  const args = ["--show-toplevel", "--absolute-git-dir", "--git-common-dir", "--git-path", "index"]
  const found = yield* text({ cwd, args: ["rev-parse", "--path-format=absolute", ...args, "--show-object-format"] })
  const [top = "", gitDir = "", commonDir = "", index = "", objectFormat = ""] = found.split("\n")
  return { top, gitDir, commonDir, index, objectFormat }
})

/** Returns the commit that a revision names. **Errors**: `GitFailed`, `UnknownRevision` if git knows none. */
export const commitOf = (cwd: string, revision: string): Effect.Effect<string, GitFailed, Git> =>
  text({ cwd, args: ["rev-parse", "--quiet", "--verify", "--end-of-options", `${revision}^{commit}`] }).pipe(
    Effect.map((commit) => commit.trim()),
    Effect.mapError((error) =>
      error.problem === "Failed"
        ? new GitFailed({ problem: "UnknownRevision", subject: revision, detail: error.detail })
        : error
    )
  )

/**
 * Returns the commit that two revisions have in common; undefined if there is none. **Errors**: as {@link commitOf}.
 */
export const mergeBase = Effect.fnUntraced(function* (cwd: string, one: string, other: string) {
  const commits = [yield* commitOf(cwd, one), yield* commitOf(cwd, other)]
  const base = yield* Effect.catchIf(
    text({ cwd, args: ["merge-base", ...commits] }),
    // exit code 1 without a message means that there is none
    (error) => error.problem === "Failed" && error.detail.startsWith("merge-base exited"),
    () => Effect.succeed("")
  )
  return base.trim() === "" ? undefined : base.trim()
})

/**
 * Returns values of the configuration by their names in lower case: the last value of each that matches the pattern.
 */
export const config = (cwd: string, pattern: string): Effect.Effect<ReadonlyMap<string, string>, GitFailed, Git> =>
  text({ cwd, args: ["config", "--null", "--get-regexp", pattern] }).pipe(
    Effect.map((output) => {
      const entries = parts(output).map((entry): [string, string] => {
        const at = entry.indexOf("\n")
        return at < 0 ? [entry, "true"] : [entry.slice(0, at), entry.slice(at + 1)]
      })
      return new Map(entries)
    }),
    // no value matches
    Effect.catchIf(
      (error) => error.problem === "Failed" && error.detail.startsWith("config exited"),
      () => Effect.succeed(new Map<string, string>())
    )
  )

/** Returns the options that switch the filters of a repository off. */
const withoutFilters = Effect.fnUntraced(function* (cwd: string) {
  const filters = yield* config(cwd, "^filter\\.")
  return Array.from(filters.keys()).flatMap((name) => ["-c", `${name}=${name.endsWith(".required") ? "false" : ""}`])
})

/**
 * Returns differences as text, as `git diff` writes them with these arguments. Filters are switched off, so a file that
 * only its filter makes equal counts as changed.
 */
export const diff = Effect.fnUntraced(function* (cwd: string, args: ReadonlyArray<string>) {
  const off = yield* withoutFilters(cwd)
  const plain = ["--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all"]
  return yield* text({ cwd, args: [...off, "diff", ...plain, ...args] })
})

/**
 * Returns true if a working tree differs from its commit, untracked files included. Filters are switched off, so a file
 * that only its filter makes equal counts as changed.
 */
export const hasChanges = Effect.fnUntraced(function* (cwd: string) {
  const off = yield* withoutFilters(cwd)
  return (yield* text({ cwd, args: [...off, "status", "--porcelain", "--ignore-submodules=all"] })) !== ""
})

/** Returns a commit with its message and its differences from its first parent, as text. */
export const show = (cwd: string, commit: string): Effect.Effect<string, GitFailed, Git> =>
  text({
    cwd,
    args: ["show", "--first-parent", "-m", "--no-ext-diff", "--no-textconv", "--no-color", "--no-notes", commit]
  })

/** Returns the untracked paths of a working tree that are not ignored. */
export const untrackedPaths = (cwd: string): Effect.Effect<ReadonlyArray<string>, GitFailed, Git> =>
  Effect.map(text({ cwd, args: ["ls-files", "-z", "--others", "--exclude-standard"] }), parts)
