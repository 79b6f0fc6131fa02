// Gives the tests an empty home directory: the settings and the start-up files of a person's shell, which every login shell runs, change no result and
// take no time. Called by vitest before it starts its workers, see `vitest.workspace.ts`.
import { mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const setup = () => {
  const home = mkdtempSync(join(realpathSync(tmpdir()), "spindle-home-"))
  process.env.HOME = home
  return () => rmSync(home, { recursive: true, force: true })
}
