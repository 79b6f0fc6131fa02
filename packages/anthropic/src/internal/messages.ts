/**
 * A history as messages that the API accepts, whatever the journal contains.
 *
 * The roles alternate, and the first and the last message are of the user. What the model said is one message, with its
 * signed thinking first; the results of its calls begin the next message, in the order of the calls. No message or
 * block is empty. The same history always gives the same messages, and a longer history begins with all messages of a
 * shorter one except the last, so that caches keep working.
 */
import * as History from "@spindle/core/History"
import * as Input from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import * as HttpModel from "@spindle/openai/HttpModel"

/** A part of a message. */
export type ContentBlock =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image"; readonly source: unknown }
  | { readonly type: "thinking"; readonly thinking: string; readonly signature: string }
  | { readonly type: "redacted_thinking"; readonly data: string }
  | { readonly type: "tool_use"; readonly id: string; readonly name: string; readonly input: unknown }
  | {
      readonly type: "tool_result"
      readonly tool_use_id: string
      readonly content: string
      readonly is_error?: true
    }

/** A message on the wire. */
export interface Message {
  readonly role: "user" | "assistant"
  readonly content: ReadonlyArray<ContentBlock>
}

/** A message, and the items that it was made from. */
export interface MessageEntry {
  readonly items: ReadonlyArray<Item>
  readonly message: Message
}

/** The mark of thinking that is not shown: a journal has its data after this word, in place of a signature. */
export const redactedMark = "redacted "

/** Makes the messages. `seal` names the provider and the model that they are for. */
export const messagesOf = (items: ReadonlyArray<Item>, seal: string): ReadonlyArray<MessageEntry> => {
  const history = HttpModel.withoutProviderCalls(History.repair(items))
  const writer = new MessageWriter(HttpModel.resultsOf(history), seal)
  for (const item of history) {
    switch (item._tag) {
      case "UserMessage":
        writer.user(item, item.content.flatMap(blockOf))
        break
      case "DeveloperMessage":
        writer.user(item, textBlock(item.text))
        break
      case "ToolResult":
        writer.result(item)
        break
      default:
        writer.say(item)
    }
  }
  return writer.end()
}

type Said = Extract<Item, { _tag: "AssistantMessage" | "Reasoning" | "ToolCall" }>

/** The message of the user that is added where the model would speak first or last. */
const prompt: ContentBlock = { type: "text", text: "Continue." }

/** Collects the items of one side until the other side speaks, and then writes them as one message. */
class MessageWriter {
  private readonly entries: Array<{
    readonly items: Array<Item>
    readonly message: Message & { content: Array<ContentBlock> }
  }> = []
  private readonly results: ReadonlyMap<HttpModel.ToolCall, HttpModel.ToolResult>
  private readonly seal: string
  private readonly ids = new HttpModel.CallIds(HttpModel.plainId)
  /** The items of the model since the last message of the user. */
  private run: Array<Said> = []

  constructor(results: ReadonlyMap<HttpModel.ToolCall, HttpModel.ToolResult>, seal: string) {
    this.results = results
    this.seal = seal
  }

  user(item: Item, blocks: ReadonlyArray<ContentBlock>): void {
    if (blocks.length === 0) return
    this.flush()
    this.add("user", [item], blocks)
  }

  say(item: Said): void {
    this.run.push(item)
  }

  /** Writes the calls that wait for this result. Results of calls that were written before were written with them. */
  result(item: HttpModel.ToolResult): void {
    if (this.run.some((one) => one._tag === "ToolCall" && this.results.get(one) === item)) this.flush()
  }

  end(): ReadonlyArray<MessageEntry> {
    this.flush()
    if (this.entries.at(-1)?.message.role !== "user") this.add("user", [], [prompt])
    return this.entries
  }

  /** Adds to the last message if it has the same role. */
  private add(role: Message["role"], items: ReadonlyArray<Item>, blocks: ReadonlyArray<ContentBlock>): void {
    if (role === "assistant" && this.entries.length === 0) this.add("user", [], [prompt])
    const last = this.entries.at(-1)
    if (last?.message.role === role) {
      last.items.push(...items)
      last.message.content.push(...blocks)
    } else this.entries.push({ items: [...items], message: { role, content: [...blocks] } })
  }

  private flush(): void {
    const items = this.run
    this.run = []
    const calls = items.flatMap((item) => (item._tag === "ToolCall" ? [{ call: item, id: this.ids.open(item) }] : []))
    const texts = items.flatMap((item) => (item._tag === "AssistantMessage" ? textBlock(item.text.trimEnd()) : []))
    if (texts.length === 0 && calls.length === 0) return
    this.add("assistant", items, [...this.thinkingOf(items), ...texts, ...calls.map(useOf)])
    for (const { call, id } of calls) {
      const result = this.results.get(call)!
      const output = HttpModel.resultText(result, call)
      const block: ContentBlock = {
        type: "tool_result",
        tool_use_id: id,
        content: output.trim() === "" ? "(no output)" : output,
        ...(result.status === "completed" ? {} : { is_error: true })
      }
      this.add("user", [call, result], [block])
    }
  }

  /** The thinking that this model has signed. Thinking that was cut off has no signature. */
  private thinkingOf(items: ReadonlyArray<Said>): ReadonlyArray<ContentBlock> {
    return items.flatMap((item): ReadonlyArray<ContentBlock> => {
      if (item._tag !== "Reasoning" || item.sealedBy !== this.seal || item.encrypted === undefined) return []
      const { encrypted, text } = item
      return encrypted.startsWith(redactedMark)
        ? [{ type: "redacted_thinking", data: encrypted.slice(redactedMark.length) }]
        : [{ type: "thinking", thinking: text, signature: encrypted }]
    })
  }
}

const textBlock = (text: string): ReadonlyArray<ContentBlock> => (text.trim() === "" ? [] : [{ type: "text", text }])

const blockOf = (part: Input.InputPart): ReadonlyArray<ContentBlock> =>
  part._tag === "Image" ? [imageOf(part.url)] : textBlock(Input.textOfPart(part))

const imageOf = (url: string): ContentBlock => {
  const [, type, data] = /^data:(image\/[\w.+-]+);base64,(.+)$/is.exec(url) ?? []
  if (type !== undefined && data !== undefined) {
    return { type: "image", source: { type: "base64", media_type: type.toLowerCase(), data } }
  }
  return /^https?:\/\/./i.test(url)
    ? { type: "image", source: { type: "url", url } }
    : { type: "text", text: HttpModel.missingImage }
}

const useOf = ({ call, id }: { readonly call: HttpModel.ToolCall; readonly id: string }): ContentBlock => ({
  type: "tool_use",
  id,
  name: HttpModel.wireName(call.name),
  input: call.freeform
    ? { [HttpModel.freeformParameter]: HttpModel.inputText(call.params) }
    : HttpModel.isObject(call.params)
      ? call.params
      : {}
})
