// Removes the files that builds and tests make.
import { readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { packages, root } from "./workspace.mjs"

const left = ["build", "coverage", ".work", ...packages.map(({ name }) => `packages/${name}/dist`)]
for (const folder of ["", "bench"]) {
  for (const entry of readdirSync(join(root, folder))) if (entry.startsWith(".tmp-")) left.push(join(folder, entry))
}
for (const path of left) rmSync(join(root, path), { recursive: true, force: true })
