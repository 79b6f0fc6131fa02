/**
 * Turns that a task of a client runs alongside, and input that a client withdraws, at any step of them (contract S4, I2,
 * I3, P2, P8).
 */
import * as Effect from "effect/Effect"
import * as Input from "@spindle/core/Input"
import * as SessionPolicy from "@spindle/core/SessionPolicy"
import * as Task from "@spindle/core/Task"
import type * as Laws from "@spindle/testing/Laws"
import { beside, conversation, type Counts, type Exploration, session, starting } from "./scenario.ts"

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

const short = starting(() => Task.make("custom", Effect.sleep(3)))

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

/** Input that steers a turn or waits for its own, withdrawn before, while or after a turn carries it. */
const withdrawing: Exploration = {
  ...session({ harness: conversation }),
  actions: [["repeat", "withdraw"]],
  maxRuns: 60
}

/** Input that a task leaves in the queue. */
const withdrawingFromTheQueue: Exploration = {
  ...session({ harness: conversation, begin: starting(() => Task.make("custom", Effect.sleep(3))) }),
  actions: [["repeat", "withdraw"]],
  maxRuns: 60
}

/** The explorations by name. */
export const alongside = { startingAtTheEnd, abortedWithATask, stayingWithAnAbort }

/** The explorations of input by name. */
export const input = { withdrawing, withdrawingFromTheQueue }
