/** What chat servers and the templates of models refuse in a request, as far as it is known from public reports. */
import { isName, isWellFormed } from "./wellFormed.ts"

interface Wire {
  readonly [key: string]: any
}

/** Who may speak after whom. The beginning is the role `system`. */
const next: { readonly [role: string]: ReadonlyArray<string> } = {
  system: ["user", "assistant"],
  user: ["assistant"],
  assistant: ["user"],
  tool: ["assistant"]
}

const known = new Set(["model", "stream", "stream_options", "messages", "tools", "response_format"])

/** Why a strict server refuses the body of a request, or undefined. */
export const chatRefusalOf = (text: string): string | undefined => {
  const body: Wire = JSON.parse(text)
  if (!isWellFormed(body)) return "half a surrogate pair in the body"
  const unknown = Object.keys(body).filter((key) => !known.has(key))
  if (unknown.length > 0) return `extra fields: ${unknown.join()}`
  for (const [at, tool] of (body["tools"] ?? []).entries()) {
    if (!isName(tool.function.name)) return `tools[${at}].function.name is ${JSON.stringify(tool.function.name)}`
  }
  const messages: ReadonlyArray<Wire> = body["messages"]
  const ids = new Set<string>()
  let open: ReadonlyArray<string> = []
  let before = "system"
  for (const [at, message] of messages.entries()) {
    const place = `messages[${at}]`
    const role: string = message["role"]
    if (role === "tool") {
      if (message["tool_call_id"] !== open[0]) return `${place} is not the result of ${open[0]}`
      open = open.slice(1)
    } else {
      if (open.length > 0) return `${place}: no result of ${open.join()}`
      const isFirst = at === 0 && role === "system"
      if (!isFirst && !next[before]!.includes(role)) return `${place}: ${role} after ${before}`
    }
    const refused = messageRefusal(message, ids)
    if (refused !== undefined) return `${place}: ${refused}`
    open = role === "assistant" ? (message["tool_calls"] ?? []).map(({ id }: Wire) => id) : open
    before = role
  }
  return open.length === 0 ? undefined : `no result of ${open.join()}`
}

const messageRefusal = ({ content, role, tool_calls: calls, ...rest }: Wire, ids: Set<string>): string | undefined => {
  if (Object.keys(rest).some((key) => key !== "tool_call_id")) return `extra fields: ${Object.keys(rest).join()}`
  if (calls !== undefined && role !== "assistant") return "calls of another role"
  if (content === null) return calls === undefined ? "no content" : callsRefusal(calls, ids)
  if (Array.isArray(content)) return role === "user" ? partsRefusal(content) : "parts"
  if (typeof content !== "string" || content.trim() === "") return "no text"
  return calls === undefined ? undefined : callsRefusal(calls, ids)
}

const partsRefusal = (parts: ReadonlyArray<Wire>): string | undefined => {
  if (!parts.some(({ type }) => type === "image_url")) return "parts without an image"
  for (const part of parts) {
    if (part["type"] === "image_url") {
      if (!/^(https?:\/\/.|data:image\/\w+;base64,.)/.test(part["image_url"].url)) return "not the address of an image"
    } else if (part["type"] !== "text" || part["text"].trim() === "") return "an empty text"
  }
  return undefined
}

const callsRefusal = (calls: ReadonlyArray<Wire>, ids: Set<string>): string | undefined => {
  if (calls.length === 0) return "an empty list of calls"
  for (const { function: called, id, type } of calls) {
    if (type !== "function") return "not a function"
    if (!/^[A-Za-z0-9]{9}$/.test(id)) return `the id ${JSON.stringify(id)}`
    if (ids.has(id)) return `the id ${id} comes twice`
    ids.add(id)
    if (!isName(called.name)) return `the name ${JSON.stringify(called.name)}`
    const args: unknown = JSON.parse(called.arguments)
    if (typeof args !== "object" || args === null || Array.isArray(args)) return "the arguments are not an object"
    if (!isWellFormed(args)) return "half a surrogate pair in the arguments"
  }
  return undefined
}
