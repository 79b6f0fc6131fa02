import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { conversation, holds, type ScenarioOptions, session, starting, threeRounds } from "./scenario.ts"

const request = { instructions: undefined, tools: [], output: undefined }

/** Uses what a turn offers, three times over. */
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

/** No message holds text of two answers. */
const textsAreApart: ScenarioOptions["law"] = (seen) => {
  const spoken = ["I look", "It is done", "fine", "stopping", "stopped", "late"]
  const mixed = seen.final?.items.find(
    (item) =>
      item._tag === "AssistantMessage" &&
      !item.text.startsWith("round ") &&
      !spoken.some((text) => text.startsWith(item.text))
  )
  return mixed === undefined ? undefined : `I7 text of two answers: ${JSON.stringify(mixed)}`
}

const steerable = { steerable: true }

const kinds: { readonly [name: string]: Task.Task<any, any, any> } = {
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

const explored = (options: ScenarioOptions): void =>
  holds({
    ...session({ harness: conversation, ...options }),
    actions: [
      ["abort"],
      ["steer"],
      ["close"],
      ["abort", "abort"],
      ["abort", "queue"],
      ["abort", "approve"],
      ["replace", "abort"]
    ],
    seeds: [0, 1],
    maxRuns: 4
  })

describe("tasks of one's own", () => {
  for (const [name, task] of Object.entries(kinds)) {
    it(`I10 keeps every law for ${name}`, () => explored({ begin: starting(() => task), law: textsAreApart }))
  }

  it("I7 keeps every law for a task that stops waiting for its requests, and mixes no texts", () =>
    explored({
      harness: (counts) => ({
        ...conversation(counts),
        script: (asked, index) => {
          if (asked.items.some((item) => item._tag === "UserMessage")) return threeRounds(asked, index)
          return index % 2 === 0
            ? [ScriptedModel.pieces("I lo"), ScriptedModel.hang]
            : [ScriptedModel.text("It is ", "done")]
        }
      }),
      law: textsAreApart,
      begin: starting(() =>
        Task.make(
          "custom",
          Effect.gen(function* () {
            const turn = yield* Turn
            for (let millis = 2; millis < 6; millis++) {
              yield* Effect.timeoutOption(
                turn.sample(request, 1, () => Effect.void),
                millis
              )
              yield* Effect.timeoutOption(turn.ask({ kind: "question", payload: millis }), millis)
            }
          })
        )
      )
    }))

  it("I3 keeps every law for a straggler that gets no grace", () =>
    explored({
      harness: (counts) => ({ ...conversation(counts), config: { grace: 0 } }),
      begin: starting(() => kinds["a straggler"]!)
    }))

  it("I9 keeps every law for a task that replaces itself", () =>
    explored({
      begin: ({ session }) => {
        const inner = session.start(Task.make("inner", Effect.sleep(3)))
        return Effect.flatMap(
          session.start(Task.make("custom", Effect.andThen(Effect.sleep(2), inner))),
          ({ outcome }) => outcome
        )
      }
    }))

  it("I9 keeps every law for a task that waits for its own session", () =>
    explored({
      begin: ({ session }) =>
        Effect.flatMap(
          session.start(Task.make("custom", Effect.timeoutOption(session.awaitIdle, 20))),
          ({ outcome }) => outcome
        )
    }))
})
