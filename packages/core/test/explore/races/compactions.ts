/** Conversations that are compacted, by a client and by a turn itself (contract S11). */
import * as Effect from "effect/Effect"
import * as Compaction from "@spindle/core/Compaction"
import * as CompactTask from "@spindle/core/CompactTask"
import * as History from "@spindle/core/History"
import * as Input from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import * as Op from "@spindle/core/Op"
import * as SessionState from "@spindle/core/SessionState"
import { isRecord } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import type * as Laws from "@spindle/testing/Laws"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import type * as SessionHarness from "@spindle/testing/SessionHarness"
import { isAside, long, reporting } from "../../fixtures/compactions.ts"
import { conversation, type Counts, type ScenarioOptions, starting, threeRounds } from "../scenario.ts"

const textOf = (item: Item): string | undefined =>
  item._tag === "UserMessage" && item.fragment === undefined ? Input.textOf(item.content) : undefined

/** A replacement of the history keeps every word of the user, and what was recorded while it was made. */
const losesNothing: Laws.Law = ({ events }) => {
  let state = SessionState.empty
  const said: Array<string> = []
  // what was recorded before is in the summary
  let hasStarted = false
  for (const event of events) {
    if (!isRecord(event)) continue
    state = SessionState.apply(state, event)
    if (event._tag === "TaskNote" && event.name === CompactTask.CompactionStarted.name) hasStarted = true
    if (event._tag === "ItemRecorded") {
      const text = textOf(event.item)
      if (text !== undefined) said.push(text)
      if (hasStarted && event.item._tag === "AssistantMessage" && event.item.text === "late") said.push("late")
    }
    if (event._tag !== "HistoryReplaced") continue
    const kept = event.items.map((item) => (item._tag === "AssistantMessage" ? item.text : textOf(item)))
    const lost = said.find((text) => !kept.includes(text))
    if (lost !== undefined) return `S11 a compaction lost ${JSON.stringify(lost)}`
  }
  return undefined
}

/** A replacement of the history frees as much as it must. */
const freesEnough: Laws.Law = ({ events }) => {
  let state = SessionState.empty
  for (const event of events) {
    if (!isRecord(event)) continue
    if (event._tag === "HistoryReplaced" && !Compaction.isEnough(History.toArray(state.history), event.items)) {
      return "S11 a compaction freed too little"
    }
    state = SessionState.apply(state, event)
  }
  return undefined
}

/** The history was replaced. */
export const compacts: Laws.Law = ({ events }) =>
  events.some(({ _tag }) => _tag === "HistoryReplaced") ? undefined : "the history was not replaced"

/** The conversation of the explorer, with long answers and a summary in two pieces. */
const compacting =
  (...summary: ReadonlyArray<string>) =>
  (counts: Counts): SessionHarness.HarnessOptions => {
    const options = conversation(counts)
    return {
      ...options,
      tasks: [...(options.tasks ?? []), CompactTask.kind],
      script: (request, index) =>
        isAside(request.items)
          ? [ScriptedModel.text(...summary)]
          : [...ScriptedModel.text(long), ...threeRounds(request, index), reporting(request.items, 1_000)]
    }
  }
const short = compacting("a ", "summary")

const turnThenCompaction: ScenarioOptions["begin"] = ({ session }) =>
  Effect.gen(function* () {
    yield* session.submit(Op.userInput("begin"))
    yield* session.awaitIdle
    yield* session.submit(Op.startTask("compact"))
  })

/** A turn, and then a compaction that a client asks for. */
export const askedFor: ScenarioOptions = { harness: short, begin: turnThenCompaction, law: losesNothing }

/** The same, with a summary that is as long as what it replaces. */
export const gainingTooLittle: ScenarioOptions = {
  harness: compacting(long, long, long, long),
  begin: turnThenCompaction,
  law: freesEnough
}

/** The same conversation, with a model whose provider compacts with these responses. */
const byEndpoint =
  (...responses: ReadonlyArray<ScriptedModel.Answer>) =>
  (counts: Counts): SessionHarness.HarnessOptions => {
    const { script = [], ...options } = short(counts)
    return { ...options, model: ScriptedModel.make(script, { compact: responses }) }
  }

/** A compaction that a client asks for, at the endpoint of the provider. */
export const askedForRemotely: ScenarioOptions = {
  harness: byEndpoint([ScriptedModel.sealedSummary("sealed")]),
  begin: turnThenCompaction,
  law: losesNothing
}

/** The same, at an endpoint that breaks off. The model is then asked for a summary. */
export const brokenEndpoint: ScenarioOptions = {
  harness: byEndpoint([...ScriptedModel.pieces("half"), ScriptedModel.fail("Disconnected")]),
  begin: turnThenCompaction,
  law: losesNothing
}

/** The same, at an endpoint whose summary is as long as what it replaces. */
export const remotelyGainingTooLittle: ScenarioOptions = {
  harness: byEndpoint([ScriptedModel.sealedSummary(long.repeat(4))]),
  begin: turnThenCompaction,
  law: freesEnough
}

/** A turn that compacts between its requests. */
export const byItself: ScenarioOptions = {
  harness: (counts) => ({ ...short(counts), config: { compactFromTokens: 1_000 } }),
  law: losesNothing
}

/** A task that records an item while the compaction of its turn waits for the summary. */
export const recordingMeanwhile: ScenarioOptions = {
  harness: short,
  begin: starting(() =>
    Task.make(
      "recording",
      Effect.gen(function* () {
        const turn = yield* Turn
        yield* turn.say(long)
        const late = Effect.andThen(Effect.yieldNow, turn.say("late"))
        yield* Effect.all([CompactTask.task.effect, late], { concurrency: "unbounded" })
      })
    )
  ),
  law: losesNothing
}
