/**
 * The paths that git ignores when a tree is captured. An ignored file is in no tree, so that it seems to be made or
 * removed when git begins or ceases to look at it.
 */
import * as Schema from "effect/Schema"

/** The paths that git ignored at a capture. A directory ends with a slash, and means everything in it. */
export const Ignored = Schema.Struct({
  paths: Schema.Array(Schema.String),
  /** True if there were more paths than a capture keeps. */
  isCut: Schema.Boolean
})
/** @see {@link Ignored} */
export type Ignored = typeof Ignored.Type

/** The most paths that a capture keeps. A directory that is ignored as a whole is one path. */
const maxPaths = 2_000

/** Makes the paths of a capture. */
export const cut = (paths: ReadonlyArray<string>): Ignored => ({
  paths: paths.slice(0, maxPaths),
  isCut: paths.length > maxPaths
})

/** Divides the entries of `ls-files` into captured and untracked paths. An entry is `<tag> <path>`. */
export const parse = (entries: ReadonlyArray<string>) => {
  const pathsOf = (isUntracked: boolean) => {
    const found = entries.filter((entry) => entry.startsWith("? ") === isUntracked)
    return Array.from(new Set(found.map((entry) => entry.slice(2)))).sort()
  }
  const untracked = pathsOf(true)
  return {
    captured: pathsOf(false),
    // git also lists a directory of which only the content is ignored, and then the content
    untracked: untracked.filter((path, index) => !path.endsWith("/") || !untracked[index + 1]?.startsWith(path))
  }
}

/** A difference of two trees. Undefined means that a tree has nothing at the path. */
interface Changed {
  readonly path: string
  readonly from: unknown
  readonly to: unknown
}

/**
 * Returns the paths of differences that git ignored before or after them: such a file may exist, and have any content,
 * where its tree has nothing.
 */
export const among = (
  differences: ReadonlyArray<Changed>,
  before: Ignored | undefined = unknown,
  after: Ignored | undefined = unknown
): ReadonlyArray<string> => {
  const [wasIgnored, isIgnored] = [matcher(before), matcher(after)]
  const mayReveal = before.isCut && differences.some(({ path }) => /(^|\/)\.gitignore$/.test(path))
  return differences.flatMap(({ from, path, to }) =>
    (from === undefined && (mayReveal || wasIgnored(path))) || (to === undefined && isIgnored(path)) ? [path] : []
  )
}

/** The paths of a capture that an earlier version made. */
const unknown: Ignored = { paths: [], isCut: true }

const matcher = ({ paths }: Ignored) => {
  const all = new Set(paths)
  return (path: string): boolean => {
    if (all.has(path)) return true
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      if (all.has(path.slice(0, end + 1))) return true
    }
    return false
  }
}
