/** Programs of several sessions on one connection, and what must hold for the headers of their turns (contract M1). */
import { IdGenerator, sequential } from "@spindle/core/Ids"
import * as Session from "@spindle/core/Session"
import * as Grants from "@spindle/mcp/Grants"
import * as McpServers from "@spindle/mcp/McpServers"
import * as McpTools from "@spindle/mcp/McpTools"
import * as TurnHeaders from "@spindle/mcp/TurnHeaders"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as HttpClient from "effect/http/HttpClient"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Connection from "../../src/internal/connection.ts"
import * as MemoryServer from "./memoryServer.ts"

/** A whole number in a range. */
export const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** A turn that makes so many calls at once. It may be aborted after some time. */
const TurnSpec = Schema.Struct({
  calls: between(1, 3),
  callMillis: between(0, 60),
  headerMillis: between(0, 20),
  abortAfter: Schema.UndefinedOr(between(0, 100))
})
type TurnSpec = typeof TurnSpec.Type
const SessionSpec = Schema.Array(TurnSpec).check(Schema.isMinLength(1), Schema.isMaxLength(3))
/** A program: the turns of each session. */
export const Program = Schema.Array(SessionSpec).check(Schema.isMinLength(1), Schema.isMaxLength(3))
/** @see {@link Program} */
export type Program = typeof Program.Type

/** What the model says to a text that has the arguments of calls: the calls, and then a text. */
const respond: ScriptedModel.Script = ({ items }, index) => {
  const last = items.findLastIndex((item) => item._tag === "UserMessage" && item.fragment === undefined)
  const message = items[last]!
  const isAnswered = items.slice(last).some((item) => item._tag === "ToolResult")
  if (isAnswered || message._tag !== "UserMessage") return [ScriptedModel.text("done")]
  const args = JSON.parse((message.content[0] as { readonly text: string }).text) as Call & { readonly calls: number }
  return Array.from({ length: args.calls }, (_, number) => {
    const callId = `call-${index}-${number}`
    return ScriptedModel.call("mcp__memory__echo", { ...args, callId }, callId)
  })
}

/** The arguments of a call. */
interface Call {
  readonly session: number
  readonly callId: string
  readonly callMillis: number
}

/** What is left of a program. */
export interface Outcome {
  readonly received: ReadonlyArray<MemoryServer.Received>
  /** The ids of the sessions, and the turns that made their calls, by the id of the call. */
  readonly sessions: ReadonlyArray<{ readonly id: string; readonly turns: ReadonlyMap<string, string> }>
}

/** Runs a program. Its sessions run at the same time. */
export const run = (program: Program): Effect.Effect<Outcome, unknown> =>
  Effect.gen(function* () {
    const memory = MemoryServer.make(({ callMillis }: Call) => callMillis)
    const services = Layer.mergeAll(
      Layer.succeed(HttpClient.HttpClient, memory.client),
      Layer.succeed(ChildProcessSpawner, {} as ChildProcessSpawner["Service"])
    )
    const introduction = { name: "test", version: "1" }
    const servers = Layer.effect(McpServers.McpServers)(
      Effect.map(Effect.context<HttpClient.HttpClient | ChildProcessSpawner>(), (context) => ({
        get: (config) =>
          Connection.make({
            config,
            variables: {},
            program: introduction,
            grants: Grants.memory(),
            reconnects: McpServers.reconnectSchedule,
            restarts: McpServers.restartSchedule,
            onStart: () => () => {}
          }).pipe(Effect.provideContext(context)),
        pids: () => []
      }))
    )
    const config = { _tag: "Http", name: "memory", url: "http://memory", turnHeaders: true, parallel: true } as const
    const tools = McpTools.layer({ servers: [config], approval: "allow" }).pipe(
      Layer.provide(servers),
      Layer.provide(services)
    )
    const sessions = yield* Effect.forEach(program, runSession, { concurrency: "unbounded" }).pipe(
      Effect.provide(tools)
    )
    return { received: memory.received, sessions }
  }).pipe(Effect.scoped, Effect.provideService(IdGenerator, sequential("id")))

const runSession = Effect.fnUntraced(function* (turns: ReadonlyArray<TurnSpec>, session: number) {
  let headerMillis = 0
  const headers = ({ sessionId, turnId }: { readonly sessionId: string; readonly turnId: string }) =>
    Effect.delay(Effect.succeed({ "x-turn": turnId, "x-session": sessionId }), headerMillis)
  const harness = yield* SessionHarness.make({
    script: respond,
    factory: (agent, given) => Session.make({ ...agent, sources: [McpTools.source] } as typeof agent, given)
  }).pipe(Effect.provideService(TurnHeaders.TurnHeaders, headers))
  for (const spec of turns) {
    headerMillis = spec.headerMillis
    yield* harness.submit(JSON.stringify({ session, calls: spec.calls, callMillis: spec.callMillis }))
    if (spec.abortAfter !== undefined) {
      yield* Effect.sleep(spec.abortAfter)
      yield* harness.session.abort("Replaced")
    }
    yield* harness.session.awaitIdle
  }
  const made = harness
    .records()
    .flatMap((one) =>
      one._tag === "ItemRecorded" && one.item._tag === "ToolCall" ? [[one.item.callId, one.turnId!] as const] : []
    )
  return { id: harness.session.sessionId, turns: new Map<string, string>(made) }
})

/** Returns what is wrong with a run. */
export const broken =
  (program: Program) =>
  ({ received, sessions }: Outcome): string | undefined => {
    const calls = received.filter(({ method }) => method === "tools/call")
    for (const one of received) {
      if (one.method !== "tools/call") {
        if (one.turn !== undefined || one.session !== undefined) return `M1 ${one.method} has headers of a turn`
        continue
      }
      const { callId, session } = one.message.params!["arguments"] as Call
      const { id, turns } = sessions[session]!
      const turn = turns.get(callId)
      if (one.session !== id || one.turn !== turn) {
        return `M1 the call of turn ${turn} of session ${id} has the headers of ${one.turn} of ${one.session}`
      }
    }
    const undisturbed = program.flat().filter(({ abortAfter }) => abortAfter === undefined)
    const expected = undisturbed.reduce((count, { calls }) => count + calls, 0)
    if (calls.length < expected) return `M1 ${calls.length} calls were sent, of ${expected} that nothing aborted`
    const cancelled = received
      .filter(({ method }) => method === "notifications/cancelled")
      .map(({ message }) => message.params?.["requestId"])
    return new Set(cancelled).size === cancelled.length ? undefined : "M2 a call was cancelled twice"
  }
