/**
 * Models over the OpenAI Responses API. Each module is a namespace; see the README for where to begin.
 */
export * as OpenAiLanguageModel from "./OpenAiLanguageModel.ts"
export * as OpenAiModel from "./OpenAiModel.ts"
