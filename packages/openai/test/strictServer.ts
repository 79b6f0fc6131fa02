/** What `api.openai.com` and strict gateways refuse in a request, as far as it is known from public reports. */
import { isName, isWellFormed } from "./wellFormed.ts"

interface Wire {
  readonly [key: string]: any
}

/** Why a strict server refuses the body of a request, or undefined. `seal` begins each seal that it can read. */
export const refusalOf = (text: string, seal?: string): string | undefined => {
  const body: Wire = JSON.parse(text)
  if (!isWellFormed(body)) return "half a surrogate pair in the body"
  for (const [at, tool] of (body["tools"] ?? []).entries()) {
    if (!isName(tool.name)) return `tools[${at}].name is ${JSON.stringify(tool.name)}`
  }
  const input: ReadonlyArray<Wire> = body["input"]
  const calls = new Map<string, string>()
  const open = new Set<string>()
  const ids = new Set<string>()
  for (const [at, item] of input.entries()) {
    const refused = itemRefusal(item, input[at + 1], { calls, open, seal })
    if (refused !== undefined) return `input[${at}]: ${refused}`
    if (item["id"] === undefined) continue
    if (ids.has(item["id"])) return `input[${at}].id comes twice`
    ids.add(item["id"])
  }
  return open.size === 0 ? undefined : `no output for ${[...open].join()}`
}

interface Seen {
  readonly calls: Map<string, string>
  readonly open: Set<string>
  readonly seal: string | undefined
}

const itemRefusal = (item: Wire, next: Wire | undefined, seen: Seen): string | undefined => {
  switch (item["type"]) {
    case "message":
      return messageRefusal(item, seen)
    case "reasoning":
      return reasoningRefusal(item, next, seen)
    case "function_call":
    case "custom_tool_call":
      return callRefusal(item, seen)
    case "function_call_output":
    case "custom_tool_call_output":
      if (item["type"] !== `${seen.calls.get(item["call_id"])}_output`) return "no such call"
      if (!seen.open.delete(item["call_id"])) return "a second output"
      return typeof item["output"] === "string" ? undefined : "the output is not a text"
    case "web_search_call":
      return typeof item["action"]?.type === "string" ? undefined : "a search without an action"
    default:
      return `the type ${item["type"]} is not known`
  }
}

const messageRefusal = ({ content, id, role }: Wire, { open }: Seen): string | undefined => {
  if (id !== undefined && !/^msg_[\w-]{1,60}$/.test(id)) return "not an id of a message"
  if (role !== "assistant" && open.size > 0) return "a message before the output of a call"
  if (!["user", "developer", "assistant"].includes(role)) return "no such role"
  if (!Array.isArray(content) || content.length === 0) return "no content"
  for (const part of content) {
    if (part.type === "input_image" && role === "user") {
      if (!/^(https?:\/\/.|data:image\/\w+;base64,.)/.test(part.image_url)) return "not the address of an image"
    } else if (part.type !== (role === "assistant" ? "output_text" : "input_text")) return "not a part of this role"
    else if (typeof part.text !== "string" || part.text === "") return "an empty text"
  }
  return undefined
}

const reasoningRefusal = (item: Wire, next: Wire | undefined, { seal }: Seen): string | undefined => {
  const { encrypted_content: encrypted, id } = item
  if (typeof encrypted !== "string") return "reasoning that is not stored"
  if (seal !== undefined && !encrypted.startsWith(seal)) return "encrypted content that cannot be verified"
  if (id !== undefined && !/^rs_[\w-]{1,61}$/.test(id)) return "not an id of reasoning"
  const isFollowed =
    next !== undefined &&
    (/^(reasoning|function_call|custom_tool_call|web_search_call)$/.test(next["type"]) || next["role"] === "assistant")
  return isFollowed ? undefined : "reasoning without its required following item"
}

const callRefusal = (item: Wire, { calls, open }: Seen): string | undefined => {
  const { call_id: callId, id, name, type } = item
  if (id !== undefined && !/^(fc|ctc)_[\w-]{1,60}$/.test(id)) return "not an id of a call"
  if (typeof callId !== "string" || !/^[\w-]{1,64}$/.test(callId)) return `the call_id ${JSON.stringify(callId)}`
  if (calls.has(callId)) return `the call_id ${callId} comes twice`
  if (!isName(name)) return `the name ${JSON.stringify(name)}`
  calls.set(callId, type)
  open.add(callId)
  if (type === "custom_tool_call") return typeof item["input"] === "string" ? undefined : "the input is not a text"
  try {
    const args: unknown = JSON.parse(item["arguments"])
    if (typeof args !== "object" || args === null || Array.isArray(args)) return "the arguments are not an object"
    return isWellFormed(args) ? undefined : "half a surrogate pair in the arguments"
  } catch {
    return "the arguments are not JSON"
  }
}
