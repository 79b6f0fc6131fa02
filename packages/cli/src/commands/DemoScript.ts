/**
 * The script of `spindle demo`, which repairs the example project without a key and without a network. It speaks the
 * Responses API; `DemoModel` serves it.
 *
 * It is a function of the request alone. The number of tool outputs after the last message of the user selects the
 * step, and their content decides whether the work can continue. So the script continues after an interrupt or a crash
 * as any model does, and reports only what really happened.
 */
import { markerFragment } from "@spindle/core/History"
import type { ScriptEvent, ScriptTurn } from "@spindle/testing/ResponsesScript"

/** One response of the script: the text of the model, then its calls. */
export interface Step {
  readonly thought?: string
  readonly text?: string
  readonly calls?: ReadonlyArray<Call>
}

/** A call of a function, or of the freeform `apply_patch`. */
export type Call =
  | { readonly call: string; readonly args: unknown }
  | { readonly custom: string; readonly input: string }

/** The prompt of the demo. */
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

const command = (cmd: string): Call => ({ call: "exec_command", args: { cmd } })

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
    calls: [{ custom: "apply_patch", input: patch }]
  },
  { text: "And the tests once more.", calls: [command("node --test --test-reporter=spec")] },
  {
    text:
      "The tests pass now. `discounted` in `src/discount.js` subtracted the percentage itself instead of that share of the amount; " +
      "it now takes off `cents * percent / 100`, rounded to a whole cent."
  }
]

/** The part of an item in a request's `input` that the script reads. */
interface InputItem {
  readonly type?: string
  readonly role?: string
  readonly content?: ReadonlyArray<{ readonly text?: string }>
  readonly output?: string
}

/** Returns the response to a request. `paced` adds 25 ms before each word and call, for a person who watches. */
export const turnOf = (body: unknown, { paced }: { readonly paced: boolean }): ScriptTurn => {
  const input = (body as { readonly input?: ReadonlyArray<InputItem> }).input ?? []
  const { calls = [], text, thought } = nextStep(input)
  const every = paced ? 25 : 0
  const pause: ReadonlyArray<ScriptEvent> = paced ? [{ delay: every }] : []
  const pace = (said: string) => ({ chunks: said.split(" ").length, every })
  const events: ReadonlyArray<ScriptEvent> = [
    ...(thought === undefined ? [] : [{ reasoning: thought, ...pace(thought) }]),
    ...(text === undefined ? [] : [{ text, ...pace(text) }]),
    // the history only grows, so its length makes call ids unique in a session, even across servers
    ...calls.map((call, index) => ({ ...call, callId: `call_${input.length}_${index}` }))
  ]
  return {
    events: events.flatMap((event) => [...pause, event]),
    usage: { input: tokens(body), output: tokens([thought, text, calls]) }
  }
}

/** Estimates the tokens of a value: one for four characters. */
const tokens = (value: unknown): number => Math.ceil(JSON.stringify(value).length / 4)

const nextStep = (input: ReadonlyArray<InputItem>): Step => {
  const results = input.slice(input.findLastIndex(isOfUser) + 1).filter((item) => item.output !== undefined)
  return earlyEnd(results) ?? stepAfter(results.length)
}

/** Returns true if the user wrote the item. Markers of the session have the role of the user, too. */
const isOfUser = ({ content, role, type }: InputItem): boolean =>
  type === "message" && role === "user" && content?.[0]?.text?.startsWith(`<${markerFragment}>`) !== true

const stepAfter = (resultsCount: number): Step => {
  let count = 0
  for (const step of steps) {
    if (count >= resultsCount) return step
    count += step.calls?.length ?? 0
  }
  return steps.at(-1)!
}

/** Returns the last step if the work ends before the script does. */
const earlyEnd = (results: ReadonlyArray<InputItem>): Step | undefined => {
  const [tried, patched] = [results.find(isTestRun), results.find(isPatch)]
  const denied = results.find(({ output }) => /^(denied|rejected|not approved)\b/.test(output ?? ""))
  if (denied !== undefined) {
    const what = isPatch(denied) ? "The patch" : "A command"
    return {
      text: `${what} was not allowed, so I stop here. ${patched === denied ? "Nothing was changed." : ""}`.trim()
    }
  }
  if (patched?.output?.startsWith("Success.") === false) {
    return { text: `The patch could not be applied: ${patched.output.trim()}` }
  }
  const lastRun = results.findLast(isTestRun)
  const failures = lastRun === undefined ? undefined : failuresOf(lastRun)
  if (patched === undefined && tried !== undefined && failures === 0) {
    return { text: "All tests pass already; there is nothing to repair." }
  }
  if (patched !== undefined && lastRun !== tried && failures !== 0) {
    return { text: "The tests still fail after my repair; please look at their output." }
  }
  return undefined
}

const isPatch = ({ type }: InputItem): boolean => type === "custom_tool_call_output"

const isTestRun = (item: InputItem): boolean => !isPatch(item) && failuresOf(item) !== undefined

// the summary of node:test, in its spec and TAP formats
const failuresOf = ({ output }: InputItem): number | undefined => {
  const found = /^\W*fail (\d+)$/m.exec(output ?? "")
  return found === null ? undefined : Number(found[1])
}
