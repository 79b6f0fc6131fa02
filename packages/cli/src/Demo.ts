/**
 * `spindle demo`: a turn that repairs a small project, in a scratch copy of it. Without a configured model the script
 * of the program plays one; all else is real.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import type { TurnOptions } from "./Arguments.ts"
import * as DemoScript from "./DemoScript.ts"
import type * as Exec from "./Exec.ts"
import * as Wrapping from "./internal/wrapping.ts"
import type { Settings } from "./Settings.ts"

/** The project that is repaired; beside the bundle, in the package. */
const example = fileURLToPath(new URL("../example", import.meta.url))

/**
 * Copies the project and says what is going to happen. What is asked while nobody is there is answered by the demo's
 * own script.
 */
export const prepare = (
  options: TurnOptions,
  settings: Settings,
  onRunning: Exec.ExecOptions["onRunning"]
): Exec.ExecOptions => {
  const cwd = Fs.mkdtempSync(Path.join(Os.tmpdir(), "spindle-demo-"))
  Fs.cpSync(example, cwd, { recursive: true })
  const attended = process.stdout.isTTY === true && process.stdin.isTTY === true
  if (!options.json) {
    const who =
      settings.provider._tag === "Scripted" ? "a scripted model (no key, no network)" : `the model ${settings.model}`
    say(`A scratch copy of the example project: ${cwd}\nAt work: ${who}; processes, files and the journal are real.\n`)
    if (!attended) say("Nobody is there to ask: the demo's script approves what it is asked.\n")
    say(`\n> ${DemoScript.prompt}\n\n`)
  }
  return {
    options,
    settings,
    cwd,
    prompt: DemoScript.prompt,
    resume: undefined,
    unattended: DemoScript.decider,
    onRunning
  }
}

const say = (text: string) => {
  const { columns, isTTY } = process.stdout
  process.stdout.write(isTTY === true ? Wrapping.all(text, columns || 80) : text)
}
