/**
 * Turns that run more than their task, at any step of them (contract S4, I2, I3, P2): a task of a client alongside, and calls
 * that a call makes.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Input from "@spindle/core/Input"
import { NestedCalls, NestedCallStarted } from "@spindle/core/NestedCalls"
import * as SessionPolicy from "@spindle/core/SessionPolicy"
import type * as Laws from "@spindle/testing/Laws"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import type * as SessionHarness from "@spindle/testing/SessionHarness"
import { beside, conversation, type Counts, type Exploration, session, startingEffect } from "../scenario.ts"

/** A turn that completed has not cut off a task that ran alongside it. */
const cutsOffNothing: Laws.Law = ({ events }) => {
  let cutOff = false
  for (const event of events) {
    if (event._tag === "TaskReported" && Input.textOf(event.input) !== "reported") cutOff = true
    if (event._tag === "TurnAborted") cutOff = false
    if (event._tag === "TurnCompleted" && cutOff) return "P2 a turn that completed has cut off a task"
  }
  return undefined
}

const withTask =
  (millis: number, uninterruptible: boolean) =>
  (counts: Counts): ReturnType<typeof conversation> => {
    const kind = beside(counts, millis)
    const taskOf: typeof kind.taskOf = (params) => {
      const found = kind.taskOf(params)
      return "alongside" in found && found.alongside !== undefined && uninterruptible
        ? { ...found, alongside: Effect.uninterruptible(found.alongside) }
        : found
    }
    return { ...conversation(counts), tasks: [{ ...kind, taskOf }] }
  }

const short = startingEffect(Effect.sleep(3))

/** A task that starts while its turn ends: the turn waits for it, or it gets its own turn. */
const startingAtTheEnd: Exploration = {
  ...session({
    harness: (counts) => ({ ...conversation(counts), policy: SessionPolicy.reference }),
    begin: short,
    law: cutsOffNothing
  }),
  actions: [["alongside"], ["steer", "alongside"]],
  maxRuns: 40
}

/** A task that takes long, and whose turn is aborted at any step: it ends with the turn. */
const abortedWithATask: Exploration = {
  ...session({ harness: withTask(10_000, false), begin: short }),
  actions: [["alongside", "abort"]],
  maxRuns: 60
}

/** A task that does not end when its turn is aborted: the turn reports it. */
const stayingWithAnAbort: Exploration = {
  ...session({ harness: withTask(300, true), begin: short }),
  actions: [["alongside", "abort"]],
  maxRuns: 60
}

/** The explorations of tasks by name. */
export const alongside = { startingAtTheEnd, abortedWithATask, stayingWithAnAbort }

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

/** The explorations of calls by name. */
export const calls = { nesting, nestingAfterAbort, nestingMeanwhile }
