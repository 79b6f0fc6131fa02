/**
 * `spindle demo`: a turn that repairs a small project, in a scratch copy. Without a configured model a script plays the
 * model; everything else is real.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { Settings } from "@spindle/app/Settings"
import { approveAll } from "@spindle/core/Approvals"
import * as Wrapping from "../output/wrapping.ts"
import * as DemoScript from "./DemoScript.ts"
import type * as Exec from "./Exec.ts"
import { refuseUnattended } from "../output/reasons.ts"

/** The options of the demo. `example` is the project to repair. */
export interface Options extends Pick<Exec.ExecOptions, "options" | "settings" | "onRunning"> {
  readonly example: string
}

/**
 * Copies the project, prints a description of the demo, and returns the options of its turn. Without a terminal, the
 * questions of the script are approved, and those of another model are refused, as in `exec`.
 */
export const prepare = ({ example, options, ...rest }: Options): Exec.ExecOptions => {
  const { settings } = rest
  const cwd = Fs.mkdtempSync(Path.join(Os.tmpdir(), "spindle-demo-"))
  Fs.cpSync(example, cwd, { recursive: true })
  const { makeUnattended, who } = settings.provider._tag === "Scripted" ? script : configuredWorker(settings)
  if (!options.json) {
    say(`A scratch copy of the example project: ${cwd}\n`)
    say(`At work: ${who}; HTTP, processes, files and the journal are real.\n`)
    say(`\n> ${DemoScript.prompt}\n\n`)
  }
  return { ...rest, options, cwd, prompt: DemoScript.prompt, resume: undefined, makeUnattended }
}

/** The model of the demo, and the answers to its questions without a terminal. */
interface Worker extends Pick<Exec.ExecOptions, "makeUnattended"> {
  readonly who: string
}

const script: Worker = {
  who: "a scripted model (no key, no network)",
  makeUnattended: () => ({ approvals: approveAll, notice: "no terminal: the demo approves its own commands" })
}

const configuredWorker = (settings: Settings): Worker => ({
  who: `the model ${settings.model}`,
  makeUnattended: (isSandboxed) => refuseUnattended(settings, isSandboxed)
})

const say = (text: string) => {
  const { columns, isTTY } = process.stderr
  process.stderr.write(isTTY === true ? Wrapping.all(text, columns || 80) : text)
}
