/**
 * One tool call in a `Chat` of `effect/ai`, and the same in a session: the same language model, the same tool, stopped
 * at each step. Afterwards the history is examined: whether it knows the call whose tool had been started, and whether
 * the call has a result.
 */
import * as Agent from "@spindle/core/Agent"
import * as Journal from "@spindle/core/Journal"
import * as EffectAiModel from "@spindle/core/EffectAiModel"
import { IdGenerator, sequential } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import * as Session from "@spindle/core/Session"
import * as Interrupts from "@spindle/testing/Interrupts"
import { Effect, Layer, Ref, Schema, Stream } from "effect"
import { Chat, LanguageModel, type Prompt, type Response, Tool, Toolkit } from "effect/ai"

/** The facts that a history contains after the program was stopped, or has ended. */
interface Seen {
  /** True if the tool was started. */
  readonly isStarted: boolean
  readonly calls: ReadonlyArray<string>
  readonly results: ReadonlyArray<string>
}

const toolkit = Toolkit.make(
  Tool.make("send", { parameters: Schema.Struct({ to: Schema.String }), success: Schema.String })
)

const handlers = (onStart: () => void) =>
  toolkit.toLayer({ send: () => Effect.as(Effect.andThen(Effect.sync(onStart), Effect.sleep(3)), "sent") })

const call: Response.PartEncoded = { type: "tool-call", id: "call-1", name: "send", params: { to: "Ada" } }
const finish = (reason: Response.FinishReason): Response.FinishPartEncoded => ({
  type: "finish",
  reason,
  usage: {
    inputTokens: { total: 10, cacheRead: undefined, uncached: undefined, cacheWrite: undefined },
    outputTokens: { total: 4, reasoning: undefined, text: undefined }
  },
  response: undefined
})
const says: ReadonlyArray<Response.StreamPartEncoded> = [
  { type: "text-start", id: "t" },
  { type: "text-delta", id: "t", delta: "It is sent." },
  { type: "text-end", id: "t" },
  finish("stop")
]

const hasResult = (prompt: Prompt.Prompt) => prompt.content.some(({ role }) => role === "tool")

/** Asks for the tool once, then says that it is done. Each part takes a millisecond. */
const languageModel = Layer.effect(
  LanguageModel.LanguageModel,
  LanguageModel.make({
    generateText: ({ prompt }) =>
      Effect.as(
        Effect.sleep(2),
        hasResult(prompt) ? [{ type: "text", text: "It is sent." }, finish("stop")] : [call, finish("tool-calls")]
      ),
    streamText: ({ prompt }) =>
      Stream.fromIterable<Response.StreamPartEncoded>(hasResult(prompt) ? says : [call, finish("tool-calls")]).pipe(
        Stream.tap(() => Effect.sleep(1))
      )
  })
)

const ofChat = (prompt: Prompt.Prompt, isStarted: boolean): Seen => {
  const parts = prompt.content.flatMap((message) =>
    typeof message.content === "string" ? [] : (message.content as ReadonlyArray<Prompt.Part>)
  )
  return {
    isStarted,
    calls: parts.flatMap((part) => (part.type === "tool-call" ? [part.id] : [])),
    results: parts.flatMap((part) => (part.type === "tool-result" ? [part.id] : []))
  }
}

/** A chat that continues until the model calls no tool. */
const chatting =
  (how: "generateText" | "streamText"): Interrupts.Program<Seen, unknown> =>
  (stage) =>
    Effect.suspend(() => {
      let isStarted = false
      return Effect.gen(function* () {
        const chat = yield* Chat.empty
        const ask = (prompt: Prompt.RawInput) =>
          how === "generateText"
            ? Effect.map(chat.generateText({ prompt, toolkit }), ({ toolCalls }) => toolCalls.length > 0)
            : Stream.runFold(
                chat.streamText({ prompt, toolkit }),
                () => false,
                (hasCalled, part) => hasCalled || part.type === "tool-call"
              )
        const talk = Effect.gen(function* () {
          for (let goesOn = yield* ask("Send it to Ada."); goesOn;) goesOn = yield* ask([])
        })
        yield* stage.attack(talk)
        return ofChat(yield* Ref.get(chat.history), isStarted)
      }).pipe(Effect.provide([languageModel, handlers(() => void (isStarted = true))]))
    })

