/** Calls that start and steer agents, as a person reads them: names instead of ids, and no JSON. */
import type { SessionId } from "@spindle/core/Ids"
import * as Ansi from "./Ansi.ts"
import * as ToolCalls from "./toolCalls.ts"

/** The names of the agents that a session has started. */
export type Names = ReadonlyMap<SessionId, string>

/** What such a call does, in one line; undefined for other calls. */
export const title = ({ name, params }: Pick<ToolCalls.Call, "name" | "params">, names: Names): string | undefined => {
  const said = messageOf(params)
  const text = said === undefined ? "" : `: ${said.trim().replaceAll(/\s+/g, " ")}`
  const target = ToolCalls.field(params, "target") ?? ToolCalls.field(params, "id") ?? "nobody"
  switch (name) {
    case "spawn_agent": {
      const more = ["agent_type", "model", "reasoning_effort"].flatMap((key) => ToolCalls.field(params, key) ?? [])
      return Ansi.visible(`spawn_agent${more.length === 0 ? "" : ` (${more.join(", ")})`}${text}`)
    }
    case "send_input":
      return Ansi.visible(`send_input to ${named(target, names)}${text}`)
    case "wait_agent":
      return Ansi.visible(
        `wait_agent for ${ToolCalls.fieldList(params, "targets")
          .map((id) => named(id, names))
          .join(", ")}`
      )
    case "close_agent":
    case "resume_agent":
      return Ansi.visible(`${name} ${named(target, names)}`)
    case "list_agents":
      return name
    default:
      return undefined
  }
}

/** What the result of such a call says that nobody else says: who was started, who waits in vain, and who there is. */
export const told = (name: string, output: unknown): ReadonlyArray<string> => {
  const nickname = name === "spawn_agent" ? ToolCalls.field(output, "nickname") : undefined
  if (nickname !== undefined) return [Ansi.visible(`as ${nickname}`)]
  if (name === "wait_agent" && isRecord(output) && output["timed_out"] === true) return ["none of them is done yet"]
  if (name !== "list_agents" || !isRecord(output) || !Array.isArray(output["agents"])) return []
  return output["agents"].map((one) => {
    const status = isRecord(one) ? one["agent_status"] : undefined
    const word = isRecord(status) ? Object.keys(status).join() : String(status)
    return Ansi.visible(`${ToolCalls.field(one, "agent_name")} ${word}`)
  })
}

const named = (id: string, names: Names): string => names.get(id as SessionId) ?? id

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null

const messageOf = (params: unknown): string | undefined => {
  const message = ToolCalls.field(params, "message")
  const items = isRecord(params) ? params["items"] : undefined
  if (message !== undefined || !Array.isArray(items)) return message
  return items.map((item) => ToolCalls.field(item, "text") ?? ToolCalls.field(item, "type") ?? "").join(" ")
}
