/**
 * Replays a recorded journal: a model and tools that respond as recorded.
 *
 * The n-th request gets the n-th recorded response, if its items equal those of the journal at the recorded request.
 * The first request that differs fails with a diff, and so does every later one. Tool calls are matched by their ids.
 * Ids of items and submissions may differ. Instructions and tools are not in a journal, so they are not compared. Use
 * this for regression tests of a program that uses a session: record once, and replay after a change.
 */
import { Model, type ModelPart, type ModelRequest } from "@spindle/core/Model"
import type { CallId, ModelRequestId } from "@spindle/core/Ids"
import type { Item, ToolCall, ToolResult } from "@spindle/core/Item"
import type { Op } from "@spindle/core/Op"
import { ModelFailed, type ModelFailureKind } from "@spindle/core/SessionError"
import type { InputAccepted, JournalRecord } from "@spindle/core/SessionEvent"
import * as History from "@spindle/core/History"
import * as SessionState from "@spindle/core/SessionState"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { diff } from "./internal/itemDiff.ts"
import type { ScriptedModel } from "./ScriptedModel.ts"
import type { TestTool } from "./SessionHarness.ts"

/** The replay of a journal. */
export interface Replay {
  /** The model, for `SessionHarness`. It has no gates. */
  readonly model: ScriptedModel
  /** The submissions of input and of tasks, in order. */
  readonly inputs: ReadonlyArray<Extract<Op, { readonly _tag: "UserInput" | "Notice" | "StartTask" }>>
  /**
   * The tools that were called, for `SessionHarness`. A call that was aborted, or during which the host died, never
   * ends.
   */
  readonly tools: { readonly [name: string]: TestTool }
  /**
   * Returns the recorded result of a call, for custom toolkits: succeeds if the call completed, and fails with the
   * recorded output if it failed. **Interruption** leaves nothing running. **Errors**: the recorded output, or the diff
   * as a text if there was no such call.
   */
  readonly answer: (callId: string, params: unknown) => Effect.Effect<unknown, unknown>
  /** The first difference, in words; undefined if there is none. */
  readonly mismatch: () => string | undefined
  /** The number of recorded responses that were not requested. */
  readonly leftCount: () => number
}

/** A recorded request with its response. */
interface Recorded {
  readonly items: ReadonlyArray<Item>
  readonly answer: Array<Item>
  ended: Extract<JournalRecord, { readonly _tag: "ModelResponded" }> | undefined
  failure: { readonly kind: ModelFailureKind; readonly detail: string } | undefined
}

/**
 * Makes a replay of the records of one session, in order.
 *
 * @example
 * ```ts
 * import * as Replay from "@spindle/testing/Replay"
 * import * as ScriptedModel from "@spindle/testing/ScriptedModel"
 * import * as SessionHarness from "@spindle/testing/SessionHarness"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function* () {
 *   const recorded = yield* SessionHarness.make({ script: [[ScriptedModel.text("It is noon.")]] })
 *   yield* recorded.run("What time is it?")
 *
 *   const replay = Replay.make(recorded.records())
 *   const again = yield* SessionHarness.make({ model: replay.model })
 *   yield* again.run("What time is it there?")
 *   return replay.mismatch()
 * })
 * console.log(await Effect.runPromise(Effect.scoped(program)))
 * // prints: request 1 differs at item 1:
 * // prints: - UserMessage {"content":[{"_tag":"Text","text":"What time is it?"}]}
 * // prints: + UserMessage {"content":[{"_tag":"Text","text":"What time is it there?"}]}
 * ```
 */
export const make = (records: ReadonlyArray<JournalRecord>): Replay => {
  const recorded = requestsOf(records)
  const { calls, results } = callsOf(records)
  const requests: Array<ModelRequest> = []
  let openCount = 0
  let mismatch: string | undefined
  const noteMismatch = (text: string): string => (mismatch ??= text)
  const fail = (detail: string, kind: ModelFailureKind = "InvalidRequest") =>
    Stream.fail(new ModelFailed({ kind, provider: "replay", model: "replay", detail }))

  const next = (request: ModelRequest): Stream.Stream<ModelPart, ModelFailed> => {
    const number = requests.push(request)
    const one = recorded[number - 1]
    if (mismatch !== undefined) return fail(mismatch)
    if (one === undefined) return fail(noteMismatch(`request ${number} was not recorded`))
    const difference = diff(one.items, request.items)
    if (difference !== undefined) return fail(noteMismatch(`request ${number} differs ${difference}`))
    return answerOf(one, fail)
  }
  const counted = Effect.acquireRelease(
    Effect.sync(() => void openCount++),
    () => Effect.sync(() => void openCount--)
  )
  const stream = (request: ModelRequest) => Stream.unwrap(Effect.map(counted, () => next(request)))

  const answer: Replay["answer"] = (callId, params) =>
    Effect.suspend((): Effect.Effect<unknown, unknown> => {
      const call = calls.get(callId as CallId)
      const result = results.get(callId as CallId)
      if (call === undefined) return Effect.fail(noteMismatch(`call ${callId} was not recorded`))
      const [was, is] = [JSON.stringify(call.params), JSON.stringify(params)]
      if (was !== is) return Effect.fail(noteMismatch(`call ${callId} of ${call.name} differs:\n- ${was}\n+ ${is}`))
      if (result === undefined || result.status === "aborted" || result.status === "unknown") return Effect.never
      if (result.status === "denied")
        return Effect.fail(noteMismatch(`call ${callId} of ${call.name} was denied, and is run`))
      return result.status === "completed" ? Effect.succeed(result.output) : Effect.fail(result.output)
    })

  const model = { provider: "replay", model: "replay", contextWindow: undefined, stream }
  const names = new Set(Array.from(calls.values(), ({ name }) => name))
  const tool: TestTool = { run: (params, callId) => answer(callId, params) }
  return {
    model: {
      model,
      layer: Layer.succeed(Model, model),
      requests,
      compactions: [],
      openCount: () => openCount,
      open: () => Effect.void,
      awaitGate: () => Effect.never
    },
    inputs: records.flatMap((record) => (record._tag === "InputAccepted" ? [inputOf(record)] : [])),
    tools: Object.fromEntries(Array.from(names, (name) => [name, tool])),
    answer,
    mismatch: () => mismatch,
    leftCount: () => Math.max(0, recorded.length - requests.length)
  }
}

