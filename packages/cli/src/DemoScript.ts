/**
 * The model of `spindle demo`: a script that repairs the example project, so that everything else can be seen at work
 * without a key and without a network.
 *
 * It is a function of the request alone: how many tool results stand behind the last message of the user says how far
 * the work is, and what they say decides what is told. So it goes on after an interrupt or a crash as any model does,
 * and it tells only what really happened.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Decider } from "@spindle/core/ports/Approvals"
import { approveAll } from "@spindle/core/ports/Approvals"
import type { ModelPart, ModelRequest } from "@spindle/core/ports/Model"
import { Model } from "@spindle/core/ports/Model"
import { CallId } from "@spindle/core/protocol/Ids"
import type { Item } from "@spindle/core/protocol/Item"
import * as ToolCalls from "./internal/toolCalls.ts"

/** One request's worth of the script: what the model says, and then calls. */
export interface Step {
  readonly thought?: string
  readonly text?: string
  readonly calls?: ReadonlyArray<{ readonly name: string; readonly params: unknown; readonly freeform?: true }>
}

/** What the demo asks its model to do. */
export const prompt = "A test of this project fails. Find out why, repair it, and show me that the tests pass."

/** The repair, in the patch format of `apply_patch`. */
export const patch = `*** Begin Patch
*** Update File: src/discount.js
@@
   if (percent < 0 || percent > 100) throw new RangeError(\`no such discount: \${percent} %\`)
-  return cents - percent
+  return cents - Math.round((cents * percent) / 100)
 }
*** End Patch
`

const command = (cmd: string) => ({ name: "exec_command", params: { cmd } })

/** The work, step by step. The last step has no call and ends the turn. */
export const steps: ReadonlyArray<Step> = [
  {
    thought: "First a look around.",
    text: "I will look at the project first.",
    calls: [command("ls -R package.json src test"), command("cat src/cart.js src/discount.js")]
  },
  { text: "Now the tests, to see what fails.", calls: [command("node --test --test-reporter=spec")] },
  {
    thought: "A discount of 10 percent of 2000 cents should be 200 cents; the code takes off 10 cents.",
    text: "`discounted` takes the percentage off as if it were cents. I will repair that.",
    calls: [{ name: "apply_patch", params: { input: patch }, freeform: true }]
  },
  { text: "And the tests once more.", calls: [command("node --test --test-reporter=spec")] },
  {
    text:
      "The tests pass now. `discounted` in `src/discount.js` subtracted the percentage itself instead of that share of the amount; " +
      "it now takes off `cents * percent / 100`, rounded to a whole cent."
  }
]

/**
 * How the demo answers approvals when nobody is there to ask: yes, once each. Whoever uses it says so to the reader.
 */
export const decider: Decider = approveAll

type Result = Extract<Item, { readonly _tag: "ToolResult" }>

/** What the model answers to a conversation. */
export const answer = (items: ReadonlyArray<Item>): Step => {
  const last = items.findLastIndex((item) => item._tag === "UserMessage" && item.fragment === undefined)
  const results = items.slice(last + 1).filter((item): item is Result => item._tag === "ToolResult")
  return early(results) ?? stepAfter(results.length)
}

const stepAfter = (resultsCount: number): Step => {
  let count = 0
  for (const step of steps) {
    if (count >= resultsCount) return step
    count += step.calls?.length ?? 0
  }
  return steps.at(-1)!
}

/** Why the work ends before the script does, if it does. */
const early = (results: ReadonlyArray<Result>): Step | undefined => {
  const [tried, patched] = [results.find(isTestRun), results.find((result) => result.name === "apply_patch")]
  const denied = results.find((result) => result.status === "denied")
  if (denied !== undefined) {
    const what = denied.name === "apply_patch" ? "The patch" : "A command"
    return {
      text: `${what} was not allowed, so I stop here. ${patched === denied ? "Nothing was changed." : ""}`.trim()
    }
  }
  if (patched !== undefined && patched.status !== "completed") {
    return { text: `The patch could not be applied: ${ToolCalls.outputText(patched).trim()}` }
  }
  const lastRun = results.findLast(isTestRun)
  const failures = lastRun === undefined ? undefined : failuresOf(lastRun)
  if (patched === undefined && tried !== undefined && failures === 0) {
    return { text: "All tests pass already; there is nothing to repair." }
  }
  if (patched !== undefined && lastRun !== tried && failures !== 0) {
    return { text: "The tests still do not pass after my repair; somebody should look at their output." }
  }
  return undefined
}

const isTestRun = (result: Result): boolean => result.name === "exec_command" && failuresOf(result) !== undefined

// the summary of node:test, in its spec and its TAP form
const failuresOf = (result: Result): number | undefined => {
  const found = /^\W*fail (\d+)$/m.exec(
    typeof result.output === "string" ? result.output : (ToolCalls.field(result.output, "output") ?? "")
  )
  return found === null ? undefined : Number(found[1])
}

const parts = (request: ModelRequest): ReadonlyArray<ModelPart> => {
  const step = answer(request.items)
  const calls = step.calls ?? []
  return [
    ...words(step.thought).map((delta): ModelPart => ({ _tag: "ReasoningDelta", id: "thought", delta })),
    ...(step.thought === undefined ? [] : [{ _tag: "ReasoningEnd", id: "thought" } as const]),
    ...words(step.text).map((delta): ModelPart => ({ _tag: "TextDelta", id: "text", delta })),
    ...(step.text === undefined ? [] : [{ _tag: "TextEnd", id: "text" } as const]),
    // the history only grows, so its length makes the ids of a session unique
    ...calls.map((call, index): ModelPart => ({
      _tag: "ToolCall",
      callId: CallId.make(`call_${request.items.length}_${index}`),
      ...call
    })),
    { _tag: "Finish", reason: calls.length === 0 ? "stop" : "tool-calls", usage: undefined }
  ]
}

const words = (text: string | undefined): ReadonlyArray<string> => text?.match(/\S+\s*/g) ?? []

/**
 * The script as a model. `paced`: pauses for 25 ms before each part, as a model would; for a person who watches.
 * **Interruption**: ends the pause; nothing goes on.
 */
export const layer = (options: { readonly paced: boolean }): Layer.Layer<Model> =>
  Layer.succeed(Model, {
    provider: "scripted",
    model: "scripted",
    contextWindow: undefined,
    stream: (request) => {
      const all = Stream.suspend(() => Stream.fromIterable(parts(request)))
      return options.paced ? Stream.mapEffect(all, (part) => Effect.as(Effect.sleep("25 millis"), part)) : all
    }
  })
