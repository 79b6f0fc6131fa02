/** Chooses the turn of a script for a request. */
import type { CallEvent, Script, ScriptMatch, ScriptTurn } from "../../ResponsesScript.ts"

/** A request that was read. `body` is the parsed JSON, or the text if it is not JSON. */
export interface ReadRequest {
  readonly headers: { readonly [name: string]: string | ReadonlyArray<string> | undefined }
  readonly body: unknown
  readonly text: string
}

/** The turns of a script, with the remaining uses of each. */
export interface Turns {
  readonly take: (request: ReadRequest) => ScriptTurn
}

/** Counts the uses of a script's turns. */
export const make = (script: Script): Turns => {
  const turns = (script.turns ?? []).map((turn) => ({
    turn,
    left: turn.repeat === true ? Number.POSITIVE_INFINITY : (turn.repeat ?? 1)
  }))
  const fallback: ScriptTurn = script.fallback ?? { events: [{ text: "ok" }] }
  return {
    take: (request) => {
      const found = turns.find((one) => one.left > 0 && isMatch(one.turn.match, request))
      if (found === undefined) return fallback
      found.left--
      return found.turn
    }
  }
}

interface WireItem {
  readonly type?: string
  readonly role?: string
  readonly content?: ReadonlyArray<{ readonly text?: string }> | string
  readonly output?: unknown
}

const itemsOf = (body: unknown): ReadonlyArray<WireItem> => {
  const input = (body as { readonly input?: unknown } | undefined)?.input
  return Array.isArray(input) ? input : []
}

/** Returns the last text of the user in a request's body, without scaffolding. */
export const lastUserText = (body: unknown): string => {
  for (const item of itemsOf(body).toReversed()) {
    if (item.type !== "message" || item.role !== "user") continue
    const text =
      typeof item.content === "string" ? item.content : (item.content ?? []).map((part) => part.text ?? "").join("\n")
    if (!/^\s*<(environment_context|user_instructions)/.test(text)) return text
  }
  const input = (body as { readonly input?: unknown } | undefined)?.input
  return typeof input === "string" ? input : ""
}

const isMatch = (match: ScriptMatch | undefined, request: ReadRequest): boolean => {
  if (match === undefined) return true
  if (match.lastUser !== undefined && !new RegExp(match.lastUser).test(lastUserText(request.body))) return false
  if (match.body !== undefined && !new RegExp(match.body).test(request.text)) return false
  if (match.notBody !== undefined && new RegExp(match.notBody).test(request.text)) return false
  return Object.entries(match.header ?? {}).every(([name, source]) =>
    new RegExp(source).test(String(request.headers[name] ?? ""))
  )
}

/** Returns the event with each `${output:REGEX}` of its arguments replaced. */
export const fillArguments = (event: CallEvent, body: unknown): CallEvent => {
  if (!JSON.stringify(event.args ?? "").includes("${output:")) return event
  const outputs = itemsOf(body)
    .filter((item) => item.type?.endsWith("_output"))
    .map((item) => (typeof item.output === "string" ? item.output : JSON.stringify(item.output)))
    .join("\n")
  const fill = (value: unknown): unknown => {
    if (typeof value === "string") {
      return value.replace(
        /\$\{output:(.*?)\}$/,
        (_, source: string) => [...outputs.matchAll(new RegExp(source, "g"))].at(-1)?.[1] ?? "no-match"
      )
    }
    if (Array.isArray(value)) return value.map(fill)
    if (typeof value !== "object" || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, fill(one)]))
  }
  return { ...event, args: fill(event.args) }
}
