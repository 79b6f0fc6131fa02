// Paths, files and packages of this workspace, for the other scripts.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"

/** The root folder of the checkout. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const skipped = new Set(["node_modules", "dist", "build", "coverage"])

/** Returns the paths of the files below a folder, relative to the root, with `/`, sorted. Generated and hidden folders are left out. */
export const files = (folder, wanted = () => true) => {
  const out = []
  const walk = (at) => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      const path = join(at, entry.name)
      if (entry.isDirectory()) {
        if (!skipped.has(entry.name) && !entry.name.startsWith(".")) walk(path)
      } else out.push(relative(root, path).split(sep).join("/"))
    }
  }
  if (existsSync(join(root, folder))) walk(join(root, folder))
  return out.filter(wanted).sort()
}

/** Returns the text of a file of the checkout. */
export const read = (path) => readFileSync(join(root, path), "utf8")

/** The packages of the workspace: folder name and manifest. `isPublished`: for import; some have a program too. */
export const packages = readdirSync(join(root, "packages"))
  .filter((name) => statSync(join(root, "packages", name)).isDirectory())
  .filter((name) => existsSync(join(root, "packages", name, "package.json")))
  .map((name) => {
    const manifest = JSON.parse(read(`packages/${name}/package.json`))
    return { name, manifest, isPublished: manifest.private !== true }
  })

/** Prints the problems that a check found, or the summary, and ends the process. The status is 0 if there is no problem. */
export const report = (problems, summary) => {
  for (const problem of problems) console.error(problem)
  console.log(problems.length === 0 ? summary : `${problems.length} problem(s)`)
  process.exit(problems.length === 0 ? 0 : 1)
}
