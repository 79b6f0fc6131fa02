/**
 * Reads the events of a response as parts: a small state machine over their JSON.
 *
 * It narrows by hand, since it runs once per delta. Items are distinguished by their place in the output, because some
 * servers change an item's id between its events.
 */
import type { ModelPart } from "@spindle/core/Model"
import { CallId } from "@spindle/core/Ids"
import * as Items from "./eventItems.ts"
import * as Failures from "./failures.ts"
import { isObject, type Json, jsonText, parse, textOf } from "./json.ts"
import { ResponseReader } from "./reader.ts"
import { responsesUsage, usageOf } from "./usage.ts"

type Channel = "Text" | "Reasoning"
type TextType = "message" | "reasoning"

interface Text extends Items.StreamedItem {
  readonly channel: Channel
  /** The id of its parts. */
  readonly partId: string
  /** The part of the item that the last delta belonged to. Parts of reasoning are separated by an empty line. */
  section: string | undefined
  /** The parts of the item that have a text. */
  readonly sections: Set<string>
}

interface Call extends Items.StreamedItem {
  readonly type: "function_call" | "custom_tool_call"
  item: Json
  /** The input that arrived in separate events. A text while it grows by deltas. */
  input: unknown
  /** True if that input is complete. */
  isComplete: boolean
}

/** Reads the events of one response of the Responses API. */
export class EventReader extends ResponseReader {
  readonly api = "the Responses API"
  private readonly openTexts = new Map<string, Text>()
  private readonly openCalls = new Map<string, Call>()
  private readonly streamed: Array<Items.StreamedItem> = []
  private readonly partIds = new Set<string>()
  /** The key of an item by its id, for events that name their item by its id alone. */
  private readonly keys = new Map<string, string>()
  private hasCalls = false
  private searchCount = 0

  readResponse(body: string): void {
    const response = parse(body)
    if (isObject(response) && kindOf(response, "") === "response") this.step(response, "")
  }

  /** Does nothing: the last event has finished a complete response already. */
  end(): void {}

  protected step(event: Json, name: string): boolean {
    const kind = kindOf(event, name)
    const response = kind === "response" ? event : event["response"]
    if (isObject(response)) this.servedBy(response["model"])
    switch (kind) {
      case "response.output_text.delta":
      case "response.refusal.delta":
        return this.delta("message", sectionOf(event), event, event["delta"])
      case "response.output_text.done":
      case "response.refusal.done":
        return this.completeText("message", sectionOf(event), event, event["text"] ?? event["refusal"])
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_text.delta":
        return this.delta("reasoning", sectionOf(event), event, event["delta"])
      case "response.reasoning_summary_text.done":
      case "response.reasoning_text.done":
        return this.completeText("reasoning", sectionOf(event), event, event["text"])
      case "response.function_call_arguments.delta":
      case "response.custom_tool_call_input.delta":
        return this.inputDelta(callTypeOf(kind), event)
      case "response.function_call_arguments.done":
      case "response.custom_tool_call_input.done":
        return this.inputDone(callTypeOf(kind), event)
      case "response.output_item.added":
        return isObject(event["item"]) && this.addItem(this.keyOf(event, event["item"]["id"]), event["item"])
      case "response.output_item.done":
        return isObject(event["item"]) && this.endItem(this.keyOf(event, event["item"]["id"]), event["item"])
      case "response.completed":
      case "response.done":
      case "response.incomplete":
        return this.endResponse(kind, isObject(event["response"]) ? event["response"] : {})
      case "response":
        return this.endResponse(`response.${jsonText(event["status"] ?? "completed")}`, event)
      case "response.failed":
        return this.fail(isObject(event["response"]) ? event["response"]["error"] : undefined)
      case "error":
        return this.fail(event)
      default:
        return kind !== undefined && kind.startsWith("response.")
    }
  }

  private keyOf(event: Json, itemId: unknown): string {
    const index = event["output_index"]
    const id = textOf(itemId)
    const key = typeof index === "number" ? String(index) : ((id && this.keys.get(id)) ?? id ?? "")
    if (id !== undefined) this.keys.set(id, key)
    return key
  }

