import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { kinds, request } from "./kinds.ts"
import { conversation, holds, type ScenarioOptions, session, starting, threeRounds } from "./scenario.ts"

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
