/** The model requests of the agent loop. */
import { reach } from "../internal/tools.ts"
import type { ToolSpec } from "../ports/Model.ts"
import type { ToolTable } from "../ports/ToolSource.ts"
import { CallbackFailed } from "../protocol/AgentError.ts"
import type { TurnContext } from "../protocol/TurnContext.ts"
import type { SampleRequest } from "../Turn.ts"

/** Makes the requests of one turn. A new request is made only if the tools have changed. */
export const requestsOf = ({
  context,
  instructions,
  output
}: Pick<SampleRequest, "instructions" | "output"> & { readonly context: TurnContext }) => {
  let made: { readonly table: ToolTable; readonly request: SampleRequest } | undefined
  const isMade = (table: ToolTable, specs: ReadonlyArray<ToolSpec>) =>
    made?.table === table && (made.request.tools === specs || areEqual(made.request.tools, specs))
  let warnings: Array<string> = []
  const warned = new Set<string>()
  const display =
    (table: ToolTable): SampleRequest["display"] =>
    (asked) => {
      const { name } = asked
      try {
        const { call, entry } = reach(table, asked)
        return entry?.display(call.params, context)
      } catch (cause) {
        if (!warned.has(name)) {
          warned.add(name)
          warnings.push(new CallbackFailed({ callback: `the display function of the tool ${name}`, cause }).message)
        }
        return undefined
      }
    }
  return {
    /** Returns the request with these tools of a table. */
    of: (table: ToolTable, specs: ReadonlyArray<ToolSpec>): SampleRequest => {
      if (made === undefined || !isMade(table, specs)) {
        made = { table, request: { instructions, tools: specs, output, display: display(table) } }
      }
      return made.request
    },
    /** Returns and removes the warnings about display functions that threw, one for each tool and turn. */
    takeWarnings: (): ReadonlyArray<string> => {
      if (warnings.length === 0) return warnings
      const taken = warnings
      warnings = []
      return taken
    }
  }
}

const areEqual = (before: ReadonlyArray<ToolSpec>, after: ReadonlyArray<ToolSpec>): boolean =>
  before.length === after.length && before.every((spec, index) => spec === after[index])