  private delta(type: TextType, section: string, event: Json, delta: unknown): boolean {
    if (typeof delta !== "string") return false
    const text = this.textAt(type, this.keyOf(event, event["item_id"]))
    const isNext = type === "reasoning" && text.section !== undefined && text.section !== section
    text.section = section
    text.sections.add(section)
    this.append(text, isNext ? `\n\n${delta}` : delta)
    return true
  }

  /** Takes the text of a part that had no deltas. */
  private completeText(type: TextType, section: string, event: Json, complete: unknown): boolean {
    if (typeof complete !== "string") return false
    const text = this.textAt(type, this.keyOf(event, event["item_id"]))
    return text.sections.has(section) || complete === "" || this.delta(type, section, event, complete)
  }

  private append(text: Text, delta: string): void {
    text.content += delta
    this.parts.push({ _tag: `${text.channel}Delta`, id: text.partId, delta })
  }

  private textAt(type: TextType, key: string): Text {
    const found = this.openTexts.get(key)
    if (found?.type === type) return found
    if (found !== undefined) this.close(key, found, {})
    let partId = key
    for (let count = 2; this.partIds.has(partId); count++) partId = `${key}#${count}`
    this.partIds.add(partId)
    const channel = type === "message" ? "Text" : "Reasoning"
    const text: Text = {
      type,
      channel,
      partId,
      id: undefined,
      callId: undefined,
      content: "",
      section: undefined,
      sections: new Set()
    }
    this.openTexts.set(key, text)
    this.streamed.push(text)
    this.parts.push({ _tag: `${channel}Start`, id: partId })
    return text
  }

  private openedCall(type: Call["type"], key: string): Call {
    let call = this.openCalls.get(key)
    if (call?.type !== type) {
      call = { type, item: {}, input: "", isComplete: false, id: undefined, callId: undefined, content: "" }
      this.openCalls.set(key, call)
      this.streamed.push(call)
    }
    return call
  }

  private inputDelta(type: Call["type"], event: Json): boolean {
    const { delta } = event
    if (typeof delta !== "string") return false
    const call = this.openedCall(type, this.keyOf(event, event["item_id"]))
    if (typeof call.input === "string") call.input += delta
    return true
  }

  private inputDone(type: Call["type"], event: Json): boolean {
    const call = this.openedCall(type, this.keyOf(event, event["item_id"]))
    const input = Items.inputOf({ ...event, type })
    if (!Items.isBlank(input)) call.input = input
    call.isComplete = true
    return true
  }

  private addItem(key: string, item: Json): boolean {
    const type = Items.typeOf(item)
    if (type === "message" || type === "reasoning") this.textAt(type, key).id = textOf(item["id"])
    else if (type !== undefined) this.noteCall(this.openedCall(type, key), item)
    return true
  }

  private endItem(key: string, item: Json): boolean {
    if (item["type"] === "web_search_call") return this.parts.push(Items.searchOf(item, ++this.searchCount)) > 0
    const type = Items.typeOf(item)
    if (type === "message" || type === "reasoning") this.close(key, this.textAt(type, key), item)
    else if (type !== undefined) {
      const call = this.openedCall(type, key)
      this.noteCall(call, item)
      this.call(key, call)
    }
    return true
  }

  private noteCall(call: Call, item: Json): void {
    const said = Object.entries(item).filter(([, value]) => value !== null && value !== "")
    call.item = { ...call.item, ...Object.fromEntries(said) }
    call.id = textOf(call.item["id"])
    call.callId = textOf(call.item["call_id"])
  }

  /** Ends a text. First adds the rest of it, if the final item has more than the deltas brought. */
  private close(key: string, text: Text, item: Json): void {
    const complete = Items.contentOf(item)
    if (complete.length > text.content.length && complete.startsWith(text.content)) {
      this.append(text, complete.slice(text.content.length))
    }
    this.openTexts.delete(key)
    text.id = textOf(item["id"]) ?? text.id
    const { channel, partId: id } = text
    const providerId = typeof item["id"] === "string" ? { providerId: item["id"] } : {}
    if (channel === "Text") {
      this.parts.push({ _tag: "TextEnd", id, ...providerId })
      return
    }
    const encrypted = textOf(item["encrypted_content"])
    const sealed = encrypted === undefined ? {} : { encrypted, sealedBy: this.context.seal }
    this.parts.push({ _tag: "ReasoningEnd", id, ...sealed, ...providerId })
  }

