/** The rules by which the API refuses a request, as far as they are documented. */

interface Wire {
  readonly [key: string]: any
}

const fields = new Set([
  "model",
  "max_tokens",
  "stream",
  "system",
  "messages",
  "tools",
  "tool_choice",
  "thinking",
  "output_config"
])

/** Returns the reason why the API refuses the body of a request; undefined if it accepts it. */
export const refusalOf = (text: string): string | undefined => {
  if (/\\ud[89a-f]/.test(text)) return "half a surrogate pair"
  const body: Wire = JSON.parse(text)
  const unknown = Object.keys(body).filter((name) => !fields.has(name))
  if (unknown.length > 0) return `extra fields: ${unknown.join()}`
  for (const [at, tool] of (body["tools"] ?? []).entries()) {
    if (!/^[\w-]{1,128}$/.test(tool.name)) return `tools.${at}.name: ${tool.name}`
    if (tool.input_schema.type !== "object") return `tools.${at}.input_schema.type`
  }
  const messages: ReadonlyArray<Wire> = body["messages"]
  if (messages[0]?.["role"] !== "user") return "messages.0: not of the user"
  if (messages.at(-1)?.["role"] !== "user") return "the last message is not of the user"
  let open: ReadonlyArray<string> = []
  const ids = new Set<string>()
  for (const [at, { content, role }] of messages.entries()) {
    if (at > 0 && messages[at - 1]!["role"] === role) return `messages.${at}: ${role} twice`
    const refused = contentRefusal(content, role)
    if (refused !== undefined) return `messages.${at}: ${refused}`
    const results = content
      .filter(({ type }: Wire) => type === "tool_result")
      .map((block: Wire) => block["tool_use_id"])
    if (results.join() !== open.join()) return `messages.${at}: results of ${results.join()} and not of ${open.join()}`
    open = content.filter(({ type }: Wire) => type === "tool_use").map((block: Wire) => block["id"])
    for (const one of open) if (ids.has(one)) return `messages.${at}: the id ${one} comes twice`
    for (const one of open) ids.add(one)
  }
  if (body["thinking"] !== undefined) return thinkingRefusal(body)
  return undefined
}

const contentRefusal = (content: ReadonlyArray<Wire>, role: string): string | undefined => {
  if (content.length === 0) return "no content"
  const types = content.map(({ type }) => type as string)
  const isOfUser = role === "user"
  for (const [at, block] of content.entries()) {
    const allowed = isOfUser ? /^(text|image|tool_result)$/ : /^(text|thinking|redacted_thinking|tool_use)$/
    if (!allowed.test(block["type"])) return `${at}: ${block["type"]} of the ${role}`
    if (block["type"] === "text" && block["text"].trim() === "") return `${at}: an empty text`
    if (block["type"] === "tool_use" && !/^[\w-]+$/.test(block["id"])) return `${at}: the id ${block["id"]}`
    if (block["type"] === "tool_use" && (typeof block["input"] !== "object" || Array.isArray(block["input"]))) {
      return `${at}: the input is no object`
    }
    if (block["type"] === "thinking" && block["signature"] === "") return `${at}: no signature`
    if (block["cache_control"] !== undefined && /thinking/.test(block["type"])) return `${at}: thinking in the cache`
  }
  if (
    isOfUser &&
    types.lastIndexOf("tool_result") > types.findIndex((type) => type !== "tool_result") &&
    types.some((type) => type !== "tool_result")
  ) {
    return "a result after something else"
  }
  if (!isOfUser && /thinking/.test(types.at(-1)!)) return "ends with thinking"
  return undefined
}

const thinkingRefusal = ({ max_tokens, messages, thinking }: Wire): string | undefined => {
  if (thinking.type === "enabled" && (thinking.budget_tokens < 1024 || thinking.budget_tokens >= max_tokens)) {
    return "thinking.budget_tokens"
  }
  const isAfterCalls = messages.at(-1).content.some(({ type }: Wire) => type === "tool_result")
  const first = messages.at(-2)?.content[0].type
  return isAfterCalls && !/thinking/.test(first) ? `expected thinking, but found ${first}` : undefined
}
