/** The tasks of the application and the snapshots of turns, as explorations. Each has the laws that only it has. */
import { MutationGate } from "@spindle/core/MutationGate"
import { Journal } from "@spindle/core/Journal"
import { Model } from "@spindle/core/Model"
import * as Op from "@spindle/core/Op"
import { Processes } from "@spindle/core/Processes"
import * as Session from "@spindle/core/Session"
import { isTerminal, type JournalRecord } from "@spindle/core/SessionEvent"
import { SessionObserver } from "@spindle/core/SessionObserver"
import type { TaskKind } from "@spindle/core/TaskKind"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Snapshots } from "@spindle/tools/Snapshots"
import { Effect } from "effect"
import * as ReviewTask from "../../src/tasks/ReviewTask.ts"
import * as UndoTask from "../../src/tasks/UndoTask.ts"
import * as UserShellTask from "../../src/tasks/UserShellTask.ts"
import * as TurnSnapshots from "../../src/TurnSnapshots.ts"
import { git } from "../fixtures/fakeGit.ts"
import { host } from "../fixtures/shellHost.ts"
import * as Fake from "../fixtures/snapshots.ts"
import { wordOf } from "../fixtures/words.ts"
import { type Case, exploring, turnsOf } from "./exploring.ts"

const countOf = (words: ReadonlyArray<string>, beginning: string): number =>
  words.filter((word) => word.startsWith(beginning)).length

/** Each turn of a kind that has `begun` has `ended` once, in this order. */
const endsOnce = (records: ReadonlyArray<JournalRecord>, kind: string, begun: string, ended: string) => {
  for (const turn of turnsOf(records, kind)) {
    const words = turn.map(wordOf)
    if (countOf(words, begun) === 0) continue
    if (countOf(words, begun) !== 1 || countOf(words, ended) !== 1) return `S12 not ended once: ${words.join(" ")}`
    if (words.findIndex((word) => word.startsWith(ended)) < words.indexOf(begun)) {
      return `S12 ended before it began: ${words.join(" ")}`
    }
  }
  return undefined
}

const found = JSON.stringify({ findings: [], overall_explanation: "fine" })

/** The kind of reviews, with another model than that of the session: the laws count the requests of the session. */
const reviews = (): TaskKind => {
  const { model } = ScriptedModel.make(() => [ScriptedModel.text(found)])
  const kind = ReviewTask.kind({ cwd: "/r" })
  return {
    ...(kind as TaskKind),
    taskOf: (params) => {
      const task = kind.taskOf(params)
      return "effect" in task ? { ...task, effect: Effect.provideService(task.effect, Model, model) } : task
    }
  }
}

/** A review: what it entered, it has left before the end of its turn. */
const reviewing = exploring({
  ops: [Op.startTask("review", { target: { type: "uncommitted" } })],
  make: (journal) =>
    Effect.map(Effect.provide(Harness.make({ tasks: [reviews()], journal }), git()), (harness) => ({
      harness,
      law: (records) => endsOnce(records, "review", "review.entered", "review.exited")
    }))
})

/** An undo: it reports its end once, and says whether files were changed. */
const undoing = exploring({
  ops: [Op.startTask("undo")],
  make: (journal) =>
    Effect.gen(function* () {
      const snapshots = Fake.make({ stage: Effect.sleep(2), move: Effect.sleep(2) })
      yield* snapshots.service.begin("session", "/")
      const harness = yield* Effect.provide(
        Harness.make({ tasks: [UndoTask.kind as TaskKind], script: () => [], journal }),
        snapshots.layer
      )
      return {
        harness,
        law: (records) => {
          const restored = countOf(records.map(wordOf), "undo.completed(restored)")
          const moved = snapshots.log.filter((line) => line === "restore").length
          if (restored !== moved) return `S12 ${moved} restorations, of which ${restored} were reported`
          return endsOnce(records, "undo", "undo.started", "undo.completed")
        }
      }
    })
})

