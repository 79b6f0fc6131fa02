/**
 * Nested calls: tool calls that a running call makes, such as the calls of a script.
 *
 * A nested call runs as a call of the model does: policy, hooks, approval, gate, limits and abort apply to it. It is
 * not in the history, because the model did not make it. The notes {@link NestedCallStarted} and {@link
 * NestedCallEnded} record it for clients, the first one before its handler starts (contract J8). A call without the
 * second note was cut off.
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

/** The result of a nested call; see `ToolResult`. The status `aborted` means that the call was interrupted. */
export class NestedResult extends Schema.Opaque<NestedResult>()(
  Schema.Struct({
    status: ToolStatus,
    output: Schema.optionalKey(Schema.Unknown),
    detail: Schema.optionalKey(CallDetail)
  }).annotate({ identifier: "NestedResult" })
) {}

/** The note that a nested call is about to run or to be refused. */
export const NestedCallStarted: NoteKind.NoteKind<NestedCall> = NoteKind.make("call.started", {
  data: NestedCall,
  message: ({ name }) => `calls ${name}`
})

/** The note that a nested call has ended. */
export const NestedCallEnded: NoteKind.NoteKind<NestedResult & { readonly callId: CallId }> = NoteKind.make(
  "call.ended",
  { data: Schema.Struct({ callId: CallId, ...NestedResult.fields }) }
)

/** Makes the nested calls of one call. */
export interface NestedCalls {
  /**
   * Calls a tool with encoded arguments, as a model writes them, and returns the result once it is recorded. The
   * policies of the tools decide which concurrent calls run at the same time. A call of the calling tool itself fails.
   *
   * **Interruption** aborts the nested call, and so does the end of the call that makes it. Afterwards the caller is
   * interrupted.
   */
  readonly call: (name: string, params: unknown) => Effect.Effect<NestedResult>
}

/**
 * The nested calls of the running call. The regular task provides the service to the handler of a call that runs alone
 * (`concurrency: "exclusive"`) and is not nested itself. It is undefined elsewhere.
 */
export const NestedCalls: Context.Reference<NestedCalls | undefined> = Context.Reference<NestedCalls | undefined>(
  "@spindle/core/NestedCalls",
  { defaultValue: () => undefined }
)
