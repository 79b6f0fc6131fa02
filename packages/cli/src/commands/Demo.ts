/**
 * `spindle demo`: a turn that repairs a small project, in a scratch copy. Without a configured model a script plays the
 * model; everything else is real.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { Settings } from "@spindle/app/Settings"
import { approveAll, type Approvals, denyAll } from "@spindle/core/Approvals"
import * as Wrapping from "../output/wrapping.ts"
import * as DemoScript from "./DemoScript.ts"
import type * as Exec from "./Exec.ts"
import { noTerminal } from "../output/reasons.ts"

/** What the demo is made from. `example` is the project to repair. */
export interface Options extends Pick<Exec.ExecOptions, "options" | "settings" | "onRunning"> {
  readonly example: string
}

/**
 * Copies the project and prints what is going to happen. Without a terminal to ask at, the questions of the script are
 * approved; those of another model are refused, as in `exec`.
 */
export const prepare = ({ example, options, ...rest }: Options): Exec.ExecOptions => {
  const { settings } = rest
  const cwd = Fs.mkdtempSync(Path.join(Os.tmpdir(), "spindle-demo-"))
  Fs.cpSync(example, cwd, { recursive: true })
  const attended = process.stdout.isTTY === true && process.stdin.isTTY === true
  const { unattended, unattendedNote, who } = settings.provider._tag === "Scripted" ? script : configured(settings)
  if (!options.json) {
    say(`A scratch copy of the example project: ${cwd}\n`)
    say(`At work: ${who}; HTTP, processes, files and the journal are real.\n`)
    if (!attended) say(`No terminal: ${unattendedNote}.\n`)
    say(`\n> ${DemoScript.prompt}\n\n`)
  }
  return { ...rest, options, cwd, prompt: DemoScript.prompt, resume: undefined, unattended }
}

/** The model of the demo, and how its questions are answered without a terminal. */
interface Worker {
  readonly who: string
  readonly unattended: Approvals
  /** What `unattended` does, in words. */
  readonly unattendedNote: string
}

const script: Worker = {
  who: "a scripted model (no key, no network)",
  unattended: approveAll,
  unattendedNote: "the demo approves its own commands"
}

const configured = ({ model }: Settings): Worker => ({
  who: `the model ${model}`,
  unattended: denyAll(noTerminal),
  unattendedNote: "commands and patches that need approval are refused"
})

const say = (text: string) => {
  const { columns, isTTY } = process.stdout
  process.stdout.write(isTTY === true ? Wrapping.all(text, columns || 80) : text)
}
