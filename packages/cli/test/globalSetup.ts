// Bundles the program once, before the tests that start it.
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const bundle = fileURLToPath(new URL("../../../scripts/bundle.mjs", import.meta.url))

/** Called by Vitest; see `vitest.workspace.ts`. */
export const setup = (): void => {
  execFileSync(process.execPath, [bundle], { stdio: "inherit" })
}
