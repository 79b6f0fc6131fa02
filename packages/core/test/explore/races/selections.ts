/** Turns that select tools by their input, and are replaced or aborted at any step (contract M4). */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import * as Input from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import * as Op from "@spindle/core/Op"
import * as Session from "@spindle/core/Session"
import type { ToolSource } from "@spindle/core/ToolSource"
import * as Tools from "@spindle/core/Tools"
import { conversation, type Exploration, session, threeRounds } from "../scenario.ts"

const table = Tools.make(
  ["one", "two"].map((name) => ({
    tool: Tool.make(name, { success: Schema.Unknown }),
    run: () => Effect.succeed(name),
    policy: { approval: "allow" }
  }))
)

/** The words of the user, in order. */
const wordsOf = (items: ReadonlyArray<Item>): ReadonlyArray<string> =>
  items.flatMap((item) =>
    item._tag === "UserMessage" && item.fragment === undefined ? [Input.textOf(item.content)] : []
  )

/** Tools that a turn offers if its input names them. The source needs some time. */
const source: ToolSource = {
  name: "apps",
  table: () => Effect.as(Effect.sleep(1), table),
  offer: ({ byName }, items) => {
    const words = wordsOf(items).join(" ")
    return new Set(Array.from(byName.keys()).filter((name) => words.includes(`$${name}`)))
  }
}

/** A turn that selects a tool, ends at any step, and is followed by one that selects nothing. */
const selectingAndEnding = (): Exploration => {
  let leaks: Array<string> = []
  return {
    ...session({
      harness: (counts) => {
        leaks = []
        return {
          ...conversation(counts),
          factory: (agent, options) => Session.make({ ...agent, sources: [source] }, options),
          script: (request, index) => {
            const offered = request.tools.map(({ name }) => name).filter((name) => table.byName.has(name))
            const [last] = wordsOf(request.items).slice(-1)
            if (last === "after" && offered.length > 0) leaks.push(`M4 a turn offers ${offered.join()} of another turn`)
            if (last === "select $one" && offered.join() !== "one") leaks.push("M4 a turn does not offer its selection")
            return threeRounds(request, index)
          }
        }
      },
      begin: ({ session: running }) => running.submit(Op.userInput("select $one")),
      law: () => leaks[0]
    }),
    actions: [["replace"], ["abort"], ["replace", "abort"], ["deny"]],
    maxRuns: 15
  }
}

/** The explorations by name. */
export const ofSelections = { selectingAndEnding: selectingAndEnding() }
