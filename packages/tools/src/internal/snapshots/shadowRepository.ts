/**
 * A private git directory for the working tree of a repository. Its index and its objects are its own, so capturing the
 * tree writes nothing into the repository of the user. It reads objects of the repository, and so keeps only what
 * differs.
 *
 * Its configuration is its own as well, and its attributes switch every conversion off: it holds the bytes of files as
 * they are on disk, and no filter of the repository runs.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as Git from "../../Git.ts"
import * as Utf8 from "../../Utf8.ts"
import { isBeyondLink, type Known } from "./beyondLink.ts"
import * as Ignored from "./ignoredPaths.ts"

/** The limits of a capture. A file beyond them is left out. */
export interface Limits {
  /** The largest untracked file, in bytes. */
  readonly fileBytes: number
  /** The bytes of all files that differ from the last capture. */
  readonly totalBytes: number
  /** The number of files that differ from the last capture. */
  readonly files: number
}

/** The reason why a path was left out of a capture. */
export const LeftOutReason = Schema.Literals(["large", "many", "repository", "unreadable", "special", "name"])

/** A path that was left out. */
export const LeftOut = Schema.Struct({ path: Schema.String, reason: LeftOutReason })
/** @see {@link LeftOut} */
export type LeftOut = typeof LeftOut.Type

/** A tree as it was captured. `bytes` is the most that the capture added to the object store. */
export const Captured = Schema.Struct({
  tree: Schema.String,
  leftOut: Schema.Array(LeftOut),
  /** Missing in captures of an earlier version. */
  ignored: Schema.optionalKey(Ignored.Ignored),
  bytes: Schema.Finite
})
/** @see {@link Captured} */
export type Captured = typeof Captured.Type

/**
 * The entry of a tree at a path. The mode is that of git: 100644, 100755, 120000 for a link, 160000 for a submodule.
 */
export const TreeEntry = Schema.Struct({ mode: Schema.String, oid: Schema.String })
/** @see {@link TreeEntry} */
export type TreeEntry = typeof TreeEntry.Type

/** The difference of two trees at a path. Undefined means that a tree has nothing there. */
export interface Difference {
  readonly path: string
  readonly from: TreeEntry | undefined
  readonly to: TreeEntry | undefined
}

/** A private git directory and the repository whose working tree it captures. */
export interface Shadow {
  readonly directory: string
  readonly repository: Git.Repository
}

type Services = FileSystem.FileSystem | Git.Git
type Failure = Git.GitFailed | PlatformError

const git = ({ directory, repository: { top } }: Shadow, args: ReadonlyArray<string>, input?: string) =>
  Effect.flatMap(Git.Git, ({ run }) =>
    run({
      args,
      cwd: top,
      env: { GIT_DIR: directory, GIT_WORK_TREE: top },
      input: input === undefined ? undefined : Utf8.encode(input)
    })
  )

const gitText = (...args: Parameters<typeof git>) => Effect.map(git(...args), Utf8.decode)

const gitPaths = (...args: Parameters<typeof git>) => Effect.map(gitText(...args), Git.parts)

const lines = (paths: Iterable<string>): string => Array.from(paths, (path) => `${path}\0`).join("")