const shell = (journal: Journal, script: ScriptedModel.Script, tools: Harness.HarnessOptions["tools"] = {}) => {
  const { service } = host(["one ", "two"], { exitCode: 0 }, 3)
  return Effect.map(
    Harness.make({
      journal,
      script,
      tools,
      tasks: [UserShellTask.kind({ cwd: "/w", shell: "/bin/sh" }) as TaskKind],
      factory: (agent, options) => Effect.provideService(Session.make(agent, options), Processes, service)
    }),
    (harness) => ({ harness, law: reportsCommands })
  )
}

/** Each command that has started has ended, and its record is in the history or waits for the next turn, once. */
const reportsCommands = (records: ReadonlyArray<JournalRecord>): string | undefined => {
  const words = records.map(wordOf)
  const [started, ended] = ["user_shell.started", "user_shell.ended"].map((word) => countOf(words, word))
  if (started !== ended) return `S12 ${started} commands started and ${ended} ended: ${words.join(" ")}`
  const reports = records.filter(
    (one) =>
      one._tag === "TaskReported" ||
      (one._tag === "ItemRecorded" &&
        one.item._tag === "UserMessage" &&
        one.item.fragment === UserShellTask.userShellFragment &&
        one.item.submissionId === undefined)
  )
  const own = new Set(reports.map((one) => ("submissionId" in one ? one.submissionId : undefined)))
  if (reports.length < started!) return `S12 ${started} commands and ${reports.length} records: ${words.join(" ")}`
  const alongside = reports.filter(({ _tag }) => _tag === "TaskReported").length
  if (own.size - (alongside < reports.length ? 1 : 0) !== alongside) return "S12 a command was reported twice"
  return undefined
}

const command = Op.startTask("user_shell", { command: "ls" })

/** A command in its own turn. */
const running = exploring({ ops: [command], make: (journal) => shell(journal, () => [ScriptedModel.text("seen")]) })

/** A command alongside a turn that calls a tool. */
const runningAlongside = exploring({
  ops: [Op.userInput("begin"), command],
  make: (journal) =>
    shell(journal, (_, index) => (index === 0 ? [ScriptedModel.call("wait", {}, "a")] : [ScriptedModel.text("seen")]), {
      wait: { run: () => Effect.as(Effect.sleep(5), "done") }
    })
})

/** A turn whose calls change something: they wait for its snapshot, which belongs to the turn alone. */
const gating = exploring({
  ops: [Op.userInput("begin")],
  make: (journal) =>
    Effect.gen(function* () {
      const fake = Fake.make({ begin: Effect.repeat(Effect.sleep(1), { times: 20 }) })
      const { log } = fake
      const turns = yield* TurnSnapshots.make("/").pipe(
        Effect.provideService(Snapshots, fake.service),
        Effect.provideService(Journal, journal)
      )
      const write = {
        run: () =>
          Effect.andThen(
            Effect.sync(() => void log.push("write")),
            Effect.sleep(1)
          ),
        policy: { mutates: true }
      }
      const harness = yield* Harness.make({
        journal,
        tools: { write },
        script: ({ items }) =>
          items.some(({ _tag }) => _tag === "ToolResult")
            ? [ScriptedModel.text("done")]
            : [ScriptedModel.call("write", {}, "a"), ScriptedModel.call("write", {}, "b")],
        observer: (_, event) => {
          if (event._tag === "TurnStarted") log.push("turn")
          if ("seq" in event && isTerminal(event)) log.push("end")
        }
      }).pipe(Effect.provideService(MutationGate, turns.gate), Effect.provideService(SessionObserver, turns.observer))
      return { harness, law: () => gateLaw(log) }
    })
})

const gateLaw = (log: ReadonlyArray<string>): string | undefined => {
  let isRunning = false
  let begun = 0
  for (const line of log) {
    if (line === "turn") {
      isRunning = true
      begun = 0
    } else if (line === "end") isRunning = false
    else if (line.startsWith("begin")) {
      begun++
      if (!isRunning) return `S12 a snapshot from before a turn was taken after its end: ${log.join(", ")}`
      if (begun > 1) return `S12 a turn took two snapshots: ${log.join(", ")}`
    } else if (line === "write" && begun === 0) return `S12 a call ran before the snapshot: ${log.join(", ")}`
  }
  return undefined
}

/** The explorations by name. */
export const cases = { reviewing, undoing, running, runningAlongside, gating } satisfies {
  readonly [name: string]: Case
}
