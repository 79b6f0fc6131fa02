/** More of the `races`: calls that a running call makes. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { NestedCalls, NestedCallStarted } from "@spindle/core/NestedCalls"
import type * as Laws from "@spindle/testing/Laws"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import type * as SessionHarness from "@spindle/testing/SessionHarness"
import { type Exploration, session } from "../scenario.ts"

type Call = (name: string) => Effect.Effect<unknown>

/** A model that calls a tool `script`, which makes calls, and then one that looks. */
const calling = (
  run: (call: Call) => Effect.Effect<unknown>
): Pick<SessionHarness.HarnessOptions, "script" | "tools" | "approvals"> => ({
  script: ({ items }) =>
    items.some((item) => item._tag === "ToolResult")
      ? [ScriptedModel.text("fine")]
      : [ScriptedModel.call("script", {}, "a"), ScriptedModel.call("look", {}, "b")],
  tools: {
    script: {
      policy: { concurrency: "exclusive" },
      run: () => Effect.flatMap(NestedCalls, (nested) => run((name) => nested!.call(name, {})))
    },
    look: { run: () => Effect.as(Effect.sleep(1), "seen") },
    guarded: { run: () => Effect.void, policy: { approval: "ask", concurrency: "exclusive" } }
  },
  approvals: { decide: () => Effect.as(Effect.sleep(2), { _tag: "Approved", scope: "once" } as const) }
})

/** Calls that run at the same time, one of which a person is asked about (I2, I6, A1, J8). */
const nesting: Exploration = {
  ...session({
    harness: () =>
      calling((call) => Effect.all([call("look"), call("guarded"), call("look")], { concurrency: "unbounded" }))
  }),
  actions: [["abort"], ["abortByAnswer"], ["close"]],
  maxRuns: 20
}

/** A finalizer makes a call, after the abort too (I2). */
const nestingAfterAbort: Exploration = {
  ...session({
    harness: () => calling((call) => Effect.ensuring(call("look"), Effect.andThen(Effect.sleep(2), call("look")))),
    journalMillis: 0
  }),
  maxRuns: 40
}

/** The calls of a call that has its result. */
const nestedTooLate: Laws.Law = ({ journal = [] }) => {
  const ended = new Set<string>()
  for (const record of journal) {
    if (record._tag === "ItemRecorded" && record.item._tag === "ToolResult") ended.add(record.item.callId)
    if (record._tag !== "TaskNote") continue
    const call = Option.getOrUndefined(NestedCallStarted.decode(record))
    if (call !== undefined && ended.has(call.parentId)) return "I3 a call that has ended made a call"
  }
  return undefined
}

/** A call returns while another fiber makes calls for it, and after it has returned (I3). */
const nestingMeanwhile: Exploration = {
  ...session({
    harness: () =>
      calling((call) =>
        Effect.gen(function* () {
          yield* Effect.forkDetach(Effect.andThen(Effect.exit(call("look")), Effect.delay(call("look"), 1)))
          yield* Effect.sleep(1)
        })
      ),
    law: nestedTooLate
  }),
  maxRuns: 40
}

/** The explorations by name. */
export const calls = { nesting, nestingAfterAbort, nestingMeanwhile }
