/** The token counts of a response. */
import type { TokenUsage } from "@spindle/core/TokenUsage"
import { isObject } from "./json.ts"

/** The names of the counts in one API. */
export interface UsageNames {
  readonly input: string
  readonly output: string
}

/** The names of the counts in the Responses API. */
export const responsesUsage: UsageNames = { input: "input_tokens", output: "output_tokens" }

/** Returns the token counts; undefined if the server sent none that can be true. */
export const usageOf = (usage: unknown, names: UsageNames): TokenUsage | undefined => {
  if (!isObject(usage)) return undefined
  const { [names.input]: input, [names.output]: output, total_tokens: total } = usage
  if (!isCount(input) || !isCount(output)) return undefined
  return {
    input,
    cachedInput: countOf(usage[`${names.input}_details`], "cached_tokens"),
    output,
    reasoning: countOf(usage[`${names.output}_details`], "reasoning_tokens"),
    total: isCount(total) ? total : input + output
  }
}

const countOf = (details: unknown, key: string): number => {
  const count = isObject(details) ? details[key] : undefined
  return isCount(count) ? count : 0
}

/** The most tokens that are believed. No context holds more, and sums of such counts stay exact. */
const mostTokens = 1e12

const isCount = (value: unknown): value is number => typeof value === "number" && value >= 0 && value <= mostTokens
