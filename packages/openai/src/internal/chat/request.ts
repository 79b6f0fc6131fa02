/** A request of core as the body of `POST /chat/completions`. */
import type { ModelRequest, ToolSpec } from "@spindle/core/Model"
import { stringify } from "../json.ts"
import { wireName } from "../toolNames.ts"
import type { WireRequest } from "../wire.ts"
import { freeformParameters, type MessageEntry } from "./messages.ts"
import { mapOnce } from "../wireTools.ts"

/** The options of a body that are the same for all requests. */
export interface ChatOptions {
  readonly model: string
  readonly reasoningEffort?: string | undefined
  readonly verbosity?: string | undefined
  readonly maxOutputTokens?: number | undefined
  readonly serviceTier?: string | undefined
  readonly parallelToolCalls?: boolean | undefined
  /** True if optional fields are left out because the server refuses them. */
  readonly isPlain?: boolean | undefined
}

/**
 * Writes the body. It has only the necessary fields, because strict servers refuse fields that they do not know. Throws
 * if JSON cannot represent it.
 */
export const bodyOf = (options: ChatOptions, request: WireRequest, messages: ReadonlyArray<MessageEntry>): string =>
  stringify({
    model: options.model,
    stream: true,
    ...(options.isPlain === true ? {} : { stream_options: { include_usage: true } }),
    messages: messages.map(({ message }) => message),
    ...(request.tools.length === 0
      ? {}
      : {
          tools: toolsOf(request.tools),
          ...(options.parallelToolCalls === false ? { parallel_tool_calls: false } : {})
        }),
    ...(options.reasoningEffort === undefined ? {} : { reasoning_effort: options.reasoningEffort }),
    ...(options.verbosity === undefined ? {} : { verbosity: options.verbosity }),
    ...(options.maxOutputTokens === undefined ? {} : { max_tokens: options.maxOutputTokens }),
    ...(options.serviceTier === undefined ? {} : { service_tier: options.serviceTier }),
    ...(request.output === undefined ? {} : { response_format: formatOf(request.output) })
  })

const formatOf = ({ name, schema }: NonNullable<ModelRequest["output"]>) => ({
  type: "json_schema",
  json_schema: { name, schema, strict: true }
})

const toolOf = ({ description, freeform, name, parameters }: ToolSpec) => ({
  type: "function",
  function: {
    name: wireName(name),
    ...(description === undefined ? {} : { description }),
    parameters: freeform === undefined ? parameters : freeformParameters(freeform)
  }
})

const toolsOf = mapOnce(toolOf)
