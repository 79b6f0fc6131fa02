// Chooses the tests of `npm run check`: the test files that are the fewest imports away from the uncommitted changes. Slow files are left out.
//   node scripts/tests/nearTests.mjs --slow   writes the list of slow files, scripts/tests/slow.txt, from the durations of the last `npm test`
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join, posix, relative, sep } from "node:path"
import { pathToFileURL } from "node:url"
import { files, packages, read, root } from "../workspace.mjs"

/** How many test files are chosen at most. */
const mostFiles = 30
/** The files that take longer than the mean of all: a bound that does not depend on the machine. */
const slowList = "scripts/tests/slow.txt"

const isTest = (path) => path.endsWith(".test.ts")

/** Returns the paths of the files that have changed since the last commit, deleted and new ones included. */
const changedFiles = () =>
  [
    ["diff", "--name-only", "--no-renames", "HEAD"],
    ["ls-files", "--others", "--exclude-standard"]
  ].flatMap((args) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).split("\n").filter(Boolean))

/** Returns the path of the source that an import names; undefined for a package from elsewhere. */
const importedPath = (from, specifier) => {
  if (specifier.startsWith(".")) return posix.join(dirname(from), specifier)
  const found = packages.find(({ manifest: { name } }) => specifier === name || specifier.startsWith(`${name}/`))
  if (found === undefined) return undefined
  const { exports = {}, name } = found.manifest
  const module = specifier.slice(name.length + 1)
  const source = (exports[module === "" ? "." : `./${module}`] ?? exports["./*"])?.["spindle-source"]
  return source === undefined ? undefined : posix.join("packages", found.name, source.replace("*", module))
}

// an import of types only does not exist when a test runs
const imports = /^(?:import|export)(?! type\b)[^"]*?\bfrom "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)/gm

/** Returns which files import each file. */
const importers = () => {
  const found = new Map()
  const sources = [...files("packages", (path) => /\/(src|test)\/.*\.m?ts$/.test(path)), ...files("scripts")]
  for (const path of sources) {
    for (const [, ...specifiers] of read(path).matchAll(imports)) {
      const imported = importedPath(path, specifiers.find(Boolean))
      if (imported !== undefined) found.set(imported, [...(found.get(imported) ?? []), path])
    }
  }
  return found
}

/** Returns the files that reach one of these, with the least number of imports between, nearest first. */
const distances = (changed) => {
  const importersOf = importers()
  const known = new Map(changed.map((path) => [path, 0]))
  // entries that are added to a map while it is walked are walked too
  for (const [path, steps] of known) {
    for (const importer of importersOf.get(path) ?? []) if (!known.has(importer)) known.set(importer, steps + 1)
  }
  return known
}

const packageOf = (path) => path.split("/")[1]

/**
 * Returns the test files to run, nearest first, and among those that are as near, those of a package that has changed
 * first; and how many more reach the changes.
 */
export const nearTests = () => {
  const changed = changedFiles()
  const slow = new Set(read(slowList).split("\n"))
  const ofChanged = new Set(changed.map(packageOf))
  const reached = Array.from(distances(changed)).filter(([path]) => isTest(path) && existsSync(join(root, path)))
  const quick = reached
    .filter(([path]) => !slow.has(path))
    .sort(([a, ofA], [b, ofB]) => ofA - ofB || ofChanged.has(packageOf(b)) - ofChanged.has(packageOf(a)))
  const chosen = quick.slice(0, mostFiles).map(([path]) => path)
  return { chosen, slowCount: reached.length - quick.length, farCount: quick.length - chosen.length }
}

/** Returns the files of a result of Vitest that are slow. */
const slowFiles = ({ testResults }) => {
  const durations = testResults.map(({ endTime, name, startTime }) => ({
    path: relative(root, name).split(sep).join("/"),
    millis: endTime - startTime
  }))
  const mean = durations.reduce((sum, { millis }) => sum + millis, 0) / durations.length
  return durations
    .filter(({ millis }) => millis > mean)
    .map(({ path }) => path)
    .sort()
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const results = JSON.parse(readFileSync(join(root, "build/tests.json"), "utf8"))
  writeFileSync(join(root, slowList), slowFiles(results).join("\n") + "\n")
}