/** Captures the working tree as it is now. */
export const capture = Effect.fnUntraced(function* (
  shadow: Shadow,
  limits: Limits
): Effect.fn.Return<Captured, Failure, Services> {
  const fileSystem = yield* FileSystem.FileSystem
  // of a capture that was interrupted; the caller makes sure that none runs
  yield* fileSystem.remove(`${shadow.directory}/index.lock`, { force: true })
  const settings = yield* settingsOf(shadow)
  const isNew = !(yield* fileSystem.exists(`${shadow.directory}/${complete}`))
  const { converted, filtered } = isNew ? yield* create(shadow, settings) : known
  yield* copyExclude(shadow)
  const excludes = settings.excludesFile === undefined ? [] : ["-c", `core.excludesFile=${settings.excludesFile}`]
  const { top } = shadow.repository
  const listTracked = Git.text({ cwd: top, args: ["ls-files", "-z", "-i", "-c", "--exclude-standard"] })
  const [trackedIgnored, ignored, { modified, unmerged, untracked }] = yield* Effect.all(
    [
      // a new index has tracked paths only, so none is dropped; those that have changed are unknown or listed as modified
      isNew ? Effect.succeed([]) : Effect.map(listTracked, Git.parts),
      findIgnored(shadow, excludes),
      findChanges(shadow, excludes)
    ],
    { concurrency: 2 }
  )
  const tracked = new Set(trackedIgnored)
  // a file that is ignored is captured only if the user tracks it
  const dropped = new Set(isNew ? [] : ignored.captured.filter((path) => !tracked.has(path)))
  const selected = yield* select(top, {
    paths: new Set([...converted, ...filtered, ...tracked, ...unmerged, ...modified, ...untracked]),
    dropped,
    // most of these are in the repository already
    unlimited: new Set([...converted, ...tracked, ...unmerged]),
    small: new Set([...filtered, ...untracked]),
    limits
  })
  // git writes no tree with an unmerged path, not even with one that is left out
  const gone = [...dropped, ...selected.directories, ...unmerged]
  if (gone.length > 0) yield* git(shadow, ["update-index", "--force-remove", "-z", "--stdin"], lines(gone))
  if (selected.paths.length > 0) {
    // without the third option, git removes the entry of a file that the user told it to skip, although the file exists
    const options = ["--add", "--remove", "--ignore-skip-worktree-entries", "--replace"]
    yield* git(shadow, ["update-index", ...options, "-z", "--stdin"], lines(selected.paths))
  }
  const tree = (yield* gitText(shadow, ["write-tree", "--missing-ok"])).trim()
  if (isNew) yield* fileSystem.writeFileString(`${shadow.directory}/${complete}`, "")
  const { bytes, leftOut } = selected
  return { tree, leftOut, ignored: Ignored.cut([...ignored.untracked, ...dropped]), bytes }
})

/** Lists what git ignores: the captured paths, and the others, in one command. */
const findIgnored = (shadow: Shadow, options: ReadonlyArray<string>) =>
  Effect.map(
    gitPaths(shadow, [...options, "ls-files", "-z", "-t", "-i", "-c", "-o", "--directory", "--exclude-standard"]),
    Ignored.parse
  )

/** The paths of the working tree that the index does not have as they are. */
interface Changes {
  readonly modified: ReadonlyArray<string>
  /** The paths with a conflict. Git lists such a path as modified only if its file differs from one of its entries. */
  readonly unmerged: ReadonlyArray<string>
  readonly untracked: ReadonlyArray<string>
}

/** Lists the changes since the index, in one command. An entry is `<tag> <mode> <oid> <stage>\t<path>`, or `? <path>`. */
const findChanges = Effect.fnUntraced(function* (
  shadow: Shadow,
  options: ReadonlyArray<string>
): Effect.fn.Return<Changes, Failure, Services> {
  const entries = yield* gitPaths(shadow, [...options, "ls-files", "-z", "-t", "-m", "-o", "-u", "--exclude-standard"])
  const paths = (tag: string) => {
    const found = entries.filter((entry) => entry.startsWith(`${tag} `))
    return Array.from(new Set(found.map((entry) => entry.slice(tag === "?" ? 2 : entry.indexOf("\t") + 1))))
  }
  return { modified: paths("C"), unmerged: paths("M"), untracked: paths("?") }
})

interface Candidates {
  readonly paths: Iterable<string>
  readonly dropped: ReadonlySet<string>
  /** The paths to which no limit applies. */
  readonly unlimited: ReadonlySet<string>
  /** The paths to which the limit of one file applies. */
  readonly small: ReadonlySet<string>
  readonly limits: Limits
}

/**
 * Divides paths into those that are captured and those that are left out. A path without a file is captured as removed.
 */
const select = Effect.fnUntraced(function* (top: string, candidates: Candidates) {
  const { dropped, limits, small, unlimited } = candidates
  const paths: Array<string> = []
  const directories: Array<string> = []
  const links: Known = new Map()
  const leftOut: Array<LeftOut> = []
  let files = 0
  let bytes = 0
  for (const path of candidates.paths) {
    if (dropped.has(path)) continue
    // git refuses to look at what is beyond a link
    const size = (yield* isBeyondLink(top, path, links)) ? "directory" : yield* sizeOf(top, path)
    if (size === "directory") directories.push(path)
    else if (typeof size === "string") leftOut.push({ path, reason: size })
    else if (unlimited.has(path)) paths.push(path)
    else if (small.has(path) && size > limits.fileBytes) leftOut.push({ path, reason: "large" })
    else if (files >= limits.files || bytes + size > limits.totalBytes) leftOut.push({ path, reason: "many" })
    else {
      paths.push(path)
      files++
      bytes += size
    }
  }
  return { paths, directories, leftOut, bytes }
})

