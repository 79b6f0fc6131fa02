/** Commands of the user (contract S3, I2, I5, J3, P3, X1). */
import { assert, describe, it } from "@effect/vitest"
import { denyAll } from "@spindle/core/Approvals"
import type { SessionId, SubmissionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import * as Op from "@spindle/core/Op"
import { Processes } from "@spindle/core/Processes"
import * as Session from "@spindle/core/Session"
import type { TaskReported } from "@spindle/core/SessionEvent"
import * as Laws from "@spindle/testing/Laws"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as App from "../../src/App.ts"
import * as UserShellTask from "../../src/tasks/UserShellTask.ts"
import { host } from "../fixtures/shellHost.ts"
import { platform, world } from "../fixtures/world.ts"

const kind = UserShellTask.kind({ cwd: "/w", shell: "/bin/shell" })

const make = (service: Processes, options: Harness.HarnessOptions = {}) =>
  Harness.make({
    tasks: [kind as never],
    script: () => [Model.text("seen")],
    factory: (agent, opened) => Effect.provideService(Session.make(agent, opened), Processes, service),
    ...options
  })
const start = (
  { session }: Harness.SessionHarness,
  command: string,
  { id, mode }: { readonly mode?: Op.TaskMode; readonly id?: SubmissionId } = {}
) => {
  const op = Op.startTask("user_shell", { command }, { mode })
  return session.submit(id === undefined ? op : { id, op })
}
const textsOf = (items: ReadonlyArray<Item>) =>
  items.flatMap((item) => (item._tag === "UserMessage" ? [Input.textOf(item.content)] : []))
const endingOf = ({ records }: Harness.SessionHarness) =>
  records().flatMap((record) =>
    record._tag === "TaskNote" ? Option.toArray(UserShellTask.UserShellEnded.decode(record)) : []
  )[0]
const fragment = (command: string, result: string) =>
  `<user_shell_command>\n<command>\n${command}\n</command>\n<result>\n${result}\n</result>\n</user_shell_command>`
const assertLaws = Effect.fnUntraced(function* (
  { events, session }: Harness.SessionHarness,
  receipts: ReadonlyArray<Op.Receipt>
) {
  assert.isUndefined(Laws.session({ events, receipts, final: yield* session.snapshot }))
})

describe("a command of the user", () => {
  it.effect("X1 ends with its shell, even if what it left running holds its output open", () =>
    Effect.gen(function* () {
      const { service } = host([], { exitCode: 0 })
      const held: Processes = {
        ...service,
        start: (spec) =>
          Effect.map(service.start(spec), (process) => ({
            ...process,
            output: Stream.concat(Stream.make(new TextEncoder().encode("ready\n")), Stream.never)
          }))
      }
      const harness = yield* make(held)
      yield* start(harness, "server &")
      yield* harness.awaitEvent(Harness.hasTag("ToolOutput"))
      yield* TestClock.adjust("2 seconds")
      yield* harness.session.awaitIdle
      const ended = endingOf(harness)
      assert.deepStrictEqual([ended?.ending, ended?.output], [{ exitCode: 0 }, "ready\n"])
    })
  )

  it.live("X1 runs in the shell of the user and in the directory of the session", () =>
    Effect.gen(function* () {
      const { cwd, layer, settings } = yield* world({})
      const texts = yield* Effect.scoped(
        Effect.gen(function* () {
          const { session } = yield* App.open({
            settings,
            cwd,
            sessionId: "shell" as SessionId,
            isResumed: false,
            approvals: denyAll("nobody is asked"),
            meta: {}
          })
          yield* session.submit(Op.startTask("user_shell", { command: "pwd; exit 3" }))
          yield* session.awaitIdle
          return textsOf((yield* session.snapshot).items)
        })
      ).pipe(Effect.provide(layer))
      assert.include(texts[0], `exit code 3\n`)
      assert.include(texts[0], `${cwd}\n`)
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.effect("S3 J3 runs in a login shell, and the next turn reads it and its output", () =>
    Effect.gen(function* () {
      const { commands, service } = host(["one\n", "two\n"], { exitCode: 3 })
      const harness = yield* make(service, { hooks: { userPromptSubmit: () => Effect.die("not the user's words") } })
      const receipt = yield* start(harness, "ls -l")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(commands, [["/bin/shell", "-lc", "ls -l"]])
      assert.deepStrictEqual(harness.tags(), [
        "SessionStarted",
        "InputAccepted",
        "TurnStarted",
        "TaskNote",
        "ProcessStarted",
        "ProcessEnded",
        "TaskNote",
        "ItemRecorded",
        "TurnCompleted"
      ])
      const { items } = yield* harness.session.snapshot
      assert.deepStrictEqual(textsOf(items), [fragment("ls -l", "exit code 3\none\ntwo\n")])
      assert.deepInclude(endingOf(harness), { ending: { exitCode: 3 }, output: "one\ntwo\n" })
      yield* assertLaws(harness, [receipt])
    })
  )

  it.effect("I7 publishes its output with the offset of each piece, and cuts no character", () =>
    Effect.gen(function* () {
      const bytes = new TextEncoder().encode("a𝄞b")
      const { service } = host([bytes.slice(0, 3), bytes.slice(3), "c"], { exitCode: 0 })
      const harness = yield* make(service)
      yield* start(harness, "x")
      yield* harness.session.awaitIdle
      const pieces = harness.events.flatMap((event) =>
        event._tag === "ToolOutput" ? [[event.offset, event.text]] : []
      )
      let length = 0
      for (const [offset, text] of pieces) {
        assert.strictEqual(offset, length)
        length += (text as string).length
      }
      assert.strictEqual(pieces.map(([, text]) => text).join(""), "a𝄞bc")
    })
  )

  it.effect("I2 X1 is ended by an abort of its turn, and what it printed is kept", () =>
    Effect.gen(function* () {
      const { service } = host(["half"], undefined)
      const harness = yield* make(service)
      const receipt = yield* start(harness, "sleep 9")
      yield* harness.awaitEvent(Harness.hasTag("ToolOutput"))
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      assert.strictEqual(harness.tags().at(-1), "TurnAborted")
      const [first] = textsOf((yield* harness.session.snapshot).items)
      assert.strictEqual(first, fragment("sleep 9", "command aborted by user\nhalf"))
      assert.deepInclude(endingOf(harness)?.ending, { aborted: true })
      yield* assertLaws(harness, [receipt])
    })
  )

  it.effect("X1 is ended after an hour", () =>
    Effect.gen(function* () {
      const { service } = host(["still here"], undefined)
      const harness = yield* make(service)
      yield* start(harness, "sleep 9999")
      yield* harness.awaitEvent(Harness.hasTag("ToolOutput"))
      yield* TestClock.adjust(UserShellTask.limit)
      yield* harness.session.awaitIdle
      assert.strictEqual(harness.tags().at(-1), "TurnCompleted")
      assert.deepStrictEqual(endingOf(harness)?.ending, { exitCode: null, timedOut: true })
    })
  )

  it.effect("S5 that cannot start says so to the user and to the model", () =>
    Effect.gen(function* () {
      const harness = yield* make(host([], { exitCode: 0 }).service)
      yield* start(harness, "missing")
      yield* harness.session.awaitIdle
      assert.strictEqual(harness.tags().at(-1), "TurnCompleted")
      assert.include(endingOf(harness)?.ending.failure, "cannot start /bin/shell in /w: no such shell")
      assert.include(textsOf((yield* harness.session.snapshot).items)[0], "no such shell")
    })
  )

  it.effect("P3 waits for the turn if the client asks for it, and an empty one is rejected", () =>
    Effect.gen(function* () {
      const { service } = host(["ok"], { exitCode: 0 })
      const harness = yield* make(service, { script: () => [Model.gate("g"), Model.text("done")] })
      yield* harness.submit("one")
      yield* harness.model.awaitGate("g")
      assert.strictEqual((yield* start(harness, "ls", { mode: "queue" }))._tag, "Queued")
      const rejected = yield* start(harness, "")
      assert.strictEqual(rejected._tag === "Rejected" && rejected.reason._tag, "InvalidParams")
      yield* harness.model.open("g")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(textsOf((yield* harness.session.snapshot).items), [
        "one",
        fragment("ls", "exit code 0\nok")
      ])
    })
  )

  it.effect("S4 X1 runs alongside a turn, whose next request has the command and its output", () =>
    Effect.gen(function* () {
      const { commands, service } = host(["one\n", "two\n"], { exitCode: 3 })
      const harness = yield* make(service, {
        script: (_, index) => (index === 0 ? [Model.gate("g"), Model.text("done")] : [Model.text("seen")])
      })
      const receipts = [yield* harness.submit("one")]
      yield* harness.model.awaitGate("g")
      receipts.push(yield* start(harness, "ls -l"))
      yield* harness.awaitEvent(Harness.hasTag("TaskReported"))
      yield* harness.model.open("g")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(commands, [["/bin/shell", "-lc", "ls -l"]])
      const turns = harness.records().flatMap((record) => (record._tag === "TurnStarted" ? [record.turnId] : []))
      assert.lengthOf(turns, 1)
      const started = harness.records().find((record) => record._tag === "ProcessStarted")
      assert.strictEqual(started?.turnId, turns[0])
      const shown = fragment("ls -l", "exit code 3\none\ntwo\n")
      assert.deepStrictEqual(textsOf(harness.requests[1]!.items), ["one", shown])
      yield* assertLaws(harness, receipts)
    })
  )

  it.effect("I7 publishes the output of two commands of one turn with the offsets of each", () =>
    Effect.gen(function* () {
      const { service } = host(["a", "b"], { exitCode: 0 })
      const harness = yield* make(service, { script: () => [Model.gate("g"), Model.text("done")] })
      yield* harness.submit("one")
      yield* harness.model.awaitGate("g")
      yield* start(harness, "x", { id: "x" as SubmissionId })
      yield* start(harness, "y", { id: "y" as SubmissionId })
      yield* harness.awaitEvent(
        (event): event is TaskReported => event._tag === "TaskReported" && event.submissionId === "x"
      )
      yield* harness.awaitEvent(
        (event): event is TaskReported => event._tag === "TaskReported" && event.submissionId === "y"
      )
      const pieces = harness.events.flatMap((event) =>
        event._tag === "ToolOutput" ? [`${event.callId} ${event.offset} ${event.text}`] : []
      )
      assert.deepStrictEqual(pieces.toSorted(), [
        "user_shell-x 0 a",
        "user_shell-x 1 b",
        "user_shell-y 0 a",
        "user_shell-y 1 b"
      ])
    })
  )

  it.effect(
    "I2 X1 is ended by an abort of the turn that it runs alongside, and the next turn reads what it printed",
    () =>
      Effect.gen(function* () {
        const { service } = host(["half"], undefined)
        const harness = yield* make(service, {
          script: (_, index) => (index === 0 ? [Model.gate("g")] : [Model.text("seen")])
        })
        const receipts = [yield* harness.submit("one")]
        yield* harness.model.awaitGate("g")
        receipts.push(yield* start(harness, "sleep 9"))
        yield* harness.awaitEvent(Harness.hasTag("ToolOutput"))
        yield* harness.session.abort()
        yield* harness.session.awaitIdle
        assert.deepInclude(endingOf(harness)?.ending, { aborted: true })
        assert.deepStrictEqual(yield* harness.session.processes, [])
        receipts.push(yield* harness.submit("two"))
        yield* harness.session.awaitIdle
        assert.include(
          textsOf((yield* harness.session.snapshot).items),
          fragment("sleep 9", "command aborted by user\nhalf")
        )
        yield* assertLaws(harness, receipts)
      })
  )
})
