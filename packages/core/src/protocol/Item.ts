/**
 * Conversation items: the units that a history consists of and that the model sees.
 *
 * The shapes follow the message parts of `effect/ai` one to one, but they are schemas of this package, because they are
 * written to disk and the modules of `effect/ai` may change in a minor release (`docs/decisions/0002-own-items.md`).
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { CallDetail, CallDisplay } from "./Display.ts"
import { CallId, ItemId, SubmissionId } from "./Ids.ts"
import { Input } from "./Input.ts"
import { nestsTooDeep } from "./nesting.ts"
import { AbortReason } from "./Outcome.ts"

export { nestsTooDeep } from "./nesting.ts"

/** Any JSON value, or undefined. JSON has no undefined: a field that is missing is read as undefined. */
export const JsonValue = Schema.Unknown.pipe(Schema.withDecodingDefaultKey(Effect.undefined))

/**
 * Converts a value to the value that is read back from its JSON: numbers that are not finite become null, and fields
 * that are undefined are left out. Throws a `TypeError` for a value that JSON cannot represent (a bigint, a function, a
 * cycle) or that is nested too deep.
 */
export const jsonOfUnsafe = (value: unknown): unknown => {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "undefined":
      return value
    case "number":
      return Number.isFinite(value) ? value : null
    case "object": {
      if (value === null) return null
      const text = JSON.stringify(value) as string | undefined
      if (text === undefined) return undefined
      if (nestsTooDeep(text)) throw new TypeError("the value is nested too deep")
      return JSON.parse(text) as unknown
    }
    default:
      throw new TypeError(`a ${typeof value} is not a JSON value`)
  }
}

/** Returns the nearest number that JSON can represent; 0 for NaN. */
export const toFinite = (value: number): number =>
  Number.isNaN(value) ? 0 : Math.min(Math.max(value, -Number.MAX_VALUE), Number.MAX_VALUE)

/** A summary in a form that only its provider can read. `sealedBy` is the name of the provider in its `Model`. */
export const SealedSummary = Schema.Struct({ encrypted: Schema.String, sealedBy: Schema.String }).annotate({
  identifier: "SealedSummary"
})
/** @see {@link SealedSummary} */
export type SealedSummary = typeof SealedSummary.Type

/**
 * Input of the user, or a *fragment*: a message that a program wrote in place of the user, such as the abort marker, a
 * summary or a notice of a child. `submissionId` names the input that this item carries (contract P2). The provider
 * that made `sealed` receives it in place of `content`.
 */
export class UserMessage extends Schema.Opaque<UserMessage>()(
  Schema.TaggedStruct("UserMessage", {
    id: ItemId,
    content: Input,
    submissionId: Schema.optionalKey(SubmissionId),
    fragment: Schema.optionalKey(Schema.String),
    sealed: Schema.optionalKey(SealedSummary)
  }).annotate({ identifier: "UserMessage" })
) {}

/** Context for the model that is not from the user, such as the contexts of hooks. */
export class DeveloperMessage extends Schema.Opaque<DeveloperMessage>()(
  Schema.TaggedStruct("DeveloperMessage", { id: ItemId, text: Schema.String }).annotate({
    identifier: "DeveloperMessage"
  })
) {}

/**
 * Text of the model. `partial` means that the text was cut: `aborted` text stays in the history, `superseded` text (the
 * request was sent again) is kept in the journal only.
 */
export class AssistantMessage extends Schema.Opaque<AssistantMessage>()(
  Schema.TaggedStruct("AssistantMessage", {
    id: ItemId,
    text: Schema.String,
    partial: Schema.optionalKey(Schema.Literals(["aborted", "superseded"])),
    providerId: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "AssistantMessage" })
) {}

/**
 * Reasoning of the model. `text` may be shown to people. Only the provider can read `encrypted`, and needs it in later
 * requests. `sealedBy` names the provider and the model that made `encrypted`, as their `Model` names them.
 */
export class Reasoning extends Schema.Opaque<Reasoning>()(
  Schema.TaggedStruct("Reasoning", {
    id: ItemId,
    text: Schema.String,
    encrypted: Schema.optionalKey(Schema.String),
    sealedBy: Schema.optionalKey(Schema.String),
    partial: Schema.optionalKey(Schema.Literals(["aborted", "superseded"])),
    providerId: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "Reasoning" })
) {}

/**
 * A tool call. `params` are the decoded arguments (any JSON value). Arguments that are not JSON are kept unchanged in
 * `invalid`. A *freeform* call carries its input as text in `params.input`. `display` is the tool's description of the
 * call, for people and for the wire.
 */
export class ToolCall extends Schema.Opaque<ToolCall>()(
  Schema.TaggedStruct("ToolCall", {
    id: ItemId,
    callId: CallId,
    name: Schema.String,
    params: JsonValue,
    invalid: Schema.optionalKey(Schema.String),
    freeform: Schema.optionalKey(Schema.Literal(true)),
    display: Schema.optionalKey(CallDisplay),
    /** The provider has run the call. */
    byProvider: Schema.optionalKey(Schema.Literal(true)),
    providerId: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "ToolCall" })
) {}

/**
 * The status of a call that has ended: `completed`, `failed` (by the tool, or because of bad arguments), `denied` (by a
 * person, a reviewer or a policy), `aborted` (the turn was stopped, contract I6), `unknown` (the host died during the
 * call, contract J8).
 */
export const ToolStatus = Schema.Literals(["completed", "failed", "denied", "aborted", "unknown"]).annotate({
  identifier: "ToolStatus"
})
/** @see {@link ToolStatus} */
export type ToolStatus = typeof ToolStatus.Type

/**
 * The result of a call. The model reads `output` (a text, or any JSON value). The handler reported `detail` for people
 * and for the wire. `aborted` has the reason of an abort and the milliseconds after which it came.
 */
export class ToolResult extends Schema.Opaque<ToolResult>()(
  Schema.TaggedStruct("ToolResult", {
    id: ItemId,
    callId: CallId,
    name: Schema.String,
    status: ToolStatus,
    output: JsonValue,
    detail: Schema.optionalKey(CallDetail),
    aborted: Schema.optionalKey(Schema.Struct({ reason: AbortReason, afterMillis: Schema.Finite }))
  }).annotate({ identifier: "ToolResult" })
) {}

const items = Schema.Union([UserMessage, DeveloperMessage, AssistantMessage, Reasoning, ToolCall, ToolResult]).annotate(
  { identifier: "Item" }
)
/** An item of a conversation. */
export type Item = UserMessage | DeveloperMessage | AssistantMessage | Reasoning | ToolCall | ToolResult
/** The schema of {@link Item}. */
export interface ItemSchema extends Schema.Union<typeof items.members> {
  readonly Type: Item
}
/** @see {@link Item} */
export const Item: ItemSchema = items

/** Omits keys from each member of a union. */
export type DistributiveOmit<A, K extends PropertyKey> = A extends unknown ? Omit<A, K> : never
/** An item without its id. A task passes it to its turn, which numbers it. */
export type NewItem = DistributiveOmit<Item, "id">
