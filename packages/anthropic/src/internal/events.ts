/** The events of a response as parts: a small state machine over their JSON. */
import { CallId } from "@spindle/core/Ids"
import type { ModelPart, ToolSpec } from "@spindle/core/Model"
import type { TokenUsage } from "@spindle/core/TokenUsage"
import * as HttpModel from "@spindle/openai/HttpModel"
import { redactedMark } from "./messages.ts"

type Reason = Extract<ModelPart, { _tag: "Finish" }>["reason"]

/** A block of the response, as far as it came. */
type Block =
  | { readonly type: "text"; readonly id: string }
  | { readonly type: "thinking"; readonly id: string; signature: string }
  | { readonly type: "tool_use"; readonly id: string; readonly name: string; input: string }

/** Reads the events of one response of the Messages API. */
export class EventReader extends HttpModel.ResponseReader {
  readonly api = "the Messages API"
  private readonly freeform: ReadonlySet<string>
  private readonly blocks = new Map<unknown, Block>()
  private opened = 0
  private hasCalls = false
  /** Calls whose arguments are not complete. They count unless the response was cut off. */
  private readonly broken: Array<Extract<Block, { type: "tool_use" }>> = []
  private readonly counts = new Map<string, number>()
  private stopped: string | undefined

  constructor(context: HttpModel.ReadingContext, tools: ReadonlyArray<ToolSpec>) {
    super(context)
    this.freeform = new Set(tools.filter((tool) => tool.freeform !== undefined).map(({ name }) => name))
  }

  readResponse(body: string): void {
    const message = HttpModel.parse(body)
    if (!HttpModel.isObject(message) || !Array.isArray(message["content"])) return
    this.begin(message)
    for (const [index, block] of message["content"].entries()) {
      if (HttpModel.isObject(block)) this.start(index, block)
      this.stop(index)
    }
    this.stopped = HttpModel.textOf(message["stop_reason"])
    this.understood++
    this.end(true)
  }

  end(isMarked: boolean): void {
    if (this.isOver || this.understood === 0 || (!isMarked && this.stopped === undefined)) return
    for (const index of this.blocks.keys()) this.stop(index)
    const cut = cuts.get(this.stopped ?? "")
    if (cut === undefined) for (const call of this.broken) this.call(call)
    this.parts.push({
      _tag: "Finish",
      reason: cut ?? (this.hasCalls ? "tool-calls" : "stop"),
      usage: usageOf(this.counts)
    })
    this.isFinished = true
  }

  protected step(event: HttpModel.Json, name: string): boolean {
    const { content_block: block, delta, index, message } = event
    switch (HttpModel.textOf(event["type"]) ?? name) {
      case "message_start":
        return HttpModel.isObject(message) && this.begin(message)
      case "content_block_start":
        return HttpModel.isObject(block) && this.start(index, block)
      case "content_block_delta":
        return HttpModel.isObject(delta) && this.delta(index, delta)
      case "content_block_stop":
        return this.stop(index)
      case "message_delta":
        this.count(event["usage"])
        if (HttpModel.isObject(delta)) this.stopped = HttpModel.textOf(delta["stop_reason"]) ?? this.stopped
        return true
      case "message_stop":
        this.end(true)
        return true
      case "ping":
        return true
      case "error":
        return this.fail(event)
      default:
        return false
    }
  }

  private begin(message: HttpModel.Json): boolean {
    this.servedBy(message["model"])
    this.count(message["usage"])
    return true
  }

  /** Takes counts, which replace the earlier ones. */
  private count(usage: unknown): void {
    if (!HttpModel.isObject(usage)) return
    for (const [name, count] of Object.entries(usage)) if (isCount(count)) this.counts.set(name, count)
  }

