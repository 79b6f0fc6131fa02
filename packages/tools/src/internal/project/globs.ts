/** Globs and ignore files, in the syntax of git. */
import ignore, { type Ignore } from "ignore"

/** Returns a function that says whether a relative path matches a glob. Braces are alternatives, as in `*.{ts,tsx}`. */
export const matcher = (glob: string): ((path: string) => boolean) => {
  const rules = ignore().add(alternatives(glob))
  return (path) => rules.ignores(path)
}

const maxAlternatives = 1_000

/** Replaces the braces of a glob by its alternatives, the innermost first, and returns the first ones of very many. */
const alternatives = (glob: string): ReadonlyArray<string> => {
  let globs: ReadonlyArray<string> = [glob]
  for (let hasBraces = true; hasBraces;) {
    hasBraces = false
    const next: Array<string> = []
    for (const one of globs) {
      const [all, before = "", inside = "", after = ""] = /^(.*)\{([^{}]*)\}(.*)$/s.exec(one) ?? []
      if (all === undefined) next.push(one)
      else {
        hasBraces = true
        for (const choice of inside.split(",")) next.push(`${before}${choice}${after}`)
      }
      if (next.length >= maxAlternatives) break
    }
    globs = next.slice(0, maxAlternatives)
  }
  return globs
}

/** The rules of the ignore files of a directory and of those above it, the outermost first. */
export interface Rules {
  readonly directory: string
  readonly ignore: Ignore
}

/** Makes the rules of an ignore file. `directory` is relative to the root of the walk, and empty for the root. */
export const rulesOf = (directory: string, text: string): Rules => ({ directory, ignore: ignore().add(text) })

/** True if rules ignore a path that is relative to the root of the walk. A later rule wins. */
export const isIgnored = (rules: ReadonlyArray<Rules>, path: string, isDirectory: boolean): boolean => {
  let ignored = false
  for (const { directory, ignore } of rules) {
    const relative = directory === "" ? path : path.slice(directory.length + 1)
    const result = ignore.test(isDirectory ? `${relative}/` : relative)
    if (result.ignored) ignored = true
    else if (result.unignored) ignored = false
  }
  return ignored
}
