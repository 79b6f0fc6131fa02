/**
 * Converts a history to messages of a chat that a strict server accepts, whatever the journal contains.
 *
 * Consecutive texts and calls of the model are one message, and the results of the calls follow directly, in their
 * order. Consecutive inputs of the user are one message, which never follows a result. Messages of the program are
 * messages of the user, because many models take a system message only at the beginning. Nothing is empty.
 *
 * The same history always gives the same messages. A longer history begins with the messages of a shorter one, except
 * its last, so that prompt caches keep working.
 */
import * as Input from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import type { ToolSpec } from "@spindle/core/Model"
import * as Calls from "../calls.ts"
import { isImageAddress, missingImage } from "../history.ts"
import { stringify } from "../json.ts"
import { wireName } from "../toolNames.ts"
import { type CompletedCall, type InputSide, isBlank, type ModelSide, type Said, sidesOf } from "./sides.ts"

type ContentPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: { readonly url: string } }

/** A message on the wire. */
export type ChatMessage =
  | { readonly role: "system"; readonly content: string }
  | { readonly role: "user"; readonly content: string | ReadonlyArray<ContentPart> }
  | {
      readonly role: "assistant"
      readonly content: string | null
      readonly tool_calls?: ReadonlyArray<unknown>
      readonly reasoning?: string
      readonly reasoning_content?: string
    }
  | { readonly role: "tool"; readonly tool_call_id: string; readonly content: string }

/** A message, and the items that it was made from. */
export interface MessageEntry {
  readonly items: ReadonlyArray<Item>
  readonly message: ChatMessage
}

/** The fields in which servers send reasoning, and take it back. */
export const reasoningFields = ["reasoning_content", "reasoning"] as const
/** @see {@link reasoningFields} */
export type ReasoningField = (typeof reasoningFields)[number]

/** The name of the only parameter of a freeform tool. */
export const freeformParameter = "input"

/** Returns the parameters of a freeform tool as a function: its text is the only one. */
export const freeformParameters = ({ definition, syntax }: NonNullable<ToolSpec["freeform"]>) => ({
  type: "object",
  properties: {
    [freeformParameter]: { type: "string", description: `A text in this grammar (${syntax}):\n${definition}` }
  },
  required: [freeformParameter],
  additionalProperties: false
})

/** Makes the messages. `seal` names the provider and the model that they are for. */
export const messagesOf = (
  instructions: string | undefined,
  items: ReadonlyArray<Item>,
  seal: string
): ReadonlyArray<MessageEntry> => {
  const writer = new MessageWriter(seal)
  if (instructions !== undefined && !isBlank(instructions)) writer.system(instructions)
  for (const side of sidesOf(items, Calls.shortId, partOf)) {
    if (side._tag === "Input") writer.user(side)
    else writer.model(side)
  }
  writer.flush()
  return writer.entries
}

/** The message of the model that is sent between a result and a message of the user, where some servers require one. */
const acknowledgement = "Understood."

/** Writes the messages. It collects the input of the user until the model speaks, and then writes it as one message. */
class MessageWriter {
  readonly entries: Array<MessageEntry> = []
  private readonly seal: string
  /** The input of the user since the last message of another role. */
  private input: { readonly items: Array<Item>; readonly parts: Array<ContentPart> } = { items: [], parts: [] }

  constructor(seal: string) {
    this.seal = seal
  }

  system(content: string): void {
    this.entries.push({ items: [], message: { role: "system", content } })
  }

  user({ item, parts }: InputSide<ContentPart>): void {
    this.input.items.push(item)
    for (const part of parts) this.input.parts.push(part)
  }

  model({ calls, items, texts }: ModelSide): void {
    this.flush()
    const message: ChatMessage = {
      role: "assistant",
      content: texts.length === 0 ? null : joinParagraphs(texts),
      ...(calls.length === 0 ? {} : { ...this.reasoningOf(items), tool_calls: calls.map(callOf) })
    }
    this.entries.push({ items, message })
    for (const { call, id, output, result } of calls) {
      this.entries.push({ items: [call, result], message: { role: "tool", tool_call_id: id, content: output } })
    }
  }

  flush(): void {
    const { items, parts } = this.input
    if (parts.length === 0) return
    this.input = { items: [], parts: [] }
    if (this.entries.at(-1)?.message.role === "tool") {
      this.entries.push({ items: [], message: { role: "assistant", content: acknowledgement } })
    }
    this.entries.push({ items, message: { role: "user", content: contentOf(parts) } })
  }

  /** Returns the field that returns reasoning to the model that made it. Some models need it with later calls. */
  private reasoningOf(items: ReadonlyArray<Said>): { readonly [field in ReasoningField]?: string } {
    const own = items.flatMap((item) =>
      item._tag === "Reasoning" && item.sealedBy === this.seal && !isBlank(item.text) ? [item] : []
    )
    const field = reasoningFields.find((name) => name === own.at(-1)?.encrypted)
    return field === undefined ? {} : { [field]: joinParagraphs(own.map(({ text }) => text)) }
  }
}

const joinParagraphs = (texts: ReadonlyArray<string>): string => texts.join("\n\n")

const textPart = (text: string): ReadonlyArray<ContentPart> => (isBlank(text) ? [] : [{ type: "text", text }])

const partOf = (part: Input.InputPart): ReadonlyArray<ContentPart> =>
  part._tag !== "Image"
    ? textPart(Input.textOfPart(part))
    : isImageAddress(part.url)
      ? [{ type: "image_url", image_url: { url: part.url } }]
      : textPart(missingImage)

/** Returns the content of a message. Text alone becomes one text, which every server takes. */
const contentOf = (parts: ReadonlyArray<ContentPart>): string | ReadonlyArray<ContentPart> => {
  const texts = parts.flatMap((part) => (part.type === "text" ? [part.text] : []))
  return texts.length === parts.length ? joinParagraphs(texts) : parts
}

const callOf = ({ call, id }: CompletedCall) => ({
  id,
  type: "function",
  function: {
    name: wireName(call.name),
    arguments: call.freeform
      ? stringify({ [freeformParameter]: Calls.inputText(call.params) })
      : Calls.argumentsText(call)
  }
})
