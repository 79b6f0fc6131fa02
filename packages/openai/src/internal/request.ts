/** A request of core as the body of `POST /responses`. */
import type { ModelRequest, ToolSpec } from "@spindle/core/Model"
import type { InputPart } from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"

/** What a body says beside the request itself. */
export interface BodyOptions {
  readonly model: string
  readonly reasoningEffort?: string | undefined
  readonly reasoningSummary?: string | undefined
  readonly encryptedReasoning?: boolean | undefined
  readonly parallelToolCalls?: boolean | undefined
}

/** What a body needs of a request. `sessionId` becomes the key of the prompt cache; `toolChoice` is sent as it is. */
export interface BodyRequest extends Pick<ModelRequest, "instructions" | "items" | "tools" | "output"> {
  readonly sessionId: string | undefined
  readonly toolChoice: unknown
}

/** The body, as a value for JSON. What a request leaves out is left out of the body too. */
export const bodyOf = (options: BodyOptions, request: BodyRequest): { readonly [key: string]: unknown } => ({
  model: options.model,
  stream: true,
  store: false,
  ...(request.instructions === undefined ? {} : { instructions: request.instructions }),
  input: inputOf(request.items),
  ...(request.tools.length === 0
    ? {}
    : {
        tools: toolsOf(request.tools),
        tool_choice: request.toolChoice,
        parallel_tool_calls: options.parallelToolCalls ?? true
      }),
  ...reasoningOf(options),
  ...(options.encryptedReasoning === false ? {} : { include: ["reasoning.encrypted_content"] }),
  ...(request.output === undefined ? {} : { text: { format: formatOf(request.output) } }),
  ...(request.sessionId === undefined ? {} : { prompt_cache_key: request.sessionId })
})

const reasoningOf = ({ reasoningEffort: effort, reasoningSummary: summary }: BodyOptions) =>
  effort === undefined && summary === undefined
    ? {}
    : {
        reasoning: { ...(effort === undefined ? {} : { effort }), ...(summary === undefined ? {} : { summary }) }
      }

const formatOf = ({ name, schema }: NonNullable<ModelRequest["output"]>) => ({
  type: "json_schema",
  name,
  schema,
  strict: true
})

const cachedTools = new WeakMap<ReadonlyArray<ToolSpec>, ReadonlyArray<unknown>>()

const toolsOf = (tools: ReadonlyArray<ToolSpec>): ReadonlyArray<unknown> => {
  let wire = cachedTools.get(tools)
  if (wire === undefined) {
    wire = tools.map(toolOf)
    cachedTools.set(tools, wire)
  }
  return wire
}

const toolOf = ({ description, freeform, name, parameters }: ToolSpec) => {
  const named = { name, ...(description === undefined ? {} : { description }) }
  return freeform === undefined
    ? { type: "function", ...named, parameters, strict: false }
    : {
        type: "custom",
        ...named,
        format: { type: "grammar", syntax: freeform.syntax, definition: freeform.definition }
      }
}

/** Items as input, one to one and in order, without those that the model must not see again. */
export const inputOf = (items: ReadonlyArray<Item>): ReadonlyArray<unknown> => {
  const input: Array<unknown> = []
  const freeformCalls = new Set<string>()
  for (const item of items) {
    if (item._tag === "ToolCall" && item.freeform) freeformCalls.add(item.callId)
    const wire = itemOf(item, freeformCalls)
    if (wire !== undefined) input.push(wire)
  }
  return input
}

const itemOf = (item: Item, freeformCalls: ReadonlySet<string>): unknown => {
  switch (item._tag) {
    case "UserMessage":
      return { type: "message", role: "user", content: item.content.map(partOf) }
    case "DeveloperMessage":
      return { type: "message", role: "developer", content: [{ type: "input_text", text: item.text }] }
    case "AssistantMessage":
      if (item.partial === "superseded") return undefined
      return {
        type: "message",
        ...idOf(item.providerId),
        role: "assistant",
        content: [{ type: "output_text", text: item.text }]
      }
    case "Reasoning":
      return reasoningItem(item)
    case "ToolCall":
      return callOf(item)
    case "ToolResult":
      return {
        type: freeformCalls.has(item.callId) ? "custom_tool_call_output" : "function_call_output",
        call_id: item.callId,
        output: jsonText(item.output)
      }
  }
}

// Without its encrypted content a server that stores nothing cannot find a reasoning item again, and refuses it.
const reasoningItem = (item: Extract<Item, { _tag: "Reasoning" }>): unknown =>
  item.partial === "superseded" || item.encrypted === undefined
    ? undefined
    : {
        type: "reasoning",
        ...idOf(item.providerId),
        summary: item.text === "" ? [] : [{ type: "summary_text", text: item.text }],
        encrypted_content: item.encrypted
      }

const callOf = (item: Extract<Item, { _tag: "ToolCall" }>): unknown => {
  const call = { ...idOf(item.providerId), status: "completed", call_id: item.callId, name: item.name }
  return item.freeform
    ? { type: "custom_tool_call", ...call, input: inputText(item.params) }
    : { type: "function_call", ...call, arguments: item.invalid ?? JSON.stringify(item.params ?? {}) }
}

const inputText = (params: unknown): string => {
  const input = typeof params === "object" && params !== null && "input" in params ? params.input : params
  return jsonText(input ?? "")
}

const partOf = (part: InputPart): unknown => {
  switch (part._tag) {
    case "Text":
      return { type: "input_text", text: part.text }
    case "Image":
      return { type: "input_image", image_url: part.url }
  }
}

const idOf = (id: string | undefined) => (id === undefined ? {} : { id })

/** A text as it is, any other value as JSON. */
const jsonText = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? "null"))
