/** A request of core as the body of `POST /responses`. */
import type { ModelRequest, ToolSpec } from "@spindle/core/Model"
import type { InputEntry } from "./history.ts"
import { stringify } from "./json.ts"
import type { Options } from "./options.ts"
import { wireName } from "./toolNames.ts"
import { mapOnce } from "./wireTools.ts"

/** The options of a body that no request has. */
export interface BodyOptions extends Pick<
  Options,
  | "model"
  | "reasoningEffort"
  | "reasoningSummary"
  | "verbosity"
  | "maxOutputTokens"
  | "serviceTier"
  | "encryptedReasoning"
  | "parallelToolCalls"
  | "webSearch"
> {}

/**
 * The part of a request that a body needs. `sessionId` becomes the key of the prompt cache; `toolChoice` is sent as it is, with
 * names of tools from `wireName`.
 */
export interface BodyRequest extends Pick<ModelRequest, "instructions" | "items" | "tools" | "output"> {
  readonly sessionId: string | undefined
  readonly toolChoice: unknown
}

/** Writes the body. What a request leaves out is left out of the body too. Throws when JSON cannot represent it. */
export const bodyOf = (options: BodyOptions, request: BodyRequest, input: ReadonlyArray<InputEntry>): string =>
  stringify(valueOf(options, request, input))

/** Writes the body of a compaction. It has only the fields that the endpoint needs. */
export const compactionBodyOf = (
  { model }: BodyOptions,
  { instructions, sessionId }: Pick<ModelRequest, "instructions" | "sessionId">,
  input: ReadonlyArray<InputEntry>
): string =>
  stringify({
    model,
    ...(instructions === undefined ? {} : { instructions }),
    input: input.map(({ wire }) => wire),
    prompt_cache_key: sessionId
  })

const valueOf = (options: BodyOptions, request: BodyRequest, input: ReadonlyArray<InputEntry>) => ({
  model: options.model,
  stream: true,
  store: false,
  ...(request.instructions === undefined ? {} : { instructions: request.instructions }),
  input: input.map(({ wire }) => wire),
  ...(request.tools.length === 0
    ? {}
    : {
        tools: [...toolsOf(request.tools), ...searchOf(options)],
        tool_choice: request.toolChoice,
        parallel_tool_calls: options.parallelToolCalls ?? true
      }),
  ...reasoningOf(options),
  ...(options.encryptedReasoning === false ? {} : { include: ["reasoning.encrypted_content"] }),
  ...textOf(options, request),
  ...(options.maxOutputTokens === undefined ? {} : { max_output_tokens: options.maxOutputTokens }),
  ...(options.serviceTier === undefined ? {} : { service_tier: options.serviceTier }),
  ...(request.sessionId === undefined ? {} : { prompt_cache_key: request.sessionId })
})

const searchOf = ({ webSearch }: BodyOptions): ReadonlyArray<unknown> =>
  webSearch === undefined ? [] : [{ type: "web_search", external_web_access: webSearch === "live" }]

const reasoningOf = ({ reasoningEffort: effort, reasoningSummary: summary }: BodyOptions) =>
  effort === undefined && summary === undefined
    ? {}
    : {
        reasoning: { ...(effort === undefined ? {} : { effort }), ...(summary === undefined ? {} : { summary }) }
      }

const textOf = ({ verbosity }: BodyOptions, { output }: BodyRequest) =>
  output === undefined && verbosity === undefined
    ? {}
    : {
        text: {
          ...(verbosity === undefined ? {} : { verbosity }),
          ...(output === undefined ? {} : { format: formatOf(output) })
        }
      }

const formatOf = ({ name, schema }: NonNullable<ModelRequest["output"]>) => ({
  type: "json_schema",
  name,
  schema,
  strict: true
})

const toolOf = ({ description, freeform, name, parameters }: ToolSpec) => {
  const named = { name: wireName(name), ...(description === undefined ? {} : { description }) }
  return freeform === undefined
    ? { type: "function", ...named, parameters, strict: false }
    : {
        type: "custom",
        ...named,
        format: { type: "grammar", syntax: freeform.syntax, definition: freeform.definition }
      }
}

const toolsOf = mapOnce(toolOf)
