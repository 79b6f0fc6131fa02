/**
 * A history as messages that the API accepts, whatever the journal contains.
 *
 * The roles alternate, and the first and the last message are of the user. What the model said is one message, with its
 * signed thinking first; the results of its calls begin the next message, in the order of the calls. No message or
 * block is empty. The same history always gives the same messages, and a longer history begins with all messages of a
 * shorter one except the last, so that caches keep working.
 */
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
  const writer = new MessageWriter()
  for (const side of HttpModel.sidesOf(items, HttpModel.plainId, blockOf)) {
    if (side._tag === "Input") {
      writer.add("user", [side.item], side.parts)
      continue
    }
    const texts = side.texts.map((text): ContentBlock => ({ type: "text", text: text.trimEnd() }))
    writer.add("assistant", side.items, [...thinkingOf(side.items, seal), ...texts, ...side.calls.map(useOf)])
    for (const call of side.calls) writer.add("user", [call.call, call.result], [resultOf(call)])
  }
  return writer.end()
}

/** The message of the user that is added where the model would speak first or last. */
const prompt: ContentBlock = { type: "text", text: "Continue." }

class MessageWriter {
  private readonly entries: Array<{
    readonly items: Array<Item>
    readonly message: Message & { content: Array<ContentBlock> }
  }> = []

  /** Adds to the last message if it has the same role. */
  add(role: Message["role"], items: ReadonlyArray<Item>, blocks: ReadonlyArray<ContentBlock>): void {
    if (role === "assistant" && this.entries.length === 0) this.add("user", [], [prompt])
    const last = this.entries.at(-1)
    if (last?.message.role === role) {
      last.items.push(...items)
      last.message.content.push(...blocks)
    } else this.entries.push({ items: [...items], message: { role, content: [...blocks] } })
  }

  end(): ReadonlyArray<MessageEntry> {
    if (this.entries.at(-1)?.message.role !== "user") this.add("user", [], [prompt])
    return this.entries
  }
}

/** The thinking that this model has signed. Thinking that was cut off has no signature. */
const thinkingOf = (items: ReadonlyArray<Item>, seal: string): ReadonlyArray<ContentBlock> =>
  items.flatMap((item): ReadonlyArray<ContentBlock> => {
    if (item._tag !== "Reasoning" || item.sealedBy !== seal || item.encrypted === undefined) return []
    const { encrypted, text } = item
    return encrypted.startsWith(redactedMark)
      ? [{ type: "redacted_thinking", data: encrypted.slice(redactedMark.length) }]
      : [{ type: "thinking", thinking: text, signature: encrypted }]
  })

const resultOf = ({ id, output, result }: HttpModel.CompletedCall): ContentBlock => ({
  type: "tool_result",
  tool_use_id: id,
  content: output,
  ...(result.status === "completed" ? {} : { is_error: true })
})

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

const useOf = ({ call, id }: HttpModel.CompletedCall): ContentBlock => ({
  type: "tool_use",
  id,
  name: HttpModel.wireName(call.name),
  input: call.freeform
    ? { [HttpModel.freeformParameter]: HttpModel.inputText(call.params) }
    : HttpModel.isObject(call.params)
      ? call.params
      : {}
})
