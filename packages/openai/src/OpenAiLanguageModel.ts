/**
 * The same API as a `LanguageModel` of `effect/ai`, for Effect programs that run no session.
 *
 * It sends and reads the same as {@link OpenAiModel}: text, reasoning, tool calls, structured output, usage. Encrypted
 * reasoning and ids of items are in the metadata of the parts (key `openai`), so that a `Chat` sends them back. It does
 * not retry. Tools that a provider runs itself are not supported.
 */
import type { ModelPart, ToolSpec } from "@spindle/core/Model"
import type { ModelFailed } from "@spindle/core/SessionError"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import { toCodecOpenAI } from "effect/ai/OpenAiStructuredOutput"
import * as Telemetry from "effect/ai/Telemetry"
import * as Tool from "effect/ai/Tool"
import type * as HttpClient from "effect/http/HttpClient"
import { fromPrompt } from "./internal/prompt.ts"
import type { BodyRequest } from "./internal/request.ts"
import * as Parts from "./internal/responseParts.ts"
import * as Responses from "./internal/responses.ts"
import * as Sampling from "./internal/sampling.ts"
import { wireName } from "./internal/toolNames.ts"
import type * as OpenAiModel from "./OpenAiModel.ts"

/**
 * Makes a language model. `contextWindow` is not used.
 *
 * **Interruption** closes the connection. **Errors**: `AiError`; the README lists which failure has which reason. A
 * call of a tool that the request did not declare is a `ToolNotFoundError`, unless validation is deferred. Arguments
 * that are not JSON are passed on as text, for the tool's schema to refuse. What `OpenAiModel` emits as a `Warning` is
 * logged here.
 */
export const make = (
  options: OpenAiModel.Options
): Effect.Effect<LanguageModel.LanguageModel, never, HttpClient.HttpClient> =>
  Effect.flatMap(Sampling.make(options), ({ senderOf, provider }) => {
    const source: Source = { send: senderOf(Responses.make(options)), provider, options }
    return LanguageModel.make({
      codecTransformer: toCodecOpenAI,
      generateText: (request) =>
        partsOf(source, "generateText", request).pipe(Stream.runCollect, Effect.map(Parts.fromParts)),
      streamText: (request) => Stream.map(partsOf(source, "streamText", request), Parts.fromPart)
    })
  })

/** The language model as a layer. See {@link make}. */
export const layer = (
  options: OpenAiModel.Options
): Layer.Layer<LanguageModel.LanguageModel, never, HttpClient.HttpClient> =>
  Layer.effect(LanguageModel.LanguageModel, make(options))

/** The language model as a layer, its options read from the configuration. See {@link make}. */
export const layerConfig = (
  options: Config.Wrap<OpenAiModel.Options>
): Layer.Layer<LanguageModel.LanguageModel, Config.ConfigError, HttpClient.HttpClient> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))

interface Source {
  readonly send: Sampling.Send<BodyRequest>
  readonly provider: string
  readonly options: OpenAiModel.Options
}

const partsOf = (
  { options, provider, send }: Source,
  method: string,
  request: LanguageModel.ProviderOptions
): Stream.Stream<Parts.ContentPart, AiError.AiError> => {
  const fail = (reason: AiError.AiErrorReason) => AiError.make({ module: "OpenAiLanguageModel", method, reason })
  const annotate = (usage?: Telemetry.UsageAttributes) =>
    Telemetry.addGenAIAnnotations(request.span, {
      provider: { name: provider },
      operation: { name: "chat" },
      request: { model: options.model },
      usage
    })
  const isUndeclared = (part: ModelPart) =>
    part._tag === "ToolCall" &&
    request.toolCallValidation !== "deferred" &&
    !request.tools.some((tool) => tool.name === part.name)
  return Stream.unwrap(
    Effect.map(bodyRequestOf(request), (body) => {
      annotate()
      return Stream.mapError(send(body), (error: ModelFailed) =>
        Parts.fromFailure(error, `${options.baseUrl ?? "https://api.openai.com/v1"}/responses`)
      )
    })
  ).pipe(
    Stream.mapArrayEffect((parts) => {
      const call = parts.find(isUndeclared)
      if (call?._tag === "ToolCall") return Effect.fail(unknownTool(call.name, request.tools))
      const finish = parts.find((part) => part._tag === "Finish")
      if (finish?.usage !== undefined) {
        annotate({ inputTokens: finish.usage.input, outputTokens: finish.usage.output })
      }
      return Effect.succeed(parts)
    }),
    Stream.tap((part) => (part._tag === "Warning" ? Effect.logWarning(part.message) : Effect.void)),
    Stream.filter((part) => part._tag !== "Warning" && part._tag !== "SealedSummary"),
    // a call that the provider runs by itself has no tool in the toolkit
    Stream.filter((part) => part._tag !== "ToolCall" || part.executed === undefined),
    Stream.mapError(fail)
  )
}

const unknownTool = (toolName: string, tools: ReadonlyArray<Tool.Any>) =>
  new AiError.ToolNotFoundError({ toolName, availableTools: tools.map((tool) => tool.name) })

const bodyRequestOf = (request: LanguageModel.ProviderOptions): Effect.Effect<BodyRequest, AiError.AiErrorReason> =>
  Effect.gen(function* () {
    const { instructions, items, unsupported } = fromPrompt(request.prompt)
    if (unsupported.length > 0) {
      const description = `not supported: ${unsupported.join(", ")}`
      return yield* new AiError.InvalidUserInputError({ description })
    }
    const tools = yield* Effect.forEach(request.tools, specOf)
    const output = yield* outputOf(request.responseFormat)
    return { sessionId: undefined, instructions, items, tools, output, toolChoice: choiceOf(request.toolChoice) }
  })

const specOf = (tool: Tool.Any): Effect.Effect<ToolSpec, AiError.AiErrorReason> =>
  Tool.isProviderDefined(tool)
    ? Effect.fail(
        new AiError.ToolConfigurationError({
          toolName: tool.name,
          description: "tools that the provider runs are not supported"
        })
      )
    : Effect.succeed({
        name: tool.name,
        description: Tool.getDescription(tool),
        parameters: Tool.getJsonSchema(tool),
        source: tool
      })

const outputOf = (
  format: LanguageModel.ProviderOptions["responseFormat"]
): Effect.Effect<BodyRequest["output"], AiError.AiErrorReason> =>
  format.type === "text"
    ? Effect.undefined
    : Effect.try({
        try: () => ({ name: format.objectName, schema: toCodecOpenAI(format.schema).jsonSchema }),
        catch: (error) =>
          new AiError.UnsupportedSchemaError({ description: error instanceof Error ? error.message : String(error) })
      })

const choiceOf = (choice: LanguageModel.ToolChoice<string>): unknown => {
  if (typeof choice === "string") return choice
  if ("tool" in choice) return { type: "function", name: wireName(choice.tool) }
  const tools = choice.oneOf.map((name) => ({ type: "function", name: wireName(name) }))
  return { type: "allowed_tools", mode: choice.mode ?? "auto", tools }
}