const agent = Agent.make({ toolkit, approvals: { send: { approval: "allow", concurrency: "parallel" } } })

/** The same conversation in a session, which is aborted. */
const session: Interrupts.Program<Seen, unknown> = (stage) =>
  Effect.suspend(() => {
    let isStarted = false
    const model = EffectAiModel.layer({ provider: "scripted", model: "scripted" }).pipe(Layer.provide(languageModel))
    return Effect.gen(function* () {
      const { abort, awaitIdle, snapshot, submit } = yield* Session.make(agent)
      yield* stage.arm({ abort: abort() })
      yield* submit(Op.userInput("Send it to Ada."))
      yield* awaitIdle
      yield* stage.disarm
      yield* awaitIdle
      const { items } = yield* snapshot
      return {
        isStarted,
        calls: items.flatMap((item) => (item._tag === "ToolCall" ? [item.callId] : [])),
        results: items.flatMap((item) => (item._tag === "ToolResult" ? [item.callId] : []))
      }
    }).pipe(
      Effect.scoped,
      Effect.provide([model, Journal.layerMemory(), handlers(() => void (isStarted = true))]),
      Effect.provideService(IdGenerator, sequential("id"))
    )
  })

const lost = "lost: the tool was started, and the history has no call"
const open = "open: the history has a call without a result"

const law: NonNullable<Interrupts.Options<Seen, unknown>["law"]> = (exit) => {
  if (exit._tag === "Failure") return "other: the program failed"
  const { calls, isStarted, results } = exit.value
  if (isStarted && calls.length === 0) return lost
  return calls.some((id) => !results.includes(id)) ? open : undefined
}

/** The result of one program. */
export interface Row {
  readonly name: string
  /** The number of its steps; it is stopped at each, once. */
  readonly points: number
  /** The steps at which a call is lost, or has no result. */
  readonly lost: ReadonlyArray<number>
  readonly open: ReadonlyArray<number>
  /** Any other findings: none is expected. */
  readonly other: ReadonlyArray<string>
}

const explored = (name: string, program: Interrupts.Program<Seen, unknown>, action: string): Row => {
  const report = Interrupts.explore(program, { actions: [[action]], modes: ["before"], maxShrinks: 0, law })
  const steps = (broken: string) =>
    report.violations
      .flatMap(({ decisions, law: found }) => (found === broken ? [decisions.at[0]?.[1] ?? 0] : []))
      .toSorted((a, b) => a - b)
  return {
    name,
    points: report.points,
    lost: steps(lost),
    open: steps(open),
    other: report.violations.flatMap(({ law: found }) => (found === lost || found === open ? [] : [found]))
  }
}

/** All three programs. */
export const compare = (): ReadonlyArray<Row> => [
  explored("Chat.generateText, interrupted", chatting("generateText"), "interrupt"),
  explored("Chat.streamText, interrupted", chatting("streamText"), "interrupt"),
  explored("Session, aborted", session, "abort")
]

/** Steps as ranges. */
const ranges = (steps: ReadonlyArray<number>): string => {
  const found: Array<[number, number]> = []
  for (const step of steps) {
    const last = found.at(-1)
    if (last !== undefined && last[1] === step - 1) last[1] = step
    else found.push([step, step])
  }
  return found.length === 0 ? "none" : found.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ")
}

/** A table for people. */
export const format = (rows: ReadonlyArray<Row>): string =>
  [
    "| program | steps | call lost, at | call without a result, at | other |",
    "| --- | --- | --- | --- | --- |",
    ...rows.map(
      ({ lost: gone, name, open: left, other, points }) =>
        `| ${name} | ${points} | ${gone.length}: ${ranges(gone)} | ${left.length}: ${ranges(left)} | ${other.length} |`
    )
  ].join("\n")
