/** Writes the events of one response as server-sent events, with the ids and indices that the API gives them. */
import type { ServerResponse } from "node:http"
import { performance } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import * as Duration from "effect/Duration"
import type {
  CallEvent,
  CustomCallEvent,
  ReasoningEvent,
  ScriptPace,
  ScriptUsage,
  TextEvent
} from "../../ResponsesScript.ts"

const nowMicros = () => Math.round((performance.timeOrigin + performance.now()) * 1000)

const cut = (text: string, pieces: number | undefined): ReadonlyArray<string> => {
  if (pieces === undefined || pieces <= 1) return [text]
  const size = Math.max(1, Math.ceil(text.length / pieces))
  const parts: Array<string> = []
  for (let at = 0; at < text.length; at += size) parts.push(text.slice(at, at + size))
  return parts
}

/** The target of a writer. `gone` is aborted when the client has closed the connection. */
export interface WriterTarget {
  readonly response: ServerResponse
  readonly gone: AbortSignal
  readonly responseId: string
  readonly model: string
  readonly nextId: (prefix: string) => string
}

/** Waits, and rejects at once if the client closes the connection. */
export const pause = (duration: Duration.Input, gone: AbortSignal): Promise<void> =>
  sleep(Duration.toMillis(Duration.fromInputUnsafe(duration)), undefined, { signal: gone })

/** A writer of one response. */
export class ResponsesWriter {
  readonly target: WriterTarget
  private sequence = 0
  private index = -1
  private message = { id: "", text: "" }
  private readonly output: Array<unknown> = []

  constructor(target: WriterTarget) {
    this.target = target
  }

  /** Sends an event, and waits while the client reads more slowly than the writer writes. */
  async send(event: { readonly type: string; readonly [key: string]: unknown }): Promise<void> {
    const { gone, response } = this.target
    gone.throwIfAborted()
    const data = JSON.stringify({ ...event, sequence_number: this.sequence++ })
    if (response.write(`event: ${event.type}\ndata: ${data}\n\n`)) return
    await new Promise<void>((resume) => {
      const done = () => {
        response.off("drain", done)
        gone.removeEventListener("abort", done)
        resume()
      }
      response.on("drain", done)
      gone.addEventListener("abort", done)
    })
  }

  async start(): Promise<void> {
    await this.send({ type: "response.created", response: this.response("in_progress", { output: [] }) })
  }

  async complete(usage: ScriptUsage | undefined, endTurn: boolean | undefined): Promise<void> {
    const { cached = 0, input = 100, output = 10, reasoning = 0 } = usage ?? {}
    const tokens = {
      input_tokens: input,
      input_tokens_details: { cached_tokens: cached },
      output_tokens: output,
      output_tokens_details: { reasoning_tokens: reasoning },
      total_tokens: input + output
    }
    const response = this.response("completed", { output: this.output, end_turn: endTurn, usage: tokens })
    await this.send({ type: "response.completed", response })
  }

  async fail(error: { readonly code: string; readonly message: string }): Promise<void> {
    await this.send({ type: "response.failed", response: this.response("failed", { error, output: [] }) })
  }

  async incomplete(reason: string): Promise<void> {
    const response = this.response("incomplete", { incomplete_details: { reason }, output: [] })
    await this.send({ type: "response.incomplete", response })
  }

  async text(event: TextEvent): Promise<void> {
    await this.openMessage()
    const parts =
      event.times === undefined ? cut(event.text, event.chunks) : Array.from({ length: event.times }, () => event.text)
    await this.writeSlowly(parts, event, (part) => this.delta(part))
    await this.closeMessage(event.phase)
  }

  async endless(text: string, every: Duration.Input): Promise<never> {
    await this.openMessage()
    while (true) {
      await this.delta(text)
      await pause(every, this.target.gone)
    }
  }

