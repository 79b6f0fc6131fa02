/** Models over the Messages API of Anthropic. See the README for where to begin. */
export * as AnthropicModel from "./AnthropicModel.ts"
