/** The sequence of events of each outcome of each kind, as the README draws it (contract S2, S3, S12). */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as CompactTask from "@spindle/core/CompactTask"
import { Journal } from "@spindle/core/Journal"
import { MutationGate } from "@spindle/core/MutationGate"
import * as Op from "@spindle/core/Op"
import { Processes } from "@spindle/core/Processes"
import * as Session from "@spindle/core/Session"
import { isTerminal, type JournalRecord } from "@spindle/core/SessionEvent"
import { SessionObserver } from "@spindle/core/SessionObserver"
import * as Task from "@spindle/core/Task"
import type { TaskKind } from "@spindle/core/TaskKind"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { SnapshotFailed, Snapshots } from "@spindle/tools/Snapshots"
import { Deferred, Effect, type Scope } from "effect"
import * as ReviewTask from "../../src/tasks/ReviewTask.ts"
import * as UndoTask from "../../src/tasks/UndoTask.ts"
import * as UserShellTask from "../../src/tasks/UserShellTask.ts"
import * as TurnSnapshots from "../../src/TurnSnapshots.ts"
import { git } from "../fixtures/fakeGit.ts"
import { host } from "../fixtures/shellHost.ts"
import * as Fake from "../fixtures/snapshots.ts"
import { wordOf } from "../fixtures/words.ts"

type Outcome = "success" | "failure" | "abort" | "replaced" | "crash"

/** A session of one kind, with its journal if it is resumed. */
interface Opening {
  readonly outcome: Outcome
  readonly options: Pick<Harness.HarnessOptions, "resume"> & { readonly journal: Journal }
  /** Waits in the middle of the task, unless its outcome is a success or a failure. */
  readonly pause: Effect.Effect<void>
}

interface Scenario {
  /** The kind of the turn whose events are shown. */
  readonly turn: string
  /** Each runs to its end before the task. */
  readonly before?: ReadonlyArray<Op.Op>
  /** Submitted one after another. */
  readonly ops: ReadonlyArray<Op.Op>
  /** Waits until the task is where it is cut. Default: the gate of the model. */
  readonly reached?: (harness: Harness.SessionHarness, paused: Effect.Effect<void>) => Effect.Effect<unknown>
  readonly open: (opening: Opening) => Effect.Effect<Harness.SessionHarness, unknown, Scope.Scope>
}

const isCut = (outcome: Outcome): boolean => outcome !== "success" && outcome !== "failure"

/** A script that pauses before these steps if the task is to be cut. */
const paused = (outcome: Outcome, ...steps: Model.Answer): Model.Answer =>
  isCut(outcome) ? [Model.gate("pause"), ...steps] : steps

const found = JSON.stringify({ findings: [], overall_explanation: "fine" })

const shell = ({ options, outcome }: Opening, script: Model.Script, tools: Harness.HarnessOptions["tools"] = {}) => {
  const { service } = host(["out"], isCut(outcome) ? undefined : { exitCode: outcome === "failure" ? 1 : 0 })
  return Harness.make({
    ...options,
    tools,
    script,
    tasks: [UserShellTask.kind({ cwd: "/w", shell: "/bin/sh" }) as TaskKind],
    factory: (agent, opened) => Effect.provideService(Session.make(agent, opened), Processes, service)
  })
}

const printed = ({ awaitEvent }: Harness.SessionHarness) => awaitEvent(Harness.hasTag("ToolOutput"))

