/**
 * What went wrong, in the words of core: every failure of a request becomes a `ModelFailed` here.
 *
 * Nothing secret may get into one: each text passes `scrub`, and causes are copied without the request they came with.
 */
import { ModelFailed, type ModelFailureKind } from "@spindle/core/SessionError"
import type * as HttpClientError from "effect/http/HttpClientError"

/** What all failures of one model have in common. `secrets` are the texts that must not be told. */
export interface FailureContext {
  readonly provider: string
  readonly model: string
  readonly secrets: ReadonlyArray<string>
}

/** What a provider says about an error, in a body or in an event. */
export interface ProviderError {
  readonly code: string | undefined
  readonly type: string | undefined
  readonly message: string | undefined
}

interface Details {
  readonly detail: string
  readonly status?: number
  readonly retryAfterMillis?: number | undefined
  readonly cause?: unknown
}

const maxDetailCharacters = 500

/** A failure of this kind; its texts are scrubbed and shortened. */
export const failure = (context: FailureContext, kind: ModelFailureKind, details: Details): ModelFailed =>
  new ModelFailed({
    kind,
    provider: context.provider,
    model: context.model,
    detail: shorten(scrub(context, details.detail)),
    ...(details.status === undefined ? {} : { status: details.status }),
    ...(details.retryAfterMillis === undefined ? {} : { retryAfterMillis: details.retryAfterMillis }),
    ...(details.cause === undefined ? {} : { cause: copyOf(context, details.cause) })
  })

const scrub = ({ secrets }: FailureContext, text: string): string =>
  secrets.reduce((done, secret) => (secret === "" ? done : done.replaceAll(secret, "<redacted>")), text)

const shorten = (text: string): string => {
  const plain = text.replace(/\s+/g, " ").trim()
  return plain.length <= maxDetailCharacters ? plain : `${plain.slice(0, maxDetailCharacters)}…`
}

const copyOf = (context: FailureContext, cause: unknown): Error => {
  const copy = new Error(shorten(scrub(context, messageOf(cause))))
  if (cause instanceof Error) copy.name = cause.name
  return copy
}

const messageOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const code = (cause as { readonly code?: unknown }).code
  const inner = cause instanceof AggregateError ? cause.errors[0] : cause.cause
  const own = cause.message === "" && typeof code === "string" ? code : cause.message
  const nested = inner === undefined ? "" : messageOf(inner)
  return [own, nested].filter((text) => text !== "").join(": ")
}

/** The request did not get an answer: no connection, or a request that could not be made at all. */
export const fromRequest = (context: FailureContext, error: HttpClientError.HttpClientError): ModelFailed => {
  const { reason } = error
  const why = messageOf(reason.cause) || reason._tag
  const cause = reason.cause ?? why
  if (reason._tag === "InvalidUrlError" || reason._tag === "EncodeError") {
    return failure(context, "InvalidRequest", { detail: why, cause })
  }
  return failure(context, "Connection", { detail: `cannot reach ${originOf(reason.request.url)}: ${why}`, cause })
}

