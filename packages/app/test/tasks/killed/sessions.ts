/** Sessions with one task, on journals in files: a child process runs them and dies, and the test resumes them. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CompactTask from "@spindle/core/CompactTask"
import * as JournalFile from "@spindle/core/JournalFile"
import { MutationGate } from "@spindle/core/MutationGate"
import * as Op from "@spindle/core/Op"
import * as Session from "@spindle/core/Session"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import { SessionObserver } from "@spindle/core/SessionObserver"
import type { TaskKind } from "@spindle/core/TaskKind"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import * as Git from "@spindle/tools/Git"
import * as ProcessGroups from "@spindle/tools/ProcessGroups"
import * as ProcessStat from "@spindle/tools/ProcessStat"
import * as Signals from "@spindle/tools/Signals"
import * as Snapshots from "@spindle/tools/Snapshots"
import { Effect, Layer } from "effect"
import * as ReviewTask from "../../../src/tasks/ReviewTask.ts"
import * as UndoTask from "../../../src/tasks/UndoTask.ts"
import * as UserShellTask from "../../../src/tasks/UserShellTask.ts"
import * as TurnSnapshots from "../../../src/TurnSnapshots.ts"
import { git } from "../../fixtures/fakeGit.ts"

/** A session of a directory: its journal, and a repository in `repository`. */
export interface Opening extends Pick<Harness.HarnessOptions, "journal" | "resume"> {
  readonly directory: string
}

/** What a child process runs. */
export interface Scenario {
  readonly options: (opening: Opening) => Harness.HarnessOptions
  /** Each runs to its end before the task. */
  readonly before: ReadonlyArray<Op.Op>
  /** Submitted one after another. */
  readonly ops: ReadonlyArray<Op.Op>
  /** Whether the task begins with this record. */
  readonly begins: (record: JournalRecord) => boolean
  /** Whether its calls change files, and each turn has a snapshot. */
  readonly hasSnapshots?: boolean
}

/** Real snapshots in a directory. */
export const snapshotsOf = (directory: string) =>
  Snapshots.layer({ directory: join(directory, "snapshots") }).pipe(
    Layer.provideMerge(Git.layer),
    Layer.provideMerge(NodeServices.layer)
  )

/** Real journals in a directory. */
export const journalsOf = (directory: string) =>
  JournalFile.layer({ directory: join(directory, "journals") }).pipe(Layer.provide(NodeServices.layer))

const processes = ProcessGroups.layer.pipe(
  Layer.provide(NodeServices.layer),
  Layer.provide(ProcessStat.layerRead((pid) => readFileSync(`/proc/${pid}/stat`, "utf8"))),
  Layer.provide(Signals.layerKill((target, signal) => process.kill(target, signal)))
)

/** The file that the turns change, and what is in it at first and after the turn. */
export const changed = { name: "a.txt", before: "one\n", after: "two\n" } as const

const write = ({ directory }: Opening): Harness.TestTool => ({
  run: () => Effect.sync(() => writeFileSync(join(directory, "repository", changed.name), changed.after)),
  policy: { mutates: true }
})

const isTask = (record: JournalRecord) => record._tag === "InputAccepted" && record.task !== undefined

/** Calls a tool once in each turn. */
const calling =
  (name: string): Model.Script =>
  ({ items }) =>
    items.at(-1)?._tag === "ToolResult" ? [Model.text("done")] : [Model.call(name, {}, `c${items.length}`)]

const found = JSON.stringify({ findings: [], overall_explanation: "fine" })

const shellTask = UserShellTask.kind({ cwd: "/", shell: "/bin/sh" }) as TaskKind

const shell = (script: Model.Script): Harness.HarnessOptions => ({
  script,
  tools: { wait: { run: () => Effect.as(Effect.sleep(20), "done") } },
  tasks: [shellTask],
  factory: (agent, opened) => Effect.provide(Session.make(agent, opened), processes)
})

/** The command that the user runs. */
export const command = "printf out"

/** The scenarios by name. */
export const scenarios: { readonly [name: string]: Scenario } = {
  compact: {
    before: [Op.userInput("one"), Op.userInput("two")],
    ops: [Op.startTask("compact")],
    begins: isTask,
    options: () => ({
      tasks: [CompactTask.kind],
      script: ({ items }) => [Model.text(items.some(({ id }) => id === "compact") ? "a summary" : "x".repeat(4_000))]
    })
  },
  review: {
    before: [],
    ops: [Op.startTask("review", { target: { type: "uncommitted" } })],
    begins: isTask,
    options: () => ({ tasks: [ReviewTask.kind({ cwd: "/r" }) as TaskKind], script: () => [Model.text(found)] })
  },
  undo: {
    before: [Op.userInput("change")],
    ops: [Op.startTask("undo")],
    begins: isTask,
    hasSnapshots: true,
    options: (opening) => ({
      tasks: [UndoTask.kind as TaskKind],
      tools: { write: write(opening) },
      script: calling("write")
    })
  },
  user_shell: {
    before: [],
    ops: [Op.startTask("user_shell", { command })],
    begins: isTask,
    options: () => shell(() => [Model.text("seen")])
  },
  "user_shell alongside": {
    before: [],
    ops: [Op.userInput("one"), Op.startTask("user_shell", { command })],
    begins: isTask,
    options: () => shell(calling("wait"))
  },
  snapshot: {
    before: [],
    ops: [Op.userInput("change")],
    begins: ({ _tag }) => _tag === "TurnStarted",
    hasSnapshots: true,
    options: (opening) => ({
      tasks: [UndoTask.kind as TaskKind],
      tools: { write: write(opening) },
      script: calling("write")
    })
  }
}

/** Opens a session of a scenario. */
export const open = ({ hasSnapshots, options }: Scenario, opening: Opening) => {
  const { directory, ...own } = opening
  const all = { ...options(opening), ...own }
  if (hasSnapshots !== true) return Effect.provide(Harness.make(all), git())
  return Effect.gen(function* () {
    const turns = yield* TurnSnapshots.make(join(directory, "repository"))
    return yield* Harness.make(all).pipe(
      Effect.provideService(MutationGate, turns.gate),
      Effect.provideService(SessionObserver, turns.observer)
    )
  })
}