/**
 * Returns the size of a file in bytes, or the reason why it cannot be captured; `directory` for a directory in its
 * place.
 */
const sizeOf = Effect.fnUntraced(function* (
  top: string,
  path: string
): Effect.fn.Return<number | LeftOut["reason"] | "directory", PlatformError, FileSystem.FileSystem> {
  const fileSystem = yield* FileSystem.FileSystem
  if (path.endsWith("/")) return "repository"
  // bytes that are not UTF-8 cannot be handed back to git
  if (path.includes("\uFFFD")) return "name"
  const at = `${top}/${path}`
  const info = yield* Effect.orElseSucceed(fileSystem.lstat(at), () => undefined)
  if (info === undefined || info.type === "SymbolicLink") return 0
  if (info.type === "Directory") return (yield* fileSystem.exists(`${at}/.git`)) ? "repository" : "directory"
  if (info.type !== "File") return "special"
  const canRead = yield* Effect.isSuccess(fileSystem.access(at, { readable: true }))
  return canRead ? Number(info.size) : "unreadable"
})

interface RepositorySettings {
  /** True if git converts line ends in every file of the repository. */
  readonly convertsLineEnds: boolean
  readonly excludesFile: string | undefined
  /** The abilities of the host with files, as settings of git. */
  readonly files: ReadonlyArray<readonly [name: string, value: string]>
}

const fileSettings = ["core.filemode", "core.symlinks", "core.ignorecase", "core.precomposeunicode", "core.trustctime"]

const settingsOf = ({ repository: { top } }: Shadow): Effect.Effect<RepositorySettings, Git.GitFailed, Git.Git> =>
  Effect.map(Git.config(top, "^core\\."), (values) => ({
    convertsLineEnds: !["false", undefined].includes(values.get("core.autocrlf")),
    excludesFile: values.get("core.excludesfile"),
    files: fileSettings.flatMap((name) => {
      const value = values.get(name)
      return value === undefined ? [] : [[name, value] as const]
    })
  }))

/** The file that a private directory has once it was captured: a directory without it is made again. */
const complete = "complete"

/** Tracked paths whose content on disk the index does not know. */
interface Unknown {
  readonly converted: ReadonlyArray<string>
  /** The paths with a filter, which may hold a large file instead of the content that the index names. */
  readonly filtered: ReadonlyArray<string>
}

const known: Unknown = { converted: [], filtered: [] }

/** Makes the private git directory. */
const create = Effect.fnUntraced(function* (shadow: Shadow, settings: RepositorySettings) {
  const fileSystem = yield* FileSystem.FileSystem
  const { directory, repository } = shadow
  yield* fileSystem.remove(directory, { recursive: true, force: true })
  for (const name of ["objects/info", "objects/pack", "refs", "info"]) {
    yield* fileSystem.makeDirectory(`${directory}/${name}`, { recursive: true, mode: 0o700 })
  }
  const isSha1 = repository.objectFormat === "sha1"
  const files = settings.files.map(([name, value]) => `\t${name.slice("core.".length)} = ${value}\n`).join("")
  const config =
    `[core]\n\trepositoryformatversion = ${isSha1 ? 0 : 1}\n\tbare = false\n\tautocrlf = false\n` +
    `${files}[index]\n\tsparse = false\n${isSha1 ? "" : `[extensions]\n\tobjectFormat = ${repository.objectFormat}\n`}`
  yield* fileSystem.writeFileString(`${directory}/config`, config)
  yield* fileSystem.writeFileString(
    `${directory}/info/attributes`,
    "* -text -eol -crlf -ident -filter -working-tree-encoding\n"
  )
  yield* fileSystem.writeFileString(`${directory}/objects/info/alternates`, `${repository.commonDir}/objects\n`)
  yield* fileSystem.writeFileString(`${directory}/HEAD`, "ref: refs/heads/none\n")
  return yield* copyIndex(shadow, settings.convertsLineEnds)
})