  async reasoning(event: ReasoningEvent): Promise<void> {
    const text = event.reasoning
    const { at, id } = this.nextItem("rs")
    const where = { ...at, summary_index: 0 }
    await this.addItem({ type: "reasoning", id, summary: [] })
    const part = { type: "summary_text", text: "" }
    await this.send({ type: "response.reasoning_summary_part.added", ...where, part })
    await this.writeSlowly(cut(text, event.chunks), event, (delta) =>
      this.send({ type: "response.reasoning_summary_text.delta", ...where, delta })
    )
    await this.send({ type: "response.reasoning_summary_text.done", ...where, text })
    await this.endItem({
      type: "reasoning",
      id,
      summary: [{ type: "summary_text", text }],
      encrypted_content: "bW9jaw=="
    })
  }

  async functionCall(event: CallEvent): Promise<void> {
    const { at, id } = this.nextItem("fc")
    const text = typeof event.args === "string" ? event.args : JSON.stringify(event.args ?? {})
    const namespace = event.namespace === undefined ? {} : { namespace: event.namespace }
    const call = { type: "function_call", id, call_id: event.callId ?? `call_${id}`, name: event.call, ...namespace }
    await this.addItem({ ...call, arguments: "", status: "in_progress" })
    await this.send({ type: "response.function_call_arguments.delta", ...at, delta: text })
    await this.send({ type: "response.function_call_arguments.done", ...at, arguments: text })
    await this.endItem({ ...call, arguments: text, status: "completed" })
  }

  async customCall({ callId, custom, input }: CustomCallEvent): Promise<void> {
    const { at, id } = this.nextItem("ctc")
    const call = { type: "custom_tool_call", id, call_id: callId ?? `call_${id}`, name: custom }
    await this.addItem({ ...call, input: "", status: "in_progress" })
    await this.send({ type: "response.custom_tool_call_input.delta", ...at, delta: input })
    await this.send({ type: "response.custom_tool_call_input.done", ...at, input })
    await this.endItem({ ...call, input, status: "completed" })
  }

  private response(status: string, rest: object) {
    return { id: this.target.responseId, object: "response", status, model: this.target.model, ...rest }
  }

  private nextItem(prefix: string) {
    const id = this.target.nextId(prefix)
    return { id, at: { item_id: id, output_index: ++this.index } }
  }

  private addItem(item: object): Promise<void> {
    return this.send({ type: "response.output_item.added", output_index: this.index, item })
  }

  private async endItem(item: object): Promise<void> {
    this.output.push(item)
    await this.send({ type: "response.output_item.done", output_index: this.index, item })
  }

  private async writeSlowly(
    parts: ReadonlyArray<string>,
    { every = 0 }: ScriptPace,
    write: (part: string) => Promise<void>
  ): Promise<void> {
    const gap = Duration.toMillis(Duration.fromInputUnsafe(every))
    for (const [at, part] of parts.entries()) {
      if (at > 0 && gap > 0) await pause(gap, this.target.gone)
      await write(part)
    }
  }

  private async openMessage(): Promise<void> {
    const { at, id } = this.nextItem("msg")
    this.message = { id, text: "" }
    await this.addItem({ type: "message", id, role: "assistant", status: "in_progress", content: [] })
    const part = { type: "output_text", text: "", annotations: [] }
    await this.send({ type: "response.content_part.added", ...at, content_index: 0, part })
  }

  private async delta(text: string): Promise<void> {
    const delta = text.replace("${NOW_US}", () => String(nowMicros()))
    this.message.text += delta
    await this.send({ type: "response.output_text.delta", ...this.messageAt(), delta })
  }

  private async closeMessage(phase: string | undefined): Promise<void> {
    const { id, text } = this.message
    const part = { type: "output_text", text, annotations: [] }
    const item = { type: "message", id, role: "assistant", status: "completed", content: [part] }
    await this.send({ type: "response.output_text.done", ...this.messageAt(), text })
    await this.send({ type: "response.content_part.done", ...this.messageAt(), part })
    await this.endItem(phase === undefined ? item : { ...item, phase })
  }

  private messageAt() {
    return { item_id: this.message.id, output_index: this.index, content_index: 0 }
  }
}
