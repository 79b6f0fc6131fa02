// A workspace of a usual size: 300 directories, a repository, and two repositories below it.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Makes a workspace, which `remove` removes. */
export const makeWorkspace = () => {
  const cwd = mkdtempSync(join(tmpdir(), "spindle-bench-"))
  for (let one = 0; one < 10; one++) {
    for (let two = 0; two < 29; two++) mkdirSync(join(cwd, `package-${one}`, `part-${two}`), { recursive: true })
  }
  for (const repository of ["", "package-1/part-1", "package-2"]) mkdirSync(join(cwd, repository, ".git"))
  return { cwd, remove: () => rmSync(cwd, { recursive: true }) }
}
