/**
 * Conversation items: what the model sees, and what a history is made of.
 *
 * The shapes follow the message parts of `effect/ai` one to one, but are schemas of our own: they are written to
 * disk, and the modules of `effect/ai` may change in a minor release (`docs/decisions/0002-own-items.md`).
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { CallDetail, CallDisplay } from "./Display.ts"
import { CallId, ItemId, SubmissionId } from "./Ids.ts"
import { Input } from "./Input.ts"
import { AbortReason } from "./Outcome.ts"

/**
 * Any JSON value, or nothing. JSON has no undefined: a field that is missing is read as undefined, so that a record
 * that says nothing there can be read again, and is what it was.
 */
export const JsonValue = Schema.Unknown.pipe(Schema.withDecodingDefaultKey(Effect.undefined))

/**
 * A value as it will be read back from JSON: numbers that are not finite become null, fields that are undefined are
 * left out. Throws a
 * `TypeError` for what JSON cannot say: a bigint, a function, a cycle.
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
      return text === undefined ? undefined : (JSON.parse(text) as unknown)
    }
    default:
      throw new TypeError(`a ${typeof value} is no JSON value`)
  }
}

/**
 * Input of a user, or a *fragment*: scaffolding that the session wrote in the user's place (the abort marker, a
 * notice of a child). `submissionId` names the input that this record carries (contract P2).
 */
export const UserMessage = Schema.TaggedStruct("UserMessage", {
  id: ItemId,
  content: Input,
  submissionId: Schema.optionalKey(SubmissionId),
  fragment: Schema.optionalKey(Schema.String)
})
/** @see {@link UserMessage} */
export type UserMessage = typeof UserMessage.Type

/** Context for the model that is not the user's: what hooks add. */
export const DeveloperMessage = Schema.TaggedStruct("DeveloperMessage", { id: ItemId, text: Schema.String })
/** @see {@link DeveloperMessage} */
export type DeveloperMessage = typeof DeveloperMessage.Type

/**
 * Text of the model. `partial` says that its stream ended before it did: `aborted` text stays in the history,
 * `superseded` text (the request was tried again) is kept in the journal only.
 */
export const AssistantMessage = Schema.TaggedStruct("AssistantMessage", {
  id: ItemId,
  text: Schema.String,
  partial: Schema.optionalKey(Schema.Literals(["aborted", "superseded"])),
  providerId: Schema.optionalKey(Schema.String)
})
/** @see {@link AssistantMessage} */
export type AssistantMessage = typeof AssistantMessage.Type

/**
 * Reasoning of the model: `text` may be shown, `encrypted` only its provider can read and wants back. `sealedBy` names
 * the provider and the model that made `encrypted`, in the words of the `Model` that recorded it.
 */
export const Reasoning = Schema.TaggedStruct("Reasoning", {
  id: ItemId,
  text: Schema.String,
  encrypted: Schema.optionalKey(Schema.String),
  sealedBy: Schema.optionalKey(Schema.String),
  partial: Schema.optionalKey(Schema.Literals(["aborted", "superseded"])),
  providerId: Schema.optionalKey(Schema.String)
})
/** @see {@link Reasoning} */
export type Reasoning = typeof Reasoning.Type

/**
 * A tool call. `params` are the decoded arguments (any JSON value); arguments that are not JSON are kept as they
 * came in `invalid`. A *freeform* call carries its input as text in `params.input`. `display` is what the tool says
 * about the call, for people and for the wire.
 */
export const ToolCall = Schema.TaggedStruct("ToolCall", {
  id: ItemId,
  callId: CallId,
  name: Schema.String,
  params: JsonValue,
  invalid: Schema.optionalKey(Schema.String),
  freeform: Schema.optionalKey(Schema.Literal(true)),
  display: Schema.optionalKey(CallDisplay),
  providerId: Schema.optionalKey(Schema.String)
})
/** @see {@link ToolCall} */
export type ToolCall = typeof ToolCall.Type

/**
 * How a call ended: `completed`, `failed` (by the tool, or bad arguments), `denied` (somebody said no), `aborted`
 * (the turn was stopped, contract I6), `unknown` (the host died in it, contract J8).
 */
export const ToolStatus = Schema.Literals(["completed", "failed", "denied", "aborted", "unknown"])
/** @see {@link ToolStatus} */
export type ToolStatus = typeof ToolStatus.Type

/**
 * The result of a call: `output` is what the model reads (a text, or any JSON value), `detail` is what the handler
 * reported for people and for the wire. An aborted call says by which
 * reason and after how many milliseconds.
 */
export const ToolResult = Schema.TaggedStruct("ToolResult", {
  id: ItemId,
  callId: CallId,
  name: Schema.String,
  status: ToolStatus,
  output: JsonValue,
  detail: Schema.optionalKey(CallDetail),
  aborted: Schema.optionalKey(Schema.Struct({ reason: AbortReason, afterMillis: Schema.Finite }))
})
/** @see {@link ToolResult} */
export type ToolResult = typeof ToolResult.Type

/** An item of a conversation. */
export const Item = Schema.Union([UserMessage, DeveloperMessage, AssistantMessage, Reasoning, ToolCall, ToolResult])
/** @see {@link Item} */
export type Item = typeof Item.Type

type DistributiveOmit<A, K extends PropertyKey> = A extends unknown ? Omit<A, K> : never
/** An item without its id: what a task hands to its turn, which numbers it. */
export type NewItem = DistributiveOmit<Item, "id">
