/**
 * `spindle demo`: a turn that repairs a small project, in a scratch copy of it. Without a configured model the script
 * of the program plays one; all else is real.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { approveAll, type Approvals, denyAll } from "@spindle/core/Approvals"
import type { TurnOptions } from "./Arguments.ts"
import * as DemoScript from "./DemoScript.ts"
import type * as Exec from "./Exec.ts"
import * as Wrapping from "./internal/wrapping.ts"
import type { Settings } from "./Settings.ts"

/** The project that is repaired; beside the bundle, in the package. */
const example = fileURLToPath(new URL("../example", import.meta.url))

/**
 * Copies the project and says what is going to happen. While nobody is there to ask, the script answers for itself; what
 * another model asks is refused, as in `exec`.
 */
export const prepare = (
  options: TurnOptions,
  settings: Settings,
  onRunning: Exec.ExecOptions["onRunning"]
): Exec.ExecOptions => {
  const cwd = Fs.mkdtempSync(Path.join(Os.tmpdir(), "spindle-demo-"))
  Fs.cpSync(example, cwd, { recursive: true })
  const attended = process.stdout.isTTY === true && process.stdin.isTTY === true
  const { absent, unattended, who } = settings.provider._tag === "Scripted" ? script : configured(settings)
  if (!options.json) {
    say(`A scratch copy of the example project: ${cwd}\n`)
    say(`At work: ${who}; HTTP, processes, files and the journal are real.\n`)
    if (!attended) say(`Nobody is there to ask: ${absent}.\n`)
    say(`\n> ${DemoScript.prompt}\n\n`)
  }
  return { options, settings, cwd, prompt: DemoScript.prompt, resume: undefined, unattended, onRunning }
}

/** Who works, and what becomes of its questions while nobody is there. */
interface Worker {
  readonly who: string
  readonly unattended: Approvals
  /** What `unattended` does, in words. */
  readonly absent: string
}

const script: Worker = {
  who: "a scripted model (no key, no network)",
  unattended: approveAll,
  absent: "the demo's script approves what it is asked"
}

const configured = ({ model }: Settings): Worker => ({
  who: `the model ${model}`,
  unattended: denyAll("nobody is there to ask"),
  absent: "what has to be asked for is refused"
})

const say = (text: string) => {
  const { columns, isTTY } = process.stdout
  process.stdout.write(isTTY === true ? Wrapping.all(text, columns || 80) : text)
}
