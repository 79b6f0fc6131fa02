import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Task from "@spindle/core/Task"
import { kinds } from "./kinds.ts"
import { stopsWaiting, textsAreApart } from "./races.ts"
import { conversation, holds, type ScenarioOptions, session, starting, startingEffect } from "./scenario.ts"

const actions = [
  ["abort"],
  ["steer"],
  ["close"],
  ["abort", "abort"],
  ["abort", "queue"],
  ["abort", "approve"],
  ["replace", "abort"]
]

const explored = (options: ScenarioOptions): void =>
  holds({
    ...session({ harness: conversation, ...options }),
    actions,
    seeds: [0, 1],
    maxRuns: 4
  })

describe("a task that a client starts", () => {
  it("I10 P2 P6 S4 keeps every law, queued or instead of the running turn", () =>
    holds({
      ...session({ harness: conversation }),
      actions: [
        ["startTask"],
        ["replaceByTask"],
        ["startTask", "abort"],
        ["abort", "startTask"],
        ["abort", "replaceByTask"],
        ["replaceByTask", "abort"],
        ["replaceByTask", "queue"],
        ["queue", "replaceByTask"],
        ["replaceByTask", "replace"],
        ["replaceByTask", "replaceByTask"],
        ["replaceByTask", "close"]
      ],
      seeds: [0, 1],
      maxRuns: 8
    }))
})

describe("a task alongside a turn", () => {
  const alongside = [
    ["alongside"],
    ["alongside", "abort"],
    ["abort", "alongside"],
    ["alongside", "steer"],
    ["steer", "alongside"],
    ["alongside", "queue"],
    ["alongside", "replace"],
    ["alongside", "close"],
    ["alongside", "alongside"]
  ]

  it("I10 P2 P4 P6 S4 keeps every law, next to the regular task", () =>
    holds({ ...session({ harness: conversation }), actions: alongside, seeds: [0, 1], maxRuns: 4 }))

  it("I10 P2 P4 P6 S4 keeps every law, next to a task that takes no input", () =>
    holds({
      ...session({ harness: conversation, begin: startingEffect(Effect.sleep(3)) }),
      actions: alongside,
      seeds: [0, 1],
      maxRuns: 4
    }))
})

describe("custom tasks", () => {
  for (const [name, task] of Object.entries(kinds)) {
    it(`I10 keeps every law for ${name}`, () => explored({ begin: starting(() => task), law: textsAreApart }))
  }

  it("I7 keeps every law for a task that stops waiting for its requests, and never mixes their texts", () =>
    holds({ ...stopsWaiting, actions, seeds: [0, 1], maxRuns: 4 }))

  it("I3 keeps every law for a straggler without a grace period", () =>
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
