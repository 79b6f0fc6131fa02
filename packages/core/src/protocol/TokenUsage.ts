/** Token counts. All numbers are at least 0. */
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"

/**
 * The tokens of one request, of a turn, or of a session. `cachedInput` is part of `input`, and `reasoning` is part of
 * `output`.
 */
export class TokenUsage extends Schema.Opaque<TokenUsage>()(
  Schema.Struct({
    input: Schema.Finite,
    cachedInput: Schema.Finite,
    output: Schema.Finite,
    reasoning: Schema.Finite,
    total: Schema.Finite
  }).annotate({ identifier: "TokenUsage" })
) {}

/** No tokens. */
export const zero: TokenUsage = { input: 0, cachedInput: 0, output: 0, reasoning: 0, total: 0 }

/** Adds two counts. */
export const add: {
  (that: TokenUsage): (self: TokenUsage) => TokenUsage
  (self: TokenUsage, that: TokenUsage): TokenUsage
} = dual(2, (self: TokenUsage, that: TokenUsage): TokenUsage => ({
  input: self.input + that.input,
  cachedInput: self.cachedInput + that.cachedInput,
  output: self.output + that.output,
  reasoning: self.reasoning + that.reasoning,
  total: self.total + that.total
}))

/** Subtracts a count from another; no field goes below 0. */
export const subtract: {
  (that: TokenUsage): (self: TokenUsage) => TokenUsage
  (self: TokenUsage, that: TokenUsage): TokenUsage
} = dual(2, (self: TokenUsage, that: TokenUsage): TokenUsage => ({
  input: Math.max(0, self.input - that.input),
  cachedInput: Math.max(0, self.cachedInput - that.cachedInput),
  output: Math.max(0, self.output - that.output),
  reasoning: Math.max(0, self.reasoning - that.reasoning),
  total: Math.max(0, self.total - that.total)
}))
