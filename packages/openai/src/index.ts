/**
 * Models over the OpenAI Responses API and the chat completions API. Each module is a namespace; see the README for
 * where to begin.
 */
export * as ApiKeys from "./ApiKeys.ts"
export * as ChatCompletionsModel from "./ChatCompletionsModel.ts"
export * as HttpModel from "./HttpModel.ts"
export * as OpenAiLanguageModel from "./OpenAiLanguageModel.ts"
export * as OpenAiModel from "./OpenAiModel.ts"
