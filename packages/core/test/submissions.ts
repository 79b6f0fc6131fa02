/** Submissions of tests: each is named by its text, and has one fate in the records. */
import * as Input from "@spindle/core/protocol/Input"
import * as Op from "@spindle/core/protocol/Op"
import type { SubmissionId } from "@spindle/core/protocol/Ids"
import type { Record } from "@spindle/core/protocol/SessionEvent"
import type { Session } from "@spindle/core/Session"
import type { ModelRequest } from "@spindle/core/ports/Model"
import * as Task from "@spindle/core/Task"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Deferred, Effect } from "effect"

/** A text as the id of its submission. */
export const id = (text: string) => text as SubmissionId

/** Submits a text under its own name. */
export const send = (session: Session["Service"], text: string, delivery?: Input.Delivery) =>
  session.submit(Op.userInput(text, delivery === undefined ? {} : { delivery }), { id: id(text) })

/** The texts of a user in a model request, without what the session wrote in their place. */
export const userTexts = (request: ModelRequest | undefined): ReadonlyArray<string> =>
  (request?.items ?? []).flatMap((item) =>
    item._tag === "UserMessage" && item.fragment === undefined ? [Input.textOf(item.content)] : []
  )

/** What became of each accepted submission, in order: `carried by 1` names the first turn. Waiting input has no fate. */
export const fates = (records: ReadonlyArray<Record>): { readonly [submission: string]: ReadonlyArray<string> } => {
  const found: { [submission: string]: Array<string> } = {}
  const turns: Array<string> = []
  for (const record of records) {
    if (record._tag === "InputAccepted") found[record.submissionId] = []
    if (record._tag === "TurnStarted") turns.push(record.turnId)
    if (record._tag === "InputBlocked") found[record.submissionId]!.push("blocked")
    if (record._tag === "ItemRecorded" && record.item._tag === "UserMessage" && record.item.submissionId !== undefined)
      found[record.item.submissionId]!.push(`carried by ${turns.indexOf(record.turnId) + 1}`)
    if (record._tag === "TurnFailed") for (const kept of record.kept) found[kept]!.push("kept")
    if (record._tag === "TurnAborted") {
      for (const { submissionId } of record.returned) found[submissionId]!.push("returned")
      for (const kept of record.kept) found[kept]!.push("kept")
      for (const dropped of record.dropped) found[dropped]!.push("dropped")
    }
  }
  return found
}

/** A session in a turn whose model stands at the gate `held`. */
export const running = Effect.fnUntraced(function* (options: Harness.HarnessOptions = {}) {
  const harness = yield* Harness.make({
    script: (_, index) => (index === 0 ? [Model.gate("held"), Model.text("first")] : [Model.text(`answer ${index}`)]),
    ...options
  })
  const receipt = yield* send(harness.session, "first")
  yield* harness.model.reached("held")
  if (receipt._tag !== "Started") return yield* Effect.die(receipt)
  return { ...harness, turnId: receipt.turnId }
})

/** A task that stays until its deferred is done. */
export const staying = (end: Deferred.Deferred<string | undefined>, options: { readonly steerable?: boolean } = {}) =>
  Task.make("custom", Deferred.await(end), options)

/** Why a submission was rejected, if it was. */
export const reasonOf = (receipt: Op.Receipt): Op.Rejection | undefined =>
  receipt._tag === "Rejected" ? receipt.reason : undefined
