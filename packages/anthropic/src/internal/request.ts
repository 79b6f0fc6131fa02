/** A request of core as the body of `POST /messages`. */
import type { ModelRequest, ToolSpec } from "@spindle/core/Model"
import * as HttpModel from "@spindle/openai/HttpModel"
import type { ContentBlock, MessageEntry } from "./messages.ts"

/** The options of a body that no request has. */
export interface BodyOptions {
  readonly model: string
  readonly reasoningEffort?: string | undefined
  readonly maxOutputTokens?: number | undefined
  readonly parallelToolCalls?: boolean | undefined
  /** True if optional fields are left out, because the server refuses them. */
  readonly isPlain?: boolean | undefined
}

/** The number of tokens that every model of the last generations can write. */
const defaultMaxTokens = 32_000

/** The least budget that the API takes. */
const leastBudget = 1_024

const budgets: { readonly [effort: string]: number | undefined } = {
  minimal: leastBudget,
  low: 4_096,
  medium: 12_288,
  high: 24_576
}

/** Writes the body. Throws when JSON cannot represent it. */
export const bodyOf = (
  options: BodyOptions,
  request: HttpModel.WireRequest,
  entries: ReadonlyArray<MessageEntry>
): string => {
  const maxTokens = options.maxOutputTokens ?? defaultMaxTokens
  const thinking = canThink(entries) ? thinkingOf(options.reasoningEffort, maxTokens) : {}
  const output = options.isPlain === true ? undefined : request.output
  const config = {
    ...thinking.output_config,
    ...(output === undefined ? {} : { format: { type: "json_schema", schema: output.schema } })
  }
  const system = systemOf(request, output === undefined ? request.output : undefined)
  return HttpModel.stringify({
    model: options.model,
    max_tokens: maxTokens,
    stream: true,
    ...(system === undefined ? {} : { system: [{ type: "text", text: system, ...cached }] }),
    messages: entries.map(({ message }, index) => (index === entries.length - 1 ? withCache(message) : message)),
    ...(request.tools.length === 0 ? {} : { tools: toolsOf(request.tools), ...choiceOf(options) }),
    ...(thinking.thinking === undefined ? {} : { thinking: thinking.thinking }),
    ...(Object.keys(config).length === 0 ? {} : { output_config: config })
  })
}

/** Marks the end of the part that the provider keeps for the next request. */
const cached = { cache_control: { type: "ephemeral" } }

const withCache = ({ content, role }: MessageEntry["message"]) => ({
  role,
  content: content.map((block: ContentBlock, index) => (index === content.length - 1 ? { ...block, ...cached } : block))
})

const systemOf = ({ instructions }: HttpModel.WireRequest, output: ModelRequest["output"]): string | undefined => {
  const form =
    output === undefined
      ? ""
      : `Answer with JSON and nothing else. It must follow this JSON Schema:\n${HttpModel.stringify(output.schema)}`
  const texts = [instructions ?? "", form].filter((text) => text.trim() !== "")
  return texts.length === 0 ? undefined : texts.join("\n\n")
}

/**
 * True if the model may think. While it works with results of tools, the API requires its thinking from before the
 * calls, which is missing if another model made the calls.
 */
const canThink = (entries: ReadonlyArray<MessageEntry>): boolean => {
  const isAfterCalls = entries.at(-1)?.message.content.some(({ type }) => type === "tool_result") === true
  const first = entries.at(-2)?.message.content[0]?.type
  return !isAfterCalls || first === "thinking" || first === "redacted_thinking"
}

const thinkingOf = (effort: string | undefined, maxTokens: number) => {
  if (effort === undefined || effort === "none") return {}
  const budget = budgets[effort]
  if (budget === undefined) return { thinking: { type: "adaptive" }, output_config: { effort } }
  // some tokens must be left for the answer
  const most = Math.min(budget, maxTokens - leastBudget)
  return most < leastBudget ? {} : { thinking: { type: "enabled", budget_tokens: most } }
}

const choiceOf = ({ parallelToolCalls }: BodyOptions) =>
  parallelToolCalls === false ? { tool_choice: { type: "auto", disable_parallel_tool_use: true } } : {}

const toolsOf = HttpModel.mapOnce(({ description, freeform, name, parameters }: ToolSpec) => ({
  name: HttpModel.wireName(name),
  ...(description === undefined ? {} : { description }),
  input_schema:
    freeform !== undefined
      ? HttpModel.freeformParameters(freeform)
      : { type: "object", ...(HttpModel.isObject(parameters) ? parameters : {}) }
}))
