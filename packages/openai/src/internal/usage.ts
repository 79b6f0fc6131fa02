/** The token counts of a response. */
import type { TokenUsage } from "@spindle/core/TokenUsage"
import { isObject } from "./json.ts"

/** Token counts; unknown when the server sent none, or none that can be true. */
export const usageOf = (usage: unknown): TokenUsage | undefined => {
  if (!isObject(usage)) return undefined
  const { input_tokens: input, output_tokens: output, total_tokens: total } = usage
  if (!isCount(input) || !isCount(output)) return undefined
  return {
    input,
    cachedInput: countOf(usage["input_tokens_details"], "cached_tokens"),
    output,
    reasoning: countOf(usage["output_tokens_details"], "reasoning_tokens"),
    total: isCount(total) ? total : input + output
  }
}

const countOf = (details: unknown, key: string): number => {
  const count = isObject(details) ? details[key] : undefined
  return isCount(count) ? count : 0
}

/** No context holds more than this, and sums of such counts stay exact. */
const mostTokens = 1e12

const isCount = (value: unknown): value is number => typeof value === "number" && value >= 0 && value <= mostTokens