  private start(index: unknown, block: HttpModel.Json): boolean {
    const id = String(this.opened++)
    switch (block["type"]) {
      case "text":
        this.blocks.set(index, { type: "text", id })
        this.parts.push({ _tag: "TextStart", id })
        return this.append("Text", id, block["text"])
      case "thinking":
        this.blocks.set(index, { type: "thinking", id, signature: HttpModel.textOf(block["signature"]) ?? "" })
        this.parts.push({ _tag: "ReasoningStart", id })
        return this.append("Reasoning", id, block["thinking"])
      case "redacted_thinking": {
        const encrypted = `${redactedMark}${HttpModel.textOf(block["data"]) ?? ""}`
        this.parts.push({ _tag: "ReasoningStart", id })
        this.parts.push({ _tag: "ReasoningEnd", id, encrypted, sealedBy: this.context.seal })
        return true
      }
      case "tool_use": {
        const input = HttpModel.isObject(block["input"]) ? HttpModel.stringify(block["input"]) : ""
        this.blocks.set(index, {
          type: "tool_use",
          id: HttpModel.textOf(block["id"]) ?? `call_${id}`,
          name: HttpModel.textOf(block["name"]) ?? "unnamed",
          input: input === "{}" ? "" : input
        })
        return true
      }
      default:
        // a block of a tool that the provider runs, which no request offers
        return true
    }
  }

  private delta(index: unknown, delta: HttpModel.Json): boolean {
    const block = this.blocks.get(index)
    if (block === undefined) return false
    switch (delta["type"]) {
      case "text_delta":
        return block.type === "text" && this.append("Text", block.id, delta["text"])
      case "thinking_delta":
        return block.type === "thinking" && this.append("Reasoning", block.id, delta["thinking"])
      case "signature_delta":
        if (block.type !== "thinking" || typeof delta["signature"] !== "string") return false
        block.signature += delta["signature"]
        return true
      case "input_json_delta":
        if (block.type !== "tool_use" || typeof delta["partial_json"] !== "string") return false
        block.input += delta["partial_json"]
        return true
      default:
        // such as the sources of a text
        return true
    }
  }

  private append(channel: "Text" | "Reasoning", id: string, delta: unknown): boolean {
    if (typeof delta === "string" && delta !== "") this.parts.push({ _tag: `${channel}Delta`, id, delta })
    return true
  }

  private stop(index: unknown): boolean {
    const block = this.blocks.get(index)
    this.blocks.delete(index)
    if (block === undefined) return true
    if (block.type === "text") this.parts.push({ _tag: "TextEnd", id: block.id })
    else if (block.type === "thinking") {
      const { id, signature } = block
      const seal = signature === "" ? {} : { encrypted: signature, sealedBy: this.context.seal }
      this.parts.push({ _tag: "ReasoningEnd", id, ...seal })
    } else if (block.input === "" || HttpModel.isComplete({ ...block, arguments: block.input })) this.call(block)
    else this.broken.push(block)
    return true
  }

  private call({ id, input, name: wireName }: Extract<Block, { type: "tool_use" }>): void {
    const name = this.context.toolNames.get(wireName) ?? wireName
    this.hasCalls = true
    this.parts.push({
      _tag: "ToolCall",
      callId: CallId.make(id),
      name,
      ...(this.freeform.has(name)
        ? ({ params: { input: HttpModel.freeformInput(input) }, freeform: true } as const)
        : HttpModel.paramsOf(input))
    })
  }
}

const cuts: ReadonlyMap<string, Reason> = new Map([
  ["max_tokens", "length"],
  ["model_context_window_exceeded", "length"],
  ["refusal", "content-filter"]
])

/** Token counts. `input_tokens` does not include tokens that were read from the cache or written to it. */
const usageOf = (counts: ReadonlyMap<string, number>): TokenUsage | undefined => {
  const [plain, output] = [counts.get("input_tokens"), counts.get("output_tokens")]
  if (plain === undefined || output === undefined) return undefined
  const cachedInput = counts.get("cache_read_input_tokens") ?? 0
  const input = plain + cachedInput + (counts.get("cache_creation_input_tokens") ?? 0)
  return { input, cachedInput, output, reasoning: 0, total: input + output }
}

/** No context holds more than this, and sums of such counts stay exact. */
const mostTokens = 1e12

const isCount = (value: unknown): value is number => typeof value === "number" && value >= 0 && value <= mostTokens