  private call(key: string, call: Call): void {
    const { item, type } = call
    this.openCalls.delete(key)
    const own = Items.inputOf({ ...item, type })
    const input = Items.isBlank(own) ? call.input : own
    const wireName = textOf(item["name"]) ?? "unnamed"
    call.content = Items.callContent(wireName, input)
    this.hasCalls = true
    this.parts.push({
      _tag: "ToolCall",
      callId: CallId.make(call.callId ?? call.id ?? `call_${this.streamed.indexOf(call)}`),
      name: this.context.toolNames.get(wireName) ?? wireName,
      ...(type === "custom_tool_call"
        ? ({ params: { input: Items.isBlank(input) ? "" : jsonText(input) }, freeform: true } as const)
        : Items.paramsOf(input)),
      ...(call.id === undefined ? {} : { providerId: call.id })
    })
  }

  /** Takes the last event of a response. The status of the response counts more than the name of the event. */
  private endResponse(kind: string, response: Json): boolean {
    const { status } = response
    if (status === "failed") return this.fail(response["error"])
    if (kind !== "response.incomplete" && status !== "incomplete") {
      this.takeOutput(response, true)
      return this.finish(response, this.hasCalls ? "tool-calls" : "stop")
    }
    const details = response["incomplete_details"]
    const reason = isObject(details) ? textOf(details["reason"]) : undefined
    this.takeOutput(response, false)
    if (reason === "max_output_tokens") return this.finish(response, "length")
    if (reason === "content_filter") return this.finish(response, "content-filter")
    const detail = `the response is incomplete: ${reason ?? "no reason given"}`
    this.failure = Failures.failure(this.context, "Incomplete", { detail })
    return true
  }

  /**
   * Takes the items that came only in the last event, and ends the open ones. Calls count only when they are complete:
   * in a response that was cut off, the item of a call must say so.
   */
  private takeOutput(response: Json, isComplete: boolean): void {
    const list = Array.isArray(response["output"]) ? response["output"] : []
    const output = list.filter((item) => isObject(item) && Items.typeOf(item) !== undefined) as Array<Json>
    const isUsable = (item: Json) => isComplete || !Items.isCallType(item["type"]) || item["status"] === "completed"
    const matches = Items.matchOutput(output, this.streamed)
    const keys = new Map([...this.openTexts, ...this.openCalls].map(([key, item]): [object, string] => [item, key]))
    for (const [index, item] of output.entries()) {
      const match = matches.get(item)
      const key = match === undefined ? `output ${index}` : keys.get(match)
      if (key !== undefined && isUsable(item)) this.endItem(key, item)
    }
    for (const [key, text] of this.openTexts) this.close(key, text, {})
    for (const [key, call] of this.openCalls) {
      if (textOf(call.item["name"]) !== undefined && (isComplete || call.isComplete)) this.call(key, call)
    }
  }

  private finish(response: Json, reason: Extract<ModelPart, { _tag: "Finish" }>["reason"]): boolean {
    this.parts.push({ _tag: "Finish", reason, usage: usageOf(response["usage"], responsesUsage) })
    this.isFinished = true
    return true
  }
}

/** Returns the kind of an event: its type, else its name, else the kind that its fields show. */
const kindOf = (event: Json, name: string): string | undefined => {
  const type = textOf(event["type"])
  if (type !== undefined) return type
  if (event["object"] === "response" && !/^(in_progress|queued)$/.test(jsonText(event["status"]))) return "response"
  if (event["object"] === "error" || isObject(event["error"]) || textOf(event["error"]) !== undefined) return "error"
  return name.startsWith("response.") || name === "error" ? name : undefined
}

const callTypeOf = (kind: string): Call["type"] =>
  kind.startsWith("response.custom_tool_call") ? "custom_tool_call" : "function_call"

/** Returns the name of the part of an item that an event changes. */
const sectionOf = (event: Json): string => {
  const { content_index: content, summary_index: summary } = event
  return typeof summary === "number" ? `summary ${summary}` : `content ${typeof content === "number" ? content : 0}`
}