/** Where a request went: no more of its address, which may hold a key. */
const originOf = (url: string): string => {
  const found = /^(https?:\/\/)(?:[^/?#]*@)?([^/?#]+)/i.exec(url)
  return found === null ? "the model" : `${found[1]}${found[2]}`
}

/** The stream of the answer broke. */
export const fromStream = (context: FailureContext, error: HttpClientError.HttpClientError): ModelFailed => {
  const { cause } = error.reason
  const detail = `the connection was lost before the response was complete: ${messageOf(cause ?? error.reason._tag)}`
  return failure(context, "Disconnected", { detail, cause: cause ?? detail })
}

/** Nothing came for too long. */
export const idle = (context: FailureContext, millis: number): ModelFailed =>
  failure(context, "IdleTimeout", { detail: `the model sent nothing for ${millis} ms` })

/** An answer that is no stream: an error by its status, or a success of another kind. */
export const fromAnswer = (
  context: FailureContext,
  answer: {
    readonly status: number
    readonly headers: { readonly [name: string]: string | undefined }
    readonly body: string
    readonly nowMillis: number
  }
): ModelFailed => {
  const { body, status } = answer
  const error = providerErrorOf(parse(body))
  return failure(context, kindOfStatus(status, error), {
    detail: error.message ?? (body.trim() === "" ? `HTTP status ${status}` : body),
    status,
    retryAfterMillis: retryAfterMillis(answer.headers, answer.nowMillis) ?? delayInText(error.message ?? body)
  })
}

/** A failure that came inside a stream: `response.failed`, or an `error` event. */
export const fromEvent = (context: FailureContext, error: ProviderError): ModelFailed =>
  failure(context, kindOfCode(error) ?? "ServerError", {
    detail: error.message ?? error.code ?? "the response failed",
    retryAfterMillis: delayInText(error.message ?? "")
  })

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value.trim() !== "" ? value : undefined

/**
 * Reads `{ error: { code, type, message } }`, `{ code, message }`, `{ error: "..." }`, `{ detail: "..." }`, or a text.
 */
export const providerErrorOf = (body: unknown): ProviderError => {
  if (typeof body !== "object" || body === null) return { code: undefined, type: undefined, message: textOf(body) }
  const outer = body as { readonly [key: string]: unknown }
  const { error } = outer
  const from = (typeof error === "object" && error !== null ? error : outer) as { readonly [key: string]: unknown }
  return {
    code: textOf(from["code"]),
    type: textOf(from["type"]),
    message: textOf(from["message"]) ?? textOf(error) ?? textOf(outer["detail"])
  }
}

const kinds: ReadonlyMap<string, ModelFailureKind> = new Map([
  ["context_length_exceeded", "ContextWindowExceeded"],
  ["insufficient_quota", "QuotaExceeded"],
  ["usage_limit_reached", "QuotaExceeded"],
  ["usage_not_included", "QuotaExceeded"],
  ["billing_hard_limit_reached", "QuotaExceeded"],
  ["rate_limit_exceeded", "RateLimited"],
  ["rate_limit_error", "RateLimited"],
  ["too_many_requests", "RateLimited"],
  ["server_is_overloaded", "Overloaded"],
  ["slow_down", "Overloaded"],
  ["overloaded_error", "Overloaded"],
  ["server_error", "ServerError"],
  ["internal_server_error", "ServerError"],
  ["invalid_api_key", "Unauthorized"],
  ["authentication_error", "Unauthorized"],
  ["permission_error", "Unauthorized"],
  ["model_not_found", "InvalidRequest"]
])

const kindOfCode = ({ code, type }: ProviderError): ModelFailureKind | undefined => {
  for (const name of [code, type]) {
    if (name === undefined) continue
    const known = kinds.get(name)
    if (known !== undefined) return known
    if (/^(invalid|unsupported|image|empty_image|failed_to_download|unknown_parameter|missing)/.test(name)) {
      return "InvalidRequest"
    }
  }
  return undefined
}

const kindOfStatus = (status: number, error: ProviderError): ModelFailureKind => {
  if (status < 300) return "InvalidResponse"
  if (status === 401 || status === 403) return "Unauthorized"
  const byCode = kindOfCode(error)
  if (status === 429) return byCode === "QuotaExceeded" || byCode === "Overloaded" ? byCode : "RateLimited"
  if (status === 503 && /overload/i.test(error.message ?? "")) return "Overloaded"
  if (status >= 500) return byCode === "Overloaded" ? byCode : "ServerError"
  // a timeout or a conflict of the provider's own, which may pass
  if (status === 408 || status === 409) return "ServerError"
  return byCode === "ContextWindowExceeded" || byCode === "QuotaExceeded" ? byCode : "InvalidRequest"
}

/** The delay that an answer's headers ask for, in milliseconds, at least 0. */
export const retryAfterMillis = (
  headers: { readonly [name: string]: string | undefined },
  nowMillis: number
): number | undefined => {
  const millis = numberOf(headers["retry-after-ms"])
  if (millis !== undefined) return millis
  const after = headers["retry-after"]
  const seconds = numberOf(after)
  if (seconds !== undefined) return seconds * 1000
  const date = after === undefined ? Number.NaN : Date.parse(after)
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMillis)
}

const numberOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\s*\d+(\.\d+)?\s*$/.test(text) ? Number(text) : undefined

const units: { readonly [unit: string]: number } = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const delayPattern = /try again in\s+((?:\d+(?:\.\d+)?\s*(?:milli|ms|[smhd])[a-z]*\s*)+)/i

/** The delay that a message asks for (`try again in 1m2.5s`), in milliseconds. */
export const delayInText = (message: string): number | undefined => {
  const found = delayPattern.exec(message)?.[1]
  if (found === undefined) return undefined
  let millis = 0
  for (const [, amount, unit = ""] of found.matchAll(/(\d+(?:\.\d+)?)\s*(milli|ms|[smhd])[a-z]*/gi)) {
    const name = unit.toLowerCase()
    millis += Number(amount) * (units[name === "milli" ? "ms" : name] ?? 0)
  }
  return Math.round(millis)
}
