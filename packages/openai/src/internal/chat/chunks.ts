/**
 * Reads the chunks of a chat completion as parts: a small state machine over their JSON.
 *
 * Text and reasoning are emitted as they arrive. Calls are emitted at the end, because their pieces may be mixed. The
 * usage may arrive after the reason for which the model stopped, so a response finishes at `[DONE]`. Without that mark
 * it finishes when its stream ends after such a reason.
 */
import type { ModelPart, ToolSpec } from "@spindle/core/Model"
import { CallId } from "@spindle/core/Ids"
import { paramsOf } from "../eventItems.ts"
import { isObject, type Json, parse, textOf } from "../json.ts"
import { type ReadingContext, ResponseReader } from "../reader.ts"
import { usageOf } from "../usage.ts"
import { type Call, Calls, freeformInput, isComplete } from "./calls.ts"
import { type ReasoningField, reasoningFields } from "./messages.ts"

type Reason = Extract<ModelPart, { _tag: "Finish" }>["reason"]

const usageNames = { input: "prompt_tokens", output: "completion_tokens" }

/** Reads the chunks of one response. */
export class ChunkReader extends ResponseReader {
  readonly api = "the chat completions API"
  private readonly freeform: ReadonlySet<string>
  private readonly calls = new Calls()
  private open: { readonly channel: "Text" | "Reasoning"; readonly id: string } | undefined
  private opened = 0
  private reasoningField: ReasoningField | undefined
  private usage: unknown
  private stopped: string | undefined

  constructor(context: ReadingContext, tools: ReadonlyArray<ToolSpec>) {
    super(context)
    this.freeform = new Set(tools.filter((tool) => tool.freeform !== undefined).map(({ name }) => name))
  }

  readResponse(body: string): void {
    const response = parse(body)
    if (!isObject(response) || !Array.isArray(response["choices"]) || response["choices"].length === 0) return
    if (this.step(response, "")) this.understood++
    this.end(true)
  }

  end(isMarked: boolean): void {
    if (this.isOver || this.understood === 0 || (!isMarked && this.stopped === undefined)) return
    this.close()
    const isCut = reasonOf(this.stopped) !== undefined
    // a call that was cut off is not the call that the model wanted to make
    const calls = this.calls.list.filter((call) => !isCut || (call.name !== undefined && isComplete(call)))
    for (const [index, call] of calls.entries()) this.call(call, index)
    const reason = reasonOf(this.stopped) ?? (calls.length > 0 ? "tool-calls" : "stop")
    this.parts.push({ _tag: "Finish", reason, usage: usageOf(this.usage, usageNames) })
    this.isFinished = true
  }

  protected step(chunk: Json, name: string): boolean {
    const { choices, error } = chunk
    if (isObject(error) || textOf(error) !== undefined || chunk["object"] === "error" || name === "error") {
      return this.fail(chunk)
    }
    if (isObject(chunk["usage"])) this.usage = chunk["usage"]
    if (!Array.isArray(choices)) return isObject(chunk["usage"])
    // only one choice was requested
    return choices.every((choice) => isObject(choice) && ((choice["index"] ?? 0) !== 0 || this.choice(choice)))
  }

  private choice(choice: Json): boolean {
    const delta = choice["delta"] ?? choice["message"] ?? {}
    if (!isObject(delta)) return false
    if (isObject(choice["usage"])) this.usage = choice["usage"]
    const field = reasoningFields.find((name) => typeof delta[name] === "string" && delta[name] !== "")
    if (field !== undefined) this.addReasoning(delta[field] as string, field)
    this.content(delta["content"])
    this.text("Text", delta["refusal"])
    const pieces = delta["tool_calls"] ?? []
    const isUnderstood = Array.isArray(pieces) && pieces.map((piece) => this.calls.add(piece)).every(Boolean)
    const reason = textOf(choice["finish_reason"])
    if (reason === undefined) return isUnderstood
    this.stopped = reason
    const failed = choice["error"] ?? (failures.has(reason) ? { code: reason } : undefined)
    return failed === undefined ? isUnderstood : this.fail(failed)
  }

  /** Takes content: a text, or a list of texts and of thoughts. */
  private content(content: unknown): void {
    if (!Array.isArray(content)) {
      this.text("Text", content)
      return
    }
    for (const part of content) {
      if (!isObject(part)) continue
      if (part["type"] !== "thinking") this.text("Text", part["text"])
      else if (!Array.isArray(part["thinking"])) this.text("Reasoning", part["thinking"])
      else for (const thought of part["thinking"]) this.text("Reasoning", isObject(thought) ? thought["text"] : thought)
    }
  }

  private addReasoning(delta: string, field: ReasoningField): void {
    this.reasoningField = field
    this.text("Reasoning", delta)
  }

  private text(channel: "Text" | "Reasoning", delta: unknown): void {
    if (typeof delta !== "string" || delta === "") return
    if (this.open?.channel !== channel) {
      this.close()
      this.open = { channel, id: String(this.opened++) }
      this.parts.push({ _tag: `${channel}Start`, id: this.open.id })
    }
    this.parts.push({ _tag: `${channel}Delta`, id: this.open.id, delta })
  }

  private close(): void {
    if (this.open === undefined) return
    const { channel, id } = this.open
    this.open = undefined
    if (channel === "Text") {
      this.parts.push({ _tag: "TextEnd", id })
      return
    }
    // the text is sent back in the field that it came in, so only the name of the field has to be kept
    const field = this.reasoningField
    this.parts.push({
      _tag: "ReasoningEnd",
      id,
      ...(field === undefined ? {} : { encrypted: field, sealedBy: this.context.seal })
    })
  }

  private call(call: Call, index: number): void {
    const wireName = call.name ?? "unnamed"
    const name = this.context.toolNames.get(wireName) ?? wireName
    this.parts.push({
      _tag: "ToolCall",
      callId: CallId.make(call.id ?? `call_${index}`),
      name,
      ...(this.freeform.has(name)
        ? ({ params: { input: freeformInput(call.arguments) }, freeform: true } as const)
        : paramsOf(call.arguments))
    })
  }
}

/** The reasons with which a server reports that it failed. */
const failures: ReadonlySet<string> = new Set(["error", "insufficient_system_resource"])

const cuts: ReadonlyMap<string, Reason> = new Map([
  ["length", "length"],
  ["max_tokens", "length"],
  ["model_length", "length"],
  ["content_filter", "content-filter"]
])

/** Returns the reason of a response that was cut off; undefined for any other. */
const reasonOf = (stopped: string | undefined): Reason | undefined =>
  stopped === undefined ? undefined : cuts.get(stopped)
