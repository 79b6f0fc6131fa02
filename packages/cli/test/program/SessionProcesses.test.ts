import * as Os from "node:os"
import { assert, describe, it } from "@effect/vitest"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Agent, Journal, Op, Session, Task, Turn } from "@spindle/core"
import { ProcessId } from "@spindle/core/Ids"
import { Processes } from "@spindle/core/Processes"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as OpenAiModel from "@spindle/openai/OpenAiModel"
import * as ResponsesServer from "@spindle/testing/ResponsesServer"
import * as CodingTools from "@spindle/tools/CodingTools"
import * as CommandEnvironment from "@spindle/tools/CommandEnvironment"
import { Deferred, Effect, Layer, Option, Redacted, Stream } from "effect"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Machine from "@spindle/app/Machine"
import type * as Settings from "@spindle/app/Settings"
import * as Platform from "../../src/commands/Platform.ts"
import { command, processesOf, eventually } from "../fixtures/program.ts"

// sessions with real processes
const layer = Layer.mergeAll(
  Machine.processes.pipe(Layer.provideMerge(Platform.machine)),
  Journal.layerMemory(),
  ScriptedModel.make([]).layer
)
let count = 0
const uniqueSeconds = () => `${process.pid}${(count += 1)}.125`

const sleeper = Effect.fnUntraced(function* (script: string, keep: boolean) {
  const turn = yield* Turn.Turn
  return yield* turn.process({ command: ["sh", "-c", script], cwd: Os.tmpdir(), keep })
})

/** A session whose turn runs a process and waits forever, with all its events. */
const running = Effect.fnUntraced(function* (script: (seconds: string) => string, keep: boolean) {
  const session = yield* Session.make(Agent.make({}))
  const events: Array<SessionEvent> = []
  yield* Effect.forkScoped(Stream.runForEach(session.events(), (event) => Effect.sync(() => void events.push(event))))
  const seconds = uniqueSeconds()
  const started = yield* Deferred.make<ProcessId>()
  yield* session.start(
    Task.make(
      "sleeper",
      Effect.gen(function* () {
        const { processId } = yield* Effect.orDie(sleeper(script(seconds), keep))
        yield* Deferred.succeed(started, processId)
        return yield* Effect.never
      })
    )
  )
  const processId = yield* Deferred.await(started)
  return { session, events, seconds, processId }
})

const find = <const Tag extends SessionEvent["_tag"]>(events: ReadonlyArray<SessionEvent>, tag: Tag) =>
  events.find((event): event is Extract<SessionEvent, { readonly _tag: Tag }> => event._tag === tag)

describe("the reference's tests", () => {
  it.live(
    "1.12 sleep 60 through the shell tool, interrupted: TurnAborted; the next request has call, time and marker",
    () =>
      Effect.gen(function* () {
        const sleep = `sleep 60.${uniqueSeconds().replace(".", "")}`
        const server = yield* ResponsesServer.make({
          turns: [{ events: [command(sleep, "call-1")] }, { events: [{ text: "I see." }] }]
        })
        const model = OpenAiModel.layer({ model: "m", baseUrl: server.baseUrl })
        const cwd = Os.tmpdir()
        const agent = Agent.make({
          toolkit: CodingTools.toolkit,
          approvals: CodingTools.policies({ approval: "allow", cwd })
        })
        yield* Effect.gen(function* () {
          const session = yield* Session.make(agent)
          yield* session.submit(Op.userInput("run it"))
          const processes = () => processesOf(sleep.split(" ")[1]!)
          assert.isTrue(yield* eventually(() => processes().length > 0))
          assert.isTrue(yield* session.abort())
          yield* session.awaitIdle
          const aborted = yield* session.events().pipe(
            Stream.filter((event) => event._tag === "TurnAborted"),
            Stream.runHead
          )
          assert.strictEqual(Option.getOrUndefined(aborted)?.reason, "Interrupted")
          assert.isTrue(yield* eventually(() => processes().length === 0))
          yield* session.submit(Op.userInput("what happened?"))
          yield* session.awaitIdle
        }).pipe(
          Effect.scoped,
          Effect.provide(
            Layer.mergeAll(
              CodingTools.layer({ cwd }).pipe(
                Layer.provideMerge(Machine.processes.pipe(Layer.provideMerge(Platform.machine)))
              ),
              Journal.layerMemory(),
              model.pipe(Layer.provide(NodeHttpClient.layerNodeHttp))
            )
          )
        )
        assert.lengthOf(server.requests, 2)
        const input: ReadonlyArray<any> = server.requests[1]!.body.input
        const [call, output] = ["function_call", "function_call_output"].map((type) =>
          input.filter((item) => item.type === type)
        )
        assert.deepStrictEqual(
          [call!.map((item) => [item.call_id, JSON.parse(item.arguments).cmd]), output!.map((item) => item.call_id)],
          [[["call-1", sleep]], ["call-1"]]
        )
        const time = /^Wall time: (\d+\.\d) seconds\naborted by user$/.exec(output![0].output)?.[1]
        assert.isAtLeast(Number(time), 0.1)
        const texts = input.filter((item) => item.role === "user").map((item) => item.content[0].text as string)
        assert.lengthOf(texts, 3)
        assert.match(texts[1]!, /^<turn_aborted>\n/)
      }).pipe(Effect.scoped)
  )
})

