/**
 * Nested calls: calls of tools that a running call makes itself, such as those of a script.
 *
 * A nested call runs as a call of the model does: policy, hooks, approval, gate, limits and abort apply to it. It is no part
 * of the history, because the model did not make it. The notes {@link NestedCallStarted} and {@link NestedCallEnded} record
 * it for clients, the first one before its handler starts (contract J8). A call that has only the first one was cut off.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as NoteKind from "./NoteKind.ts"
import { CallDetail, CallDisplay } from "./protocol/Display.ts"
import { CallId } from "./protocol/Ids.ts"
import { ToolStatus } from "./protocol/Item.ts"

/** A nested call. `parentId` is the call that makes it. */
export class NestedCall extends Schema.Opaque<NestedCall>()(
  Schema.Struct({
    callId: CallId,
    parentId: CallId,
    name: Schema.String,
    params: Schema.optionalKey(Schema.Unknown),
    display: Schema.optionalKey(CallDisplay)
  }).annotate({ identifier: "NestedCall" })
) {}

/** How a nested call ended; see `ToolResult`. `aborted`: it was interrupted. */
export class NestedResult extends Schema.Opaque<NestedResult>()(
  Schema.Struct({
    status: ToolStatus,
    output: Schema.optionalKey(Schema.Unknown),
    detail: Schema.optionalKey(CallDetail)
  }).annotate({ identifier: "NestedResult" })
) {}

/** A nested call is about to run, or to be refused. */
export const NestedCallStarted: NoteKind.NoteKind<NestedCall> = NoteKind.make("call.started", {
  data: NestedCall,
  message: ({ name }) => `calls ${name}`
})

/** A nested call has ended. */
export const NestedCallEnded: NoteKind.NoteKind<NestedResult & { readonly callId: CallId }> = NoteKind.make(
  "call.ended",
  { data: Schema.Struct({ callId: CallId, ...NestedResult.fields }) }
)

/** Makes the nested calls of one call. */
export interface NestedCalls {
  /**
   * Calls a tool with arguments as a model would write them, and returns its result once that is recorded. Calls that are
   * made concurrently run as the policies of their tools say. A call of the tool that makes it fails.
   *
   * **Interruption** aborts the call. The end of the call that makes it does so too, and from then on the caller is
   * interrupted.
   */
  readonly call: (name: string, params: unknown) => Effect.Effect<NestedResult>
}

/**
 * The nested calls of the running call. The regular task provides it to the handler of a call that runs alone
 * (`concurrency: "exclusive"`) and is not nested itself; it is undefined anywhere else.
 */
export const NestedCalls: Context.Reference<NestedCalls | undefined> = Context.Reference<NestedCalls | undefined>(
  "@spindle/core/NestedCalls",
  { defaultValue: () => undefined }
)
