/**
 * The events of a response as parts: a small state machine over their JSON.
 *
 * It narrows by hand, since it runs once per delta. What it needs must be right (`InvalidResponse` otherwise), what it
 * does not know it ignores. Items are told apart by their place in the output, because some servers change an item's id
 * between its events.
 */
import type { ModelPart } from "@spindle/core/Model"
import { CallId } from "@spindle/core/Ids"
import type { ModelFailed } from "@spindle/core/SessionError"
import type { TokenUsage } from "@spindle/core/TokenUsage"
import * as Failures from "./failures.ts"

interface Json {
  readonly [key: string]: unknown
}

type Channel = "Text" | "Reasoning"

interface Open {
  readonly channel: Channel
  readonly id: string
  hasText: boolean
  /** Which part of the item the last delta belonged to; parts are set apart by an empty line. */
  section: string | undefined
}

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null

/** Reads the events of one response. After the first failure, or after `Finish`, it takes nothing more. */
export class EventReader {
  readonly context: Failures.FailureContext
  /** Why the response failed, once it has. */
  failure: ModelFailed | undefined = undefined
  /** Whether `Finish` was read. */
  isFinished = false
  private parts: Array<ModelPart> = []
  private readonly open = new Map<string, Open>()
  private hasCalls = false

  constructor(context: Failures.FailureContext) {
    this.context = context
  }

  /** The parts read since the last call. */
  take(): Array<ModelPart> {
    const parts = this.parts
    if (parts.length > 0) this.parts = []
    return parts
  }

  /** Reads the data of one server-sent event. */
  read(data: string): void {
    if (this.failure !== undefined || this.isFinished || data === "[DONE]") return
    let event: unknown
    try {
      event = JSON.parse(data)
    } catch (cause) {
      return this.invalid("an event is not JSON", cause)
    }
    if (!isObject(event) || typeof event["type"] !== "string") return this.invalid("an event has no type")
    this.step(event["type"], event)
  }

  private step(type: string, event: Json): void {
    switch (type) {
      case "response.output_text.delta":
      case "response.refusal.delta":
        return this.delta("Text", "", event)
      case "response.reasoning_summary_text.delta":
        return this.delta("Reasoning", `summary ${event["summary_index"]}`, event)
      case "response.reasoning_text.delta":
        return this.delta("Reasoning", `content ${event["content_index"]}`, event)
      case "response.output_item.added":
        return this.added(event)
      case "response.output_item.done":
        return this.done(event)
      case "response.completed":
        return this.finish(event, this.hasCalls ? "tool-calls" : "stop")
      case "response.incomplete":
        return this.incomplete(event)
      case "response.failed":
        return this.failed(isObject(event["response"]) ? event["response"]["error"] : undefined)
      case "error":
        return this.failed(event)
    }
  }

  private delta(channel: Channel, section: string, event: Json): void {
    const { delta } = event
    if (typeof delta !== "string") return this.invalid(`${String(event["type"])} has no delta`)
    const item = this.opened(channel, keyOf(event, event["item_id"]))
    const isNext = item.section !== undefined && item.section !== section
    item.section = section
    item.hasText = true
    this.parts.push({ _tag: `${channel}Delta`, id: item.id, delta: isNext ? `\n\n${delta}` : delta })
  }

  private opened(channel: Channel, id: string): Open {
    let item = this.open.get(id)
    if (item === undefined) {
      item = { channel, id, hasText: false, section: undefined }
      this.open.set(id, item)
      this.parts.push({ _tag: `${channel}Start`, id })
    }
    return item
  }

  private added(event: Json): void {
    const { item } = event
    if (!isObject(item)) return this.invalid("response.output_item.added has no item")
    if (item["type"] === "message") this.opened("Text", keyOf(event, item["id"]))
    else if (item["type"] === "reasoning") this.opened("Reasoning", keyOf(event, item["id"]))
  }

  private done(event: Json): void {
    const { item } = event
    if (!isObject(item)) return this.invalid("response.output_item.done has no item")
    const id = keyOf(event, item["id"])
    switch (item["type"]) {
      case "message":
        return this.close(this.opened("Text", id), item)
      case "reasoning":
        return this.close(this.opened("Reasoning", id), item)
      case "function_call":
      case "custom_tool_call":
        return this.call(item)
    }
  }

