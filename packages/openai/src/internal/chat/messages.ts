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
import * as History from "@spindle/core/History"
import * as Input from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import type { ToolSpec } from "@spindle/core/Model"
import * as Calls from "../calls.ts"
import { isImageAddress, missingImage } from "../history.ts"
import { stringify } from "../json.ts"
import { wireName } from "../toolNames.ts"

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
  const history = withoutProviderCalls(History.repair(items))
  const writer = new MessageWriter(resultsOf(history), seal)
  if (instructions !== undefined && !isBlank(instructions)) writer.system(instructions)
  for (const item of history) {
    switch (item._tag) {
      case "UserMessage":
        writer.user(item, item.content.flatMap(partOf))
        break
      case "DeveloperMessage":
        writer.user(item, textPart(item.text))
        break
      case "ToolResult":
        writer.result(item)
        break
      default:
        writer.say(item)
    }
  }
  writer.flush()
  return writer.entries
}

type Said = Extract<Item, { _tag: "AssistantMessage" | "Reasoning" | "ToolCall" }>
/** A result of a tool. */
export type ToolResult = Extract<Item, { _tag: "ToolResult" }>

/** Leaves out the calls that a provider ran itself, such as web searches. This API has no such calls. */
export const withoutProviderCalls = (items: ReadonlyArray<Item>): ReadonlyArray<Item> => {
  const theirs = new Set<string>()
  return items.filter((item) => {
    if (item._tag === "ToolResult") return !theirs.has(item.callId)
    if (item._tag !== "ToolCall") return true
    if (item.byProvider) theirs.add(item.callId)
    else theirs.delete(item.callId)
    return !item.byProvider
  })
}

/** Returns the result of each call of a repaired history. */
export const resultsOf = (items: ReadonlyArray<Item>): ReadonlyMap<Calls.ToolCall, ToolResult> => {
  const open = new Map<string, Calls.ToolCall>()
  const results = new Map<Calls.ToolCall, ToolResult>()
  for (const item of items) {
    if (item._tag === "ToolCall") open.set(item.callId, item)
    else if (item._tag === "ToolResult") results.set(open.get(item.callId)!, item)
  }
  return results
}

/** The message of the model that is sent between a result and a message of the user, where some servers require one. */
const acknowledgement = "Understood."

/** Collects the items of one role, and writes them as one message when an item of another role follows. */
class MessageWriter {
  readonly entries: Array<MessageEntry> = []
  private readonly results: ReadonlyMap<Calls.ToolCall, ToolResult>
  private readonly seal: string
  private readonly ids = new Calls.CallIds(Calls.shortId)
  /** The items of the model since the last message of another role. */
  private run: Array<Said> = []
  /** The input of the user since the last message of another role. */
  private input: { readonly items: Array<Item>; readonly parts: Array<ContentPart> } = { items: [], parts: [] }

  constructor(results: ReadonlyMap<Calls.ToolCall, ToolResult>, seal: string) {
    this.results = results
    this.seal = seal
  }

  system(content: string): void {
    this.entries.push({ items: [], message: { role: "system", content } })
  }

  user(item: Item, parts: ReadonlyArray<ContentPart>): void {
    if (parts.length === 0) return
    this.flushRun()
    this.input.items.push(item)
    for (const part of parts) this.input.parts.push(part)
  }

  say(item: Said): void {
    this.run.push(item)
  }

  /** Writes the calls that wait for this result, with their results. Does nothing if they are already written. */
  result(item: ToolResult): void {
    if (this.run.some((one) => one._tag === "ToolCall" && this.results.get(one) === item)) this.flushRun()
  }

  flush(): void {
    this.flushRun()
    this.flushInput()
  }

  private flushInput(): void {
    const { items, parts } = this.input
    if (parts.length === 0) return
    this.input = { items: [], parts: [] }
    if (this.entries.at(-1)?.message.role === "tool") {
      this.entries.push({ items: [], message: { role: "assistant", content: acknowledgement } })
    }
    this.entries.push({ items, message: { role: "user", content: contentOf(parts) } })
  }

  private flushRun(): void {
    const items = this.run
    this.run = []
    const text = joinParagraphs(
      items.flatMap((item) => (item._tag === "AssistantMessage" && !isBlank(item.text) ? [item.text] : []))
    )
    const calls = items.flatMap((item) => (item._tag === "ToolCall" ? [{ call: item, id: this.ids.open(item) }] : []))
    if (text === "" && calls.length === 0) return
    this.flushInput()
    const message: ChatMessage = {
      role: "assistant",
      content: text === "" ? null : text,
      ...(calls.length === 0 ? {} : { ...this.reasoningOf(items), tool_calls: calls.map(callOf) })
    }
    this.entries.push({ items, message })
    for (const { call, id } of calls) {
      const result = this.results.get(call)!
      const output = Calls.resultText(result, call)
      const content = isBlank(output) ? "(no output)" : output
      this.entries.push({ items: [call, result], message: { role: "tool", tool_call_id: id, content } })
    }
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

const isBlank = (text: string): boolean => text.trim() === ""

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

const callOf = ({ call, id }: { readonly call: Calls.ToolCall; readonly id: string }) => ({
  id,
  type: "function",
  function: {
    name: wireName(call.name),
    arguments: call.freeform
      ? stringify({ [freeformParameter]: Calls.inputText(call.params) })
      : Calls.argumentsText(call)
  }
})
