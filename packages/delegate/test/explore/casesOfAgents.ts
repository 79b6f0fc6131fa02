/** Cases of agents that a task starts and names by id, as a model does. */
import type { SessionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import type { Turn } from "@spindle/core/Turn"
import * as SubAgents from "@spindle/delegate/SubAgents"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Effect from "effect/Effect"
import * as Duration from "effect/Duration"
import * as Family from "../fixtures/family.ts"
import { type Case, found, shows } from "./exploring.ts"

const settings = {
  roles: { default: { description: "Any task.", agent: Family.plain } },
  deadline: Duration.infinity
} as const

const spawn = (text: string) => SubAgents.spawn(settings, { input: Input.text(text) })

/** Two agents that start at once (D6). */
const twoNames: Case = {
  ...shows(
    Effect.gen(function* () {
      const family = yield* Family.make()
      const both = yield* family.run(Effect.all([spawn("one"), spawn("two")], { concurrency: "unbounded" }))
      const [one, two] = both.map(({ nickname }) => nickname)
      return found(one === two, `D6 two agents are called ${one}`)
    })
  )
}

/** The start of a detached agent in a turn that is aborted at any step (D6). */
const spawningDetached: Case = {
  ...shows((stage) =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: () => [ScriptedModel.hang] })
      const { events, session } = family.root
      yield* stage.arm({ abort: session.abort() })
      const spawning = SubAgents.spawn(settings, { input: Input.text("hang"), detached: true })
      const { outcome } = yield* family.start(spawning)
      yield* outcome
      yield* stage.disarm
      yield* Effect.sleep("1 second")
      const ended = new Set(events.flatMap((event) => (event._tag === "DelegateEnded" ? [event.delegateId] : [])))
      const isIdle = family
        .sessions()
        .slice(1)
        .some((id) => !ended.has(id) && !Family.tags(family.told(id)).includes("InputAccepted"))
      return found(isIdle, "D6 an agent without input is left")
    })
  ),
  actions: [["abort"]],
  maxRuns: 300
}

/** A wait for an agent that gets more input, at any step of its first turn (D6). */
const continuingWhileAwaited: Case = {
  ...shows((stage) =>
    Effect.gen(function* () {
      const family = yield* Family.make({
        script: Family.hangOr(ScriptedModel.gate("ready"), ScriptedModel.text("done"))
      })
      return yield* family.run(
        Effect.gen(function* () {
          const { agentId } = yield* spawn("one")
          const context = yield* Effect.context<Family.Services>()
          const more = SubAgents.sendInput(agentId, Input.text("hang"))
          yield* stage.arm({ more: Effect.provideContext(more, context) })
          yield* Effect.forkChild(Effect.delay(family.model.open("ready"), 1))
          const { status, timedOut } = yield* SubAgents.wait([agentId])
          yield* stage.disarm
          const isSettled = timedOut || status.get(agentId)?._tag === "Completed"
          return found(!isSettled, `D6 a wait ends, and its agent has not settled: ${JSON.stringify([...status])}`)
        })
      )
    })
  ),
  actions: [["more"]],
  // schedules that delay the waiter after the agent has settled
  seeds: [2, 3],
  preemption: 0.3,
  maxRuns: 150
}

/** An agent that tries to close its sibling, and to wait for the session that waits for it (D6). */
const leavingItsSubtree: Case = shows(
  Effect.gen(function* () {
    let first: SessionId | undefined
    const said: Array<string> = []
    const tried = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.match(effect, { onFailure: (error) => (error as { _tag: string })._tag, onSuccess: () => "done" })
    const second = Family.withTools({
      meddle: {
        run: () =>
          Effect.gen(function* () {
            said.push(yield* tried(SubAgents.close(first!)))
            said.push(yield* tried(SubAgents.wait([root!])))
          }) as Effect.Effect<unknown, unknown, Turn>
      }
    })
    let root: SessionId | undefined
    const family = yield* Family.make({
      script: (request) => {
        if (Family.asked(request) === "hang") return [ScriptedModel.hang]
        return Family.isAnswered(request) ? [ScriptedModel.text("done")] : [ScriptedModel.call("meddle", {}, "meddle")]
      }
    })
    root = family.root.session.sessionId
    yield* family.run(
      second.provide(
        Effect.gen(function* () {
          first = (yield* spawn("hang")).agentId
          const roles = { default: { description: "Any task.", agent: second.agent } }
          const { agentId } = yield* SubAgents.spawn({ ...settings, roles }, { input: Input.text("meddle") })
          yield* SubAgents.wait([agentId])
        })
      )
    )
    if (said[0] !== "DelegateNotFound") return `D6 an agent closes its sibling: ${said[0]}`
    return found(said[1] !== "SubAgentFailed", `D6 an agent waits for the session that waits for it: ${said[1]}`)
  })
)

export const casesOfAgents = { twoNames, spawningDetached, continuingWhileAwaited, leavingItsSubtree }