describe("processes of a session", () => {
  it.live(
    "X1 an aborted turn ends its process with children and daemons, and names what was still ending until it has",
    () =>
      Effect.gen(function* () {
        // it ignores TERM, and so lives longer than the grace of the turn
        const family = (seconds: string) =>
          `trap '' TERM; sleep ${seconds} & setsid sleep ${seconds} & sleep ${seconds}; sleep ${seconds}`
        const { events, seconds, session } = yield* running(family, false)
        assert.isTrue(yield* eventually(() => processesOf(seconds).length === 3))
        assert.isTrue(yield* session.abort())
        assert.isTrue(yield* eventually(() => processesOf(seconds).length === 0))
        yield* session.awaitIdle
        const aborted = find(events, "TurnAborted")!
        assert.lengthOf(aborted.stragglers, 1)
        assert.include(aborted.stragglers[0]!, { kind: "process" })
        assert.deepStrictEqual(aborted.keptProcesses, [])
        assert.isTrue(yield* eventually(() => find(events, "StragglerEnded") !== undefined))
        const end = find(events, "StragglerEnded")!
        assert.deepStrictEqual([end.ofTurn, end.straggler], [aborted.turnId, aborted.stragglers[0]!])
      }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("X1 a kept process survives an interrupt, is named, and ends with the session", () =>
    Effect.gen(function* () {
      const seconds = yield* Effect.scoped(
        Effect.gen(function* () {
          const { events, processId, seconds, session } = yield* running(
            (time) => `sleep ${time} & sleep ${time}`,
            true
          )
          assert.isTrue(yield* eventually(() => processesOf(seconds).length === 2))
          yield* session.abort()
          yield* session.awaitIdle
          assert.isTrue(yield* eventually(() => find(events, "TurnAborted") !== undefined))
          const aborted = find(events, "TurnAborted")!
          assert.deepStrictEqual([aborted.keptProcesses, aborted.stragglers], [[processId], []])
          assert.lengthOf(processesOf(seconds), 2)
          assert.deepStrictEqual(
            (yield* session.processes).map((one) => one.processId),
            [processId]
          )
          return seconds
        })
      )
      assert.isTrue(yield* eventually(() => processesOf(seconds).length === 0))
    }).pipe(Effect.provide(layer))
  )
})

const settings = {
  provider: {
    _tag: "Responses",
    key: Redacted.make("sk-secret"),
    headers: [["x-org", Redacted.make("org-secret")]]
  },
  mcpServers: [],
  commands: { environment: { inherit: "all", exclude: CommandEnvironment.secretNames }, allowsLoginShell: true }
} as unknown as Settings.Settings

const env = {
  PATH: process.env["PATH"],
  MY_MODEL: "sk-secret",
  MY_ORG: "org-secret",
  OPENAI_API_KEY: "sk-other",
  EDITOR: "vi"
}

describe("the commands of a session", () => {
  it.live("inherit no variable that holds the key or a header of the provider, whatever its name", () =>
    Effect.gen(function* () {
      const child = yield* (yield* Processes).start({
        processId: ProcessId.make(`environment-${process.pid}`),
        command: ["env"],
        cwd: Os.tmpdir()
      })
      const text = yield* Stream.mkString(Stream.decodeText(child.output))
      assert.include(text, "EDITOR=vi\n")
      assert.notMatch(text, /secret|sk-other/)
    }).pipe(
      Effect.provide(
        Machine.processesFor(settings, env).pipe(
          Layer.provide(Layer.succeed(CommandEnvironment.HostVariables, () => env)),
          Layer.provide(Platform.machine)
        )
      )
    )
  )
})