const inputOf = ({ context, delivery, fragment, input, task }: InputAccepted): Replay["inputs"][number] => {
  if (task !== undefined) return { _tag: "StartTask", ...task, input }
  if (fragment !== undefined) return { _tag: "Notice", fragment, input, delivery }
  return { _tag: "UserInput", input, delivery, ...(context === undefined ? {} : { context }) }
}

/** The requests of a journal. The items of a response are between the records of its request and of its end. */
const requestsOf = (records: ReadonlyArray<JournalRecord>): ReadonlyArray<Recorded> => {
  const requests: Array<Recorded> = []
  const byId = new Map<ModelRequestId, Recorded>()
  let open: Recorded | undefined
  let state = SessionState.empty
  for (const record of records) {
    state = SessionState.apply(state, record)
    if (record._tag === "ModelRequested") {
      const items = History.repair(History.toArray(state.history))
      open = { items, answer: [], ended: undefined, failure: undefined }
      requests.push(open)
      byId.set(record.requestId, open)
    } else if (record._tag === "ItemRecorded" && open !== undefined && isAnswer(record.item)) {
      open.answer.push(record.item)
    } else if (record._tag === "ModelResponded") {
      const ended = byId.get(record.requestId)
      if (ended !== undefined) ended.ended = record
      open = undefined
    } else if (record._tag === "ModelRetrying") {
      const last = requests.at(-1)
      if (last !== undefined) last.failure = { kind: record.kind, detail: record.detail }
    }
  }
  return requests
}

const isAnswer = ({ _tag }: Item): boolean => _tag === "AssistantMessage" || _tag === "Reasoning" || _tag === "ToolCall"

const callsOf = (records: ReadonlyArray<JournalRecord>) => {
  const calls = new Map<CallId, ToolCall>()
  const results = new Map<CallId, ToolResult>()
  for (const record of records) {
    if (record._tag !== "ItemRecorded") continue
    if (record.item._tag === "ToolCall") calls.set(record.item.callId, record.item)
    if (record.item._tag === "ToolResult") results.set(record.item.callId, record.item)
  }
  return { calls, results }
}

/** Streams a recorded response. One that was aborted never ends, and one that failed fails again. */
const answerOf = (
  { answer, ended, failure }: Recorded,
  fail: (detail: string, kind?: ModelFailureKind) => Stream.Stream<never, ModelFailed>
): Stream.Stream<ModelPart, ModelFailed> => {
  const parts = Stream.fromIterable(answer.flatMap(partsOf))
  if (ended === undefined || ended.finish === "aborted") return Stream.concat(parts, Stream.never)
  // the journal has the kind of a failure only if it was retried
  if (ended.finish === "failed") {
    return Stream.concat(parts, fail(failure?.detail ?? "the request had failed", failure?.kind))
  }
  const usage = ended.estimated === true ? undefined : ended.usage
  return Stream.concat(parts, Stream.succeed<ModelPart>({ _tag: "Finish", reason: ended.finish, usage }))
}

const partsOf = (item: Item): ReadonlyArray<ModelPart> => {
  switch (item._tag) {
    case "AssistantMessage": {
      const delta: ModelPart = { _tag: "TextDelta", id: item.id, delta: item.text }
      return item.partial === undefined ? [delta, { _tag: "TextEnd", id: item.id, ...providerOf(item) }] : [delta]
    }
    case "Reasoning": {
      const delta: ModelPart = { _tag: "ReasoningDelta", id: item.id, delta: item.text }
      const sealed = item.encrypted === undefined ? {} : { encrypted: item.encrypted }
      return item.partial === undefined
        ? [delta, { _tag: "ReasoningEnd", id: item.id, ...sealed, ...providerOf(item) }]
        : [delta]
    }
    case "ToolCall": {
      const { id: _, ...call } = item
      return [call]
    }
    default:
      return []
  }
}

const providerOf = ({ providerId }: { readonly providerId?: string | undefined }) =>
  providerId === undefined ? {} : { providerId }