/** Copies the index of the user, which knows for most files that they have not changed. */
const copyIndex = Effect.fnUntraced(function* (
  shadow: Shadow,
  convertsLineEnds: boolean
): Effect.fn.Return<Unknown, Failure, Services> {
  const { directory, repository } = shadow
  const fileSystem = yield* FileSystem.FileSystem
  const info = yield* Effect.orElseSucceed(fileSystem.stat(repository.index), () => undefined)
  if (info === undefined) return known
  const list = (...args: ReadonlyArray<string>) =>
    Effect.map(Git.text({ cwd: repository.top, args: ["ls-files", "-z", ...args] }), Git.parts)
  const listFiltered = list("--", ":(exclude,attr:!filter)")
  if (convertsLineEnds) {
    const filtered = yield* listFiltered
    return { converted: excludePaths(yield* list(), filtered), filtered }
  }
  const target = `${directory}/index`
  yield* fileSystem.copyFile(repository.index, target)
  // a split index names another file, which is next to it
  const folder = repository.index.slice(0, repository.index.lastIndexOf("/"))
  const shared = (yield* fileSystem.readDirectory(folder)).filter((name) => name.startsWith("sharedindex."))
  yield* Effect.forEach(shared, (name) => fileSystem.copyFile(`${folder}/${name}`, `${directory}/${name}`))
  // git compares the time of the index with that of files: a file as new as the index may have changed unnoticed
  const seconds = Option.match(info.mtime, { onNone: () => 0, onSome: (time) => Math.floor(time.getTime() / 1000) })
  yield* fileSystem.utimes(target, seconds, seconds)
  const unknown = yield* list("--", ":(exclude,attr:!filter !text !eol !crlf !ident !working-tree-encoding)")
  if (unknown.length === 0) return known
  const filtered = yield* listFiltered
  yield* git(shadow, ["update-index", "--force-remove", "-z", "--stdin"], lines(unknown))
  return { converted: excludePaths(unknown, filtered), filtered }
})

const excludePaths = (paths: ReadonlyArray<string>, others: ReadonlyArray<string>): ReadonlyArray<string> => {
  const left = new Set(others)
  return left.size === 0 ? paths : paths.filter((path) => !left.has(path))
}

const copyExclude = Effect.fnUntraced(function* ({ directory, repository }: Shadow) {
  const fileSystem = yield* FileSystem.FileSystem
  const read = (path: string) => Effect.orElseSucceed(fileSystem.readFileString(path), () => "")
  const [wanted, present] = [
    yield* read(`${repository.commonDir}/info/exclude`),
    yield* read(`${directory}/info/exclude`)
  ]
  if (wanted !== present) yield* fileSystem.writeFileString(`${directory}/info/exclude`, wanted)
})

/** Returns the paths at which the second tree differs from the first. Renames are a removal and an addition. */
export const differences = Effect.fnUntraced(function* (
  shadow: Shadow,
  first: string,
  second: string
): Effect.fn.Return<ReadonlyArray<Difference>, Failure, Services> {
  if (first === second) return []
  const fields = yield* gitPaths(shadow, ["diff-tree", "-r", "-z", "--raw", "--no-renames", first, second])
  const found: Array<Difference> = []
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [fromMode = "", mode = "", fromOid = "", oid = ""] = fields[at]!.slice(1).split(" ")
    const entry = (one: string, id: string) => (/^0+$/.test(one) ? undefined : { mode: one, oid: id })
    found.push({ path: fields[at + 1]!, from: entry(fromMode, fromOid), to: entry(mode, oid) })
  }
  return found
})

/** Returns the paths whose files have changed since the last capture. */
export const changedPaths = (shadow: Shadow): Effect.Effect<ReadonlyArray<string>, Failure, Services> =>
  gitPaths(shadow, ["ls-files", "-z", "-m"])

/** Reads contents by their ids. **Errors**: `GitFailed` if one is missing. */
export const contents = Effect.fnUntraced(function* (
  shadow: Shadow,
  oids: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<Uint8Array>, Failure, Services> {
  if (oids.length === 0) return []
  const output = yield* git(shadow, ["cat-file", "--batch"], oids.map((oid) => `${oid}\n`).join(""))
  const found: Array<Uint8Array> = []
  let at = 0
  for (const oid of oids) {
    const end = output.indexOf(10, at)
    const [, type, size] = Utf8.decode(output.subarray(at, end)).split(" ")
    if (type !== "blob") {
      const detail = `the content ${oid} is no longer in the repository`
      return yield* new Git.GitFailed({ problem: "Failed", subject: shadow.repository.top, detail })
    }
    found.push(output.subarray(end + 1, end + 1 + Number(size)))
    at = end + 2 + Number(size)
  }
  return found
})
