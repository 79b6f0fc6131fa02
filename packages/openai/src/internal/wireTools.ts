/** Converts the tools of requests to the form of an API. */
import type { ToolSpec } from "@spindle/core/Model"

/** Returns a function that maps each list of tools once. All requests of a turn have the same list. */
export const mapOnce = (
  toolOf: (tool: ToolSpec) => unknown
): ((tools: ReadonlyArray<ToolSpec>) => ReadonlyArray<unknown>) => {
  const mapped = new WeakMap<ReadonlyArray<ToolSpec>, ReadonlyArray<unknown>>()
  return (tools) => {
    let wire = mapped.get(tools)
    if (wire === undefined) {
      wire = tools.map(toolOf)
      mapped.set(tools, wire)
    }
    return wire
  }
}
