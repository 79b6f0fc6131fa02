/** The kinds of task that are explored, and the conversations that they are part of. */
import * as Effect from "effect/Effect"
import * as SessionPolicy from "@spindle/core/SessionPolicy"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import type * as Interrupts from "@spindle/testing/Interrupts"
import type * as Laws from "@spindle/testing/Laws"
import { conversation, session, starting } from "./scenario.ts"

export const request = { instructions: undefined, tools: [], output: undefined }

/** Uses everything that a turn offers, three times. */
const everything = Effect.gen(function* () {
  const turn = yield* Turn
  yield* Effect.asVoid(turn.onAbort({ kind: "delegate", name: "child", run: () => Effect.sleep(50) }))
  for (let round = 0; round < 3; round++) {
    yield* turn.takeInput
    yield* turn.sample(request, 1, (call) => Effect.andThen(turn.flush, turn.finish(call, "completed", "x")))
    const answer = yield* turn.ask({ kind: "permissions", payload: round })
    yield* turn.say(`round ${round} ${answer._tag}`)
  }
  while (!(yield* turn.closeGate)) yield* turn.takeInput
})

const steerable = { steerable: true }

/** Custom tasks, by what is special about them. */
export const kinds: { readonly [name: string]: Task.Task<any, any, any> } = {
  "a task that is interrupted": Task.make("custom", everything, steerable),
  "a task that is signalled": Task.make("custom", everything, { ...steerable, onAbort: "signal" }),
  "a straggler": Task.make("custom", Effect.uninterruptible(everything), steerable),
  "a straggler that ends late": Task.make(
    "custom",
    Effect.uninterruptible(Effect.andThen(everything, Effect.sleep(300))),
    steerable
  ),
  "a task with an abort hook": Task.make("custom", everything, {
    ...steerable,
    abortHook: (turn) => Effect.andThen(turn.say("stopping"), Effect.andThen(Effect.sleep(1), turn.say("stopped")))
  }),
  "a task whose abort hook hangs": Task.make("custom", everything, {
    ...steerable,
    abortHook: (turn) => Effect.uninterruptible(Effect.andThen(Effect.sleep(200), turn.say("late")))
  }),
  "a task that aborts its own turn": Task.make(
    "custom",
    Effect.gen(function* () {
      const turn = yield* Turn
      yield* Effect.forkChild(everything, { startImmediately: true })
      yield* Effect.sleep(6)
      yield* turn.abort("Deadline")
      yield* Effect.sleep(3)
    })
  )
}

/** A conversation for every kind of task, the regular task first. */
export const explorations: { readonly [name: string]: Interrupts.Exploration<Laws.History, unknown> } = {
  "the regular task": session({ harness: conversation }),
  "the regular task, a journal that writes at once": session({ harness: conversation, journalMillis: 0 }),
  "the regular task, the choices of the reference": session({
    harness: (counts) => ({ ...conversation(counts), policy: SessionPolicy.reference })
  }),
  ...Object.fromEntries(
    Object.entries(kinds).map(([name, task]) => [name, session({ harness: conversation, begin: starting(() => task) })])
  )
}

/** The actions of a run with one action. */
export const actions = ["abort", "steer", "queue", "replace", "close", "approve", "deny", "abortByAnswer"]

/** The actions of a run with two, in order. */
export const pairs = [
  ["abort", "abort"],
  ["abort", "steer"],
  ["steer", "abort"],
  ["abort", "queue"],
  ["queue", "abort"],
  ["abort", "close"],
  ["abort", "approve"],
  ["approve", "abort"],
  ["abortByAnswer", "abort"],
  ["replace", "abort"],
  ["abort", "replace"],
  ["replace", "replace"],
  ["replace", "close"],
  ["steer", "replace"],
  ["steer", "steer"],
  ["steer", "close"]
]
