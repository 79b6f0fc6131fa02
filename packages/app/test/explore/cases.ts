/** The tasks of the application, the snapshots of turns and the apps that they mention, as explorations. Each has the laws that only it has. */
import type { Approvals } from "@spindle/core/Approvals"
import { Fragments } from "@spindle/core/Fragments"
import * as Hooks from "@spindle/core/Hooks"
import { MutationGate } from "@spindle/core/MutationGate"
import { Journal } from "@spindle/core/Journal"
import * as Input from "@spindle/core/Input"
import * as Local from "@spindle/core/Local"
import { Model, type ModelRequest } from "@spindle/core/Model"
import * as Op from "@spindle/core/Op"
import { Processes } from "@spindle/core/Processes"
import * as Session from "@spindle/core/Session"
import { isRecord, isTerminal, type JournalRecord } from "@spindle/core/SessionEvent"
import { SessionObserver } from "@spindle/core/SessionObserver"
import * as Task from "@spindle/core/Task"
import * as TaskKind from "@spindle/core/TaskKind"
import { Turn } from "@spindle/core/Turn"
import type { McpServer } from "@spindle/mcp/McpServer"
import * as McpServers from "@spindle/mcp/McpServers"
import * as McpTools from "@spindle/mcp/McpTools"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Snapshots } from "@spindle/tools/Snapshots"
import { Context, Effect, FileSystem, Layer, Schema } from "effect"
import * as Connectors from "../../src/connectors/Connectors.ts"
import * as Instructions from "../../src/Instructions.ts"
import * as Skills from "../../src/Skills.ts"
import * as ReviewTask from "../../src/tasks/ReviewTask.ts"
import * as UndoTask from "../../src/tasks/UndoTask.ts"
import * as UserShellTask from "../../src/tasks/UserShellTask.ts"
import * as TurnSnapshots from "../../src/TurnSnapshots.ts"
import { git } from "../fixtures/fakeGit.ts"
import * as MemoryFiles from "../fixtures/memoryFiles.ts"
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
const reviews = (): TaskKind.TaskKind => {
  const { model } = ScriptedModel.make(() => [ScriptedModel.text(found)])
  const kind = ReviewTask.kind({ cwd: "/r" })
  return {
    ...(kind as TaskKind.TaskKind),
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
        Harness.make({ tasks: [UndoTask.kind as TaskKind.TaskKind], script: () => [], journal }),
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

const shell = (
  journal: Journal,
  script: ScriptedModel.Script,
  more: Pick<Harness.HarnessOptions, "tools" | "approvals"> = {}
) => {
  const { service } = host(["one ", "two"], { exitCode: 0 }, 3)
  return Effect.map(
    Harness.make({
      journal,
      script,
      ...more,
      tasks: [UserShellTask.kind({ cwd: "/w", shell: "/bin/sh" }) as TaskKind.TaskKind],
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

/** Calls a tool once. */
const calling =
  (name: string): ScriptedModel.Script =>
  (_, index) =>
    index === 0 ? [ScriptedModel.call(name, {}, "a")] : [ScriptedModel.text("seen")]

/** A command in its own turn. */
const running = exploring({ ops: [command], make: (journal) => shell(journal, () => [ScriptedModel.text("seen")]) })

/** A command alongside a turn that calls a tool. */
const runningAlongside = exploring({
  ops: [Op.userInput("begin"), command],
  make: (journal) =>
    shell(journal, calling("wait"), { tools: { wait: { run: () => Effect.as(Effect.sleep(5), "done") } } })
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

/** Denies what no client has answered in time. */
const approvals: Approvals = {
  decide: () => Effect.as(Effect.sleep(10), { _tag: "Denied", reason: "no answer" })
}

/** A custom kind: it asks before it publishes. */
const publish = TaskKind.make("publish", {
  params: Schema.Struct({}),
  task: () =>
    Task.make(
      "publish",
      Effect.gen(function* () {
        const turn = yield* Turn
        const { _tag } = yield* turn.ask({ kind: "question", payload: {} })
        if (_tag === "Approved") yield* turn.say(published)
      })
    )
})

const published = "published"

/** What was done needs an approval each. */
const approved = (records: ReadonlyArray<JournalRecord>, done: number): string | undefined => {
  const allowed = records.filter((one) => one._tag === "QuestionSettled" && one.decision._tag === "Approved").length
  return done > allowed ? `A1 ${done} of ${allowed} approved actions were done` : undefined
}

/** A task of a custom kind that asks. */
const asking = exploring({
  ops: [Op.startTask("publish", {})],
  make: (journal) =>
    Effect.map(
      Harness.make({ tasks: [publish], script: () => [ScriptedModel.text("seen")], approvals, journal }),
      (harness) => ({
        harness,
        law: (records) =>
          approved(
            records,
            records.filter(
              (one) =>
                one._tag === "ItemRecorded" && one.item._tag === "AssistantMessage" && one.item.text === published
            ).length
          )
      })
    )
})

/** A command alongside a turn whose call asks. */
const askingAlongside = exploring({
  ops: [Op.userInput("begin"), command],
  make: (journal) => {
    let done = 0
    const push = { run: () => Effect.sync(() => void done++), policy: { approval: "ask" } } as const
    return Effect.map(shell(journal, calling("push"), { tools: { push }, approvals }), ({ harness, law }) => ({
      harness,
      law: (records) => law(records) ?? approved(records, done)
    }))
  }
})

const unused = Effect.die("no exploration calls it")
const toolsOfApps = Array.from({ length: 100 }, (_, index) => ({
  name: `tool_${index}`,
  inputSchema: { type: "object" as const },
  _meta: { connector_id: `app_${Math.floor(index / 10)}` }
}))

/** A server of ten apps with ten tools each. */
const server: McpServer = {
  config: { _tag: "Stdio", name: "apps", command: "apps", apps: true },
  started: Effect.void,
  tools: () => toolsOfApps,
  failure: () => undefined,
  callTool: () => unused,
  listResources: unused,
  readResource: () => unused,
  listPrompts: unused,
  getPrompt: () => unused
}

/** The tools of the server. They are made once, because they cost more than a run. */
const apps = Effect.gen(function* () {
  const context = yield* Layer.build(McpTools.layer({ servers: [server.config], approval: "allow" }))
  const made = Context.get(context, McpTools.McpTools)
  const turn = { session: { locals: new Local.Locals() }, warn: () => Effect.void } as unknown as Turn
  const table = yield* Effect.provideService(made.table, Turn, turn)
  return { ...made, table: Effect.as(Effect.sleep(2), table) }
}).pipe(
  Effect.provideService(McpServers.McpServers, { get: () => Effect.succeed(server), pids: () => [] }),
  Effect.scoped,
  Effect.runSync
)

const mentioned = "app_1"

/** Whether a record is an input with the mention. */
const isMention = (record: JournalRecord): boolean =>
  record._tag === "ItemRecorded" &&
  record.item._tag === "UserMessage" &&
  record.item.content.some((part) => part._tag === "Mention" && part.path === `app://${mentioned}`)

/** A turn whose input mentions an app, followed by one that mentions none. Each offers what it has selected itself. */
const mentioning = exploring({
  ops: [
    {
      _tag: "UserInput",
      input: [...Input.text("send it"), { _tag: "Mention", name: "Mail", path: `app://${mentioned}` }]
    },
    Op.userInput("and now?", { delivery: "queue" })
  ],
  make: (journal) =>
    Effect.gen(function* () {
      const broken: Array<string> = []
      const ofTurn = (turnId: string) => harness.records().filter((one) => "turnId" in one && one.turnId === turnId)
      const check = (request: ModelRequest) => {
        const turn = harness.records().findLast((one) => one._tag === "TurnStarted")
        if (turn?._tag !== "TurnStarted") return
        const offered = request.tools.filter(({ name }) => name.startsWith("mcp__apps__tool_")).map(({ name }) => name)
        const expected = ofTurn(turn.turnId).some(isMention)
          ? Array.from({ length: 10 }, (_, index) => `mcp__apps__tool_${10 + index}`)
          : []
        if (offered.join() !== expected.join()) broken.push(`M4 a turn offers [${offered}] and selects [${expected}]`)
      }
      const harness: Harness.SessionHarness = yield* Harness.make({
        journal,
        tools: { pause: { run: () => Effect.as(Effect.sleep(2), "done") } },
        script: (request) => {
          check(request)
          return request.items.at(-1)?._tag === "ToolResult"
            ? [ScriptedModel.text("seen")]
            : [ScriptedModel.call("pause", {}, `a${request.items.length}`)]
        },
        factory: (agent, options) =>
          Effect.provideService(
            Session.make({ ...agent, sources: [Connectors.source] }, options),
            McpTools.McpTools,
            apps
          )
      })
      return {
        harness,
        law: (records) => {
          for (const started of records) {
            if (started._tag !== "TurnStarted") continue
            const notes = countOf(ofTurn(started.turnId).map(wordOf), "connectors.selected")
            const most = ofTurn(started.turnId).some(isMention) ? 1 : 0
            if (notes > most) broken.push(`M4 a turn notes ${notes} selections of ${most}`)
          }
          return broken[0]
        }
      }
    })
})

const places: Instructions.Places = {
  home: "/home",
  cwd: "/p/part",
  fallbackNames: [],
  maxBytes: 1_000,
  rootMarkers: [".git"]
}
const files = {
  "/home/AGENTS.md": "Of the person.",
  "/home/skills/deploy/SKILL.md": "---\ndescription: Deploys.\n---\nPush the button.",
  "/p/.git": "",
  "/p/AGENTS.md": "Of the project.",
  "/p/part/AGENTS.md": "Of the part."
}
const everything = "Of the person.\n\n--- project-doc ---\n\nOf the project.\n\nOf the part."

/**
 * Turns that read instructions and skills from files. At the end of a turn no file is open and no operation runs; each request
 * has the instructions and the list of skills once, and the skill that its input names.
 */
const readingFrom = (options: { readonly leaks: boolean }): Case =>
  exploring({
    ops: [Op.userInput("use $deploy"), Op.userInput("and now?", { delivery: "queue" })],
    make: (journal) =>
      Effect.gen(function* () {
        const { openCount, runningCount, service } = MemoryFiles.make(files, options)
        const broken: Array<string> = []
        const at = { ...places, disabledSkills: { paths: new Set<string>(), names: new Set<string>() } }
        const fragments = Instructions.make({
          places,
          environment: () => [["cwd", places.cwd]],
          further: Effect.map(Skills.read(at), Skills.fragmentsOf)
        })
        const check = ({ items }: ModelRequest) => {
          const texts = items.flatMap((item) => (item._tag === "UserMessage" ? [Input.textOf(item.content)] : []))
          for (const text of [everything, "- deploy: Deploys.", `<cwd>${places.cwd}</cwd>`]) {
            const count = texts.filter((one) => one.includes(text)).length
            if (count !== 1) broken.push(`I10 a request has ${count} times ${text}`)
          }
          const isChosen = texts.includes("use $deploy")
          const isRead = items.some(
            (item) => item._tag === "DeveloperMessage" && item.text.includes("Push the button.")
          )
          if (isChosen !== isRead) broken.push(`P5 a skill is chosen (${isChosen}) and read (${isRead})`)
        }
        const harness = yield* Harness.make({
          journal,
          hooks: Hooks.provide(Skills.hooks(at), Context.make(FileSystem.FileSystem, service)),
          script: (request) => {
            check(request)
            return [ScriptedModel.text("seen")]
          },
          observer: (_, event) => {
            if (!isRecord(event) || !isTerminal(event)) return
            if (openCount() > 0) broken.push(`I10 a turn leaves ${openCount()} files open`)
            if (runningCount() > 0) broken.push(`I10 a turn leaves ${runningCount()} operations running`)
          }
        }).pipe(
          Effect.provideService(Fragments, (known) =>
            Effect.provideService(fragments(known), FileSystem.FileSystem, service)
          )
        )
        return { harness, law: () => broken[0] }
      })
  })

const reading = readingFrom({ leaks: false })

/** As `reading`, with files that stay open: a control of its law. */
export const leaking = readingFrom({ leaks: true })

/** The explorations by name. */
export const cases = {
  reviewing,
  undoing,
  running,
  runningAlongside,
  gating,
  asking,
  askingAlongside,
  mentioning,
  reading
} satisfies {
  readonly [name: string]: Case
}