const scenarios: { readonly [name: string]: Scenario } = {
  compact: {
    turn: "compact",
    before: [Op.userInput("one"), Op.userInput("two")],
    ops: [Op.startTask("compact")],
    open: ({ options, outcome }) =>
      Harness.make({
        ...options,
        tasks: [CompactTask.kind],
        script: (_, index) => {
          if (index < 2) return [Model.text("x".repeat(4_000))]
          return outcome === "failure" ? [Model.fail("Unauthorized")] : paused(outcome, Model.text("a summary"))
        }
      })
  },
  review: {
    turn: "review",
    ops: [Op.startTask("review", { target: { type: "uncommitted" } })],
    open: ({ options, outcome }) =>
      Harness.make({
        ...options,
        tasks: [ReviewTask.kind({ cwd: "/r" }) as TaskKind],
        script: () => (outcome === "failure" ? [Model.fail("Unauthorized")] : paused(outcome, Model.text(found)))
      }).pipe(Effect.provide(git()))
  },
  undo: {
    turn: "undo",
    ops: [Op.startTask("undo")],
    reached: (_, paused) => paused,
    open: ({ options, outcome, pause }) =>
      Effect.gen(function* () {
        const conflicts = outcome === "failure" ? [{ path: "a.txt", detail: "was changed since" }] : []
        const snapshots = Fake.make({ conflicts, stage: pause })
        yield* snapshots.service.begin("session", "/")
        return yield* Effect.provide(Harness.make({ ...options, tasks: [UndoTask.kind as TaskKind] }), snapshots.layer)
      })
  },
  user_shell: {
    turn: "user_shell",
    ops: [Op.startTask("user_shell", { command: "ls" })],
    reached: printed,
    open: (opening) => shell(opening, [])
  },
  "user_shell alongside": {
    turn: "regular",
    ops: [Op.userInput("one"), Op.startTask("user_shell", { command: "ls" })],
    reached: printed,
    open: (opening) =>
      shell(opening, (_, index) => (index === 0 ? [Model.call("wait", {}, "a")] : [Model.text("seen")]), {
        wait: { run: () => (isCut(opening.outcome) ? Effect.never : Effect.as(Effect.yieldNow, "done")) }
      })
  },
  snapshot: {
    turn: "regular",
    ops: [Op.userInput("one")],
    reached: (_, paused) => paused,
    open: ({ options, outcome, pause }) =>
      Effect.gen(function* () {
        const { service } = Fake.make({ begin: pause })
        const failing = { ...service, begin: () => Effect.fail(new SnapshotFailed({ detail: "the disk is full" })) }
        const turns = yield* TurnSnapshots.make("/").pipe(
          Effect.provideService(Snapshots, outcome === "failure" ? failing : service),
          Effect.provideService(Journal, options.journal)
        )
        return yield* Harness.make({
          ...options,
          tools: { write: { run: () => Effect.succeed("written"), policy: { mutates: true } } },
          script: [[Model.call("write", {}, "a")], [Model.text("done")]]
        }).pipe(Effect.provideService(MutationGate, turns.gate), Effect.provideService(SessionObserver, turns.observer))
      })
  }
}

/** Runs a scenario to one of its outcomes, and returns the events of its turn. */
const run = (scenario: Scenario, outcome: Outcome) =>
  Effect.gen(function* () {
    const { before = [], ops, reached } = scenario
    const hasPaused = yield* Deferred.make<void>()
    const pause = isCut(outcome) ? Effect.andThen(Deferred.succeed(hasPaused, undefined), Effect.never) : Effect.void
    const journal = yield* Harness.memoryJournal
    const harness = yield* scenario.open({ outcome, options: { journal }, pause })
    const { session } = harness
    for (const op of before) {
      yield* session.submit(op)
      yield* session.awaitIdle
    }
    for (const op of ops) yield* session.submit(op)
    if (isCut(outcome)) {
      yield* reached === undefined ? harness.model.awaitGate("pause") : reached(harness, Deferred.await(hasPaused))
    }
    if (outcome === "crash") return turnOf(scenario, [...harness.records(), ...(yield* resumed(scenario, harness))])
    if (outcome === "abort") yield* session.abort()
    if (outcome === "replaced") yield* session.start(Task.make("other", Effect.void))
    yield* session.awaitIdle
    return turnOf(scenario, harness.records())
  }).pipe(Effect.scoped)

/** What a resume records in a journal that ends where a session is now. */
const resumed = (scenario: Scenario, { records, session }: Harness.SessionHarness) =>
  Effect.scoped(
    Effect.gen(function* () {
      const prefix = records()
      const journal = yield* Harness.memoryJournal
      yield* Effect.scoped(Effect.flatMap(journal.open(session.sessionId, "create"), (writer) => writer.append(prefix)))
      const options = { journal, resume: session.sessionId }
      const harness = yield* scenario.open({ outcome: "success", options, pause: Effect.void })
      yield* harness.session.awaitIdle
      return harness.records().filter(({ seq }) => seq >= prefix.length)
    })
  )

/** The words of the turn of a scenario, from its start to its end. */
const turnOf = ({ turn }: Scenario, records: ReadonlyArray<JournalRecord>): string => {
  const start = records.findIndex((one) => one._tag === "TurnStarted" && one.kind === turn)
  const end = records.findIndex((one, index) => index > start && isTerminal(one))
  return records
    .slice(start, end + 1)
    .map(wordOf)
    .join(", ")
}

const outcomes: ReadonlyArray<Outcome> = ["success", "failure", "abort", "replaced", "crash"]

const drawn = /(?<=<!-- sequences -->\n)[^]*?(?=<!-- \/sequences -->)/.exec(
  readFileSync(join(import.meta.dirname, "../../README.md"), "utf8")
)?.[0]

describe("the README", () => {
  it.effect("S2 S3 S12 draws the events of each outcome of each kind", () =>
    Effect.gen(function* () {
      const rows: Array<string> = []
      for (const [name, scenario] of Object.entries(scenarios)) {
        for (const outcome of outcomes) {
          rows.push(`| \`${name}\` | ${outcome} | ${yield* run(scenario, outcome)} |`)
        }
      }
      const table = ["| kind | outcome | events |", "| --- | --- | --- |", ...rows, ""].join("\n")
      assert.strictEqual(drawn?.trim(), table.trim())
    })
  )
})
