/** Shapes of the first turn of a session, for generated programs: tools, scripts, deciders and tasks. */
import { Alongside } from "@spindle/core/Alongside"
import type { Approvals } from "@spindle/core/Approvals"
import type { Model, ModelRequest } from "@spindle/core/Model"
import * as Task from "@spindle/core/Task"
import * as TaskKind from "@spindle/core/TaskKind"
import { Turn } from "@spindle/core/Turn"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as ScriptedModel from "../ScriptedModel.ts"
import type { HarnessOptions, TestTool } from "../SessionHarness.ts"

/** The shapes, the simplest first. */
export const names = ["answer", "tools", "approval", "custom", "signalled", "straggler"] as const

/** The number of finalizers that tools registered, and of those that ran. */
export interface Counts {
  opened: number
  closed: number
}

/** A shape: the parts of its harness, and its task, if it is not that of the session. */
export interface Shape extends Pick<HarnessOptions, "approvals" | "hooks"> {
  readonly script: ScriptedModel.Script
  readonly tools: { readonly [name: string]: TestTool }
  readonly task: Task.Task<void, unknown, Turn | Model> | undefined
}

/** Makes a shape whose tools count their finalizers. */
export const make = (name: (typeof names)[number], counts: Counts): Shape => ({
  script: (request, index) => answerOf(request, roundsOf(name, index)),
  tools: { hold: makeHolder(counts, 3), guarded: { ...makeHolder(counts, 1), policy: { approval: "ask" } } },
  approvals,
  hooks: {
    userPromptSubmit: (_, text) => Effect.as(Effect.sleep(1), { block: text === "queue", contexts: ["context"] })
  },
  task: tasks[name]
})

/** The name of the kind of tasks that run alongside a turn. */
export const alongsideKind = "alongside"

/** The kind of tasks that run alongside a turn: they hold a resource for some time, and then report. */
export const alongside = (counts: Counts): TaskKind.TaskKind =>
  TaskKind.makeAlongside(alongsideKind, {
    params: Schema.Struct({}),
    run: () =>
      Effect.gen(function* () {
        const task = yield* Alongside
        yield* hold(counts, 3)
        yield* task.report({ name: alongsideKind, text: "reported" })
      })
  })

const approvals: Approvals = {
  decide: () => Effect.as(Effect.sleep(3), { _tag: "Approved", scope: "once" } as const)
}

/** A tool that holds a resource while it waits. */
const makeHolder = (counts: Counts, millis: number): TestTool => ({ run: () => hold(counts, millis) })

const hold = (counts: Counts, millis: number): Effect.Effect<string> =>
  Effect.acquireUseRelease(
    Effect.sync(() => void counts.opened++),
    () => Effect.as(Effect.sleep(millis), "done"),
    () => Effect.sync(() => void counts.closed++)
  )

/** The calls of the model in a turn, round by round. After them it responds with text. */
const roundsOf = (
  name: (typeof names)[number],
  index: number
): ReadonlyArray<ReadonlyArray<readonly [tool: string, callId: string]>> => {
  const together = [["hold", `a${index}`] as const, ["hold", `b${index}`] as const]
  if (name === "answer") return []
  return name === "tools" ? [together] : [together, [["guarded", `c${index}`] as const]]
}

const answerOf = (
  request: ModelRequest,
  calls: ReadonlyArray<ReadonlyArray<readonly [tool: string, callId: string]>>
): ScriptedModel.Answer => {
  const start = request.items.findLastIndex((item) => item._tag === "UserMessage" && item.fragment === undefined)
  const prompt = request.items[start]
  if (prompt?._tag === "UserMessage" && prompt.content.some((part) => part._tag === "Text" && part.text === "after")) {
    return [ScriptedModel.text("fine")]
  }
  // each round ends with its results. A turn may begin without input of the user, for example with the report of a task
  let left = request.items.slice(Math.max(0, start)).filter((item) => item._tag === "ToolResult").length
  for (const round of calls) {
    if (left === 0) {
      return [
        ScriptedModel.reasoning("thinking"),
        ScriptedModel.text("I ", "look"),
        ...round.map(([tool, callId]) => ScriptedModel.call(tool, {}, callId))
      ]
    }
    left = Math.max(0, left - round.length)
  }
  return [ScriptedModel.text("It is ", "done")]
}

/** Uses everything that a turn offers, twice. */
const everything = Effect.gen(function* () {
  const turn = yield* Turn
  yield* Effect.asVoid(turn.onAbort({ kind: "delegate", name: "child", run: () => Effect.sleep(50) }))
  for (let round = 0; round < 2; round++) {
    yield* turn.takeInput
    yield* turn.sample({ instructions: undefined, tools: [], output: undefined }, 1, (call) =>
      Effect.andThen(turn.flush, turn.finish(call, "completed", "x"))
    )
    const answer = yield* turn.ask({ kind: "permissions", payload: round })
    yield* turn.say(`round ${round} ${answer._tag}`)
  }
  while (!(yield* turn.closeGate)) yield* turn.takeInput
})

const tasks: { readonly [name in (typeof names)[number]]: Shape["task"] } = {
  answer: undefined,
  tools: undefined,
  approval: undefined,
  custom: Task.make("custom", everything, { steerable: true }),
  signalled: Task.make("custom", everything, { steerable: true, onAbort: "signal" }),
  straggler: Task.make("custom", Effect.uninterruptible(everything), { steerable: true })
}
