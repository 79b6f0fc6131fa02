import { assert, describe, it } from "@effect/vitest"
import * as Input from "@spindle/core/Input"
import * as SubAgents from "@spindle/delegate/SubAgents"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Family from "./fixtures/family.ts"

const settings = {
  roles: { default: { description: "Any task.", agent: Family.plain } },
  deadline: Duration.infinity
}

describe("an agent that is resumed", () => {
  for (const wake of [true, false]) {
    it.effect(`D7 ${wake ? "wakes" : "does not wake"} its parent, as its start said`, () =>
      Effect.gen(function* () {
        const family = yield* Family.make({
          script: (request) =>
            Family.asked(request) === "watch"
              ? [ScriptedModel.gate("dawn"), ScriptedModel.text("from afar")]
              : Family.echo(request)
        })
        yield* family.run(
          Effect.gen(function* () {
            const { agentId } = yield* SubAgents.spawn(settings, { input: Input.text("one"), detached: true, wake })
            yield* SubAgents.wait([agentId])
            yield* SubAgents.close(agentId)
            yield* SubAgents.resume(settings, agentId)
            yield* SubAgents.sendInput(agentId, Input.text("watch"))
          })
        )
        yield* family.model.open("dawn")
        const isNotice = (text: string) => text.includes("from afar") && text.includes("subagent_notification")
        const notices = () =>
          family.root.events.filter((event) => event._tag === "InputAccepted" && isNotice(JSON.stringify(event)))
        yield* family.awaitTold((event, id) => id === family.root.session.sessionId && notices().includes(event))
        assert.deepStrictEqual(
          notices().map((event) => event._tag === "InputAccepted" && event.delivery),
          [wake ? "steer" : "wait"]
        )
      })
    )
  }
})

describe("a role that narrows", () => {
  it.effect("A4 wraps the start of its agents, the first time and when they are resumed", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: Family.echo })
      const wrapped: Array<string> = []
      const narrow = <A, E, R>(start: Effect.Effect<A, E, R>) =>
        Effect.tap(start, () => Effect.sync(() => void wrapped.push("started")))
      const roles = { ...settings.roles, bound: { ...settings.roles.default, narrow } }
      yield* family.run(
        Effect.gen(function* () {
          const bound = { ...settings, roles }
          yield* SubAgents.spawn(bound, { input: Input.text("free") })
          assert.deepStrictEqual(wrapped, [])
          const { agentId } = yield* SubAgents.spawn(bound, { input: Input.text("one"), role: "bound" })
          yield* SubAgents.wait([agentId])
          yield* SubAgents.close(agentId)
          yield* SubAgents.resume(bound, agentId)
        })
      )
      assert.deepStrictEqual(wrapped, ["started", "started"])
    })
  )
})