  private close(open: Open, item: Json): void {
    const { channel, id } = open
    // a server may send an item as a whole, without deltas
    const whole = open.hasText ? "" : wholeText(item)
    if (whole !== "") this.parts.push({ _tag: `${channel}Delta`, id, delta: whole })
    this.open.delete(id)
    const providerId = typeof item["id"] === "string" ? { providerId: item["id"] } : {}
    if (channel === "Text") {
      this.parts.push({ _tag: "TextEnd", id, ...providerId })
      return
    }
    const encrypted = item["encrypted_content"]
    this.parts.push({
      _tag: "ReasoningEnd",
      id,
      ...(typeof encrypted === "string" ? { encrypted } : {}),
      ...providerId
    })
  }

  private call(item: Json): void {
    const { call_id: callId, name } = item
    if (typeof callId !== "string" || typeof name !== "string") return this.invalid("a tool call has no id or no name")
    const isFreeform = item["type"] === "custom_tool_call"
    const text = isFreeform ? item["input"] : item["arguments"]
    if (typeof text !== "string")
      return this.invalid(`the call of ${name} has no ${isFreeform ? "input" : "arguments"}`)
    this.hasCalls = true
    this.parts.push({
      _tag: "ToolCall",
      callId: CallId.make(callId),
      name,
      ...(isFreeform ? ({ params: { input: text }, freeform: true } as const) : argumentsOf(text)),
      ...(typeof item["id"] === "string" ? { providerId: item["id"] } : {})
    })
  }

  private finish(event: Json, reason: Extract<ModelPart, { _tag: "Finish" }>["reason"]): void {
    const { response } = event
    if (!isObject(response)) return this.invalid(`${String(event["type"])} has no response`)
    for (const { channel, id } of this.open.values()) this.parts.push({ _tag: `${channel}End`, id })
    this.parts.push({ _tag: "Finish", reason, usage: usageOf(response["usage"]) })
    this.isFinished = true
  }

  private incomplete(event: Json): void {
    const response = isObject(event["response"]) ? event["response"] : {}
    const details = response["incomplete_details"]
    const reason = isObject(details) ? details["reason"] : undefined
    if (reason === "max_output_tokens") return this.finish(event, "length")
    if (reason === "content_filter") return this.finish(event, "content-filter")
    const detail = `the response is incomplete: ${typeof reason === "string" ? reason : "no reason given"}`
    this.failure = Failures.failure(this.context, "Incomplete", { detail })
  }

  private failed(error: unknown): void {
    const { code, message, type } = Failures.providerErrorOf(isObject(error) ? error : {})
    // the type of an `error` event is its own name
    this.failure = Failures.fromEvent(this.context, { code, message, type: type === "error" ? undefined : type })
  }

  private invalid(detail: string, cause?: unknown): void {
    this.failure = Failures.failure(this.context, "InvalidResponse", { detail, cause })
  }
}

const keyOf = (event: Json, itemId: unknown): string =>
  String(typeof event["output_index"] === "number" ? event["output_index"] : (itemId ?? ""))

const wholeText = (item: Json): string =>
  [item["summary"], item["content"]]
    .flatMap((list) => (Array.isArray(list) ? list : []))
    .map((part: Json) => part["text"] ?? part["refusal"])
    .filter((text) => typeof text === "string")
    .join(item["type"] === "reasoning" ? "\n\n" : "")

/** Arguments as they came: decoded, or kept as text when they are not JSON. None at all count as `{}`. */
const argumentsOf = (text: string): { readonly params: unknown; readonly invalid?: string } => {
  if (text.trim() === "") return { params: {} }
  try {
    return { params: JSON.parse(text) }
  } catch {
    return { params: undefined, invalid: text }
  }
}

/** Token counts; unknown when the server sent none, or none that can be read. */
const usageOf = (usage: unknown): TokenUsage | undefined => {
  if (!isObject(usage)) return undefined
  const { input_tokens: input, output_tokens: output, total_tokens: total } = usage
  if (typeof input !== "number" || typeof output !== "number") return undefined
  return {
    input,
    cachedInput: countOf(usage["input_tokens_details"], "cached_tokens"),
    output,
    reasoning: countOf(usage["output_tokens_details"], "reasoning_tokens"),
    total: typeof total === "number" ? total : input + output
  }
}

const countOf = (details: unknown, key: string): number => {
  const count = isObject(details) ? details[key] : undefined
  return typeof count === "number" ? count : 0
}
