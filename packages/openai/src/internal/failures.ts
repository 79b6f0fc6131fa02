/**
 * Converts every failure of a request to a `ModelFailed` of core.
 *
 * No failure contains a secret: each text passes `scrub`, and causes are copied without their request.
 */
import { ModelFailed, type ModelFailureKind } from "@spindle/core/SessionError"
import * as Duration from "effect/Duration"
import type * as HttpClientError from "effect/http/HttpClientError"
import { isObject, jsonText, parse, shorten, textOf } from "./json.ts"

/** The context of all failures of one model. `secrets` are the texts that must not appear in one. */
export interface FailureContext {
  readonly provider: string
  readonly model: string
  readonly secrets: ReadonlyArray<string>
}

/** An error in the words of the provider, from a body or an event. `param` names the part of the request at fault. */
export interface ProviderError {
  readonly code: string | undefined
  readonly type: string | undefined
  readonly message: string | undefined
  readonly param?: string | undefined
}

interface Details {
  readonly detail: string
  readonly status?: number
  readonly retryAfterMillis?: number | undefined
  readonly cause?: unknown
}

const maxDetailCharacters = 500

/** The longest delay before a retry. A request for which the provider demands more is not retried. */
const maxRetryAfterMillis = 5 * 60_000
/** The longest delay that is reported: a hundred years. */
const longestMillis = 3_155_760_000_000

/** Makes a failure of this kind. Its texts are scrubbed and shortened. */
export const failure = (context: FailureContext, kind: ModelFailureKind, details: Details): ModelFailed =>
  new ModelFailed({
    kind,
    provider: context.provider,
    model: context.model,
    detail: toPlainLine(scrub(context, details.detail)),
    ...(details.status === undefined ? {} : { status: details.status }),
    ...(details.retryAfterMillis === undefined ? {} : { retryAfterMillis: details.retryAfterMillis }),
    ...(details.cause === undefined ? {} : { cause: copyOf(context, details.cause) })
  })

/** Replaces the secrets of a request in a text. */
export const scrub = ({ secrets }: FailureContext, text: string): string =>
  secrets.reduce((done, secret) => (secret === "" ? done : done.replaceAll(secret, "<redacted>")), text)

/** Converts a text to one short line without control characters, which a terminal would obey. */
export const toPlainLine = (text: string): string =>
  shorten(
    text
      .toWellFormed()
      // oxlint-disable-next-line no-control-regex
      .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, " ")
      .trim(),
    maxDetailCharacters
  )

const copyOf = (context: FailureContext, cause: unknown): Error => {
  const copy = new Error(toPlainLine(scrub(context, messageOf(cause))))
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

/** Makes the failure of a request without a response: no connection, or a request that could not be made at all. */
export const fromRequest = (context: FailureContext, error: HttpClientError.HttpClientError): ModelFailed => {
  const { reason } = error
  const why = messageOf(reason.cause) || reason._tag
  const cause = reason.cause ?? why
  if (reason._tag === "InvalidUrlError" || reason._tag === "EncodeError") {
    return failure(context, "InvalidRequest", { detail: why, cause })
  }
  return failure(context, "Connection", { detail: `cannot reach ${originOf(reason.request.url)}: ${why}`, cause })
}

/** Returns the origin of an address, without the rest, which may contain a key. */
const originOf = (url: string): string => {
  const found = /^(https?:\/\/)(?:[^/?#]*@)?([^/?#]+)/i.exec(url)
  return found === null ? "the model" : `${found[1]}${found[2]}`
}

/** Makes the failure of a response whose stream broke. */
export const fromStream = (context: FailureContext, error: HttpClientError.HttpClientError): ModelFailed => {
  const { cause } = error.reason
  const detail = `the connection was lost before the response was complete: ${messageOf(cause ?? error.reason._tag)}`
  return failure(context, "Disconnected", { detail, cause: cause ?? detail })
}

/** Makes the failure of a server that was silent for too long. */
export const idle = (context: FailureContext, millis: number): ModelFailed =>
  failure(context, "IdleTimeout", { detail: `the model sent nothing for ${millis} ms` })

/** The parts of a response that a failure needs. */
export interface FailedResponse {
  readonly status: number
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: string
  readonly nowMillis: number
}

/** Makes the failure of a response that is not a stream: an error by its status, or a success of another kind. */
export const fromResponse = (context: FailureContext, response: FailedResponse): ModelFailed => {
  const { body, headers, nowMillis, status } = response
  const error = errorOf(body)
  const detail = error.message ?? (body.trim() === "" ? `HTTP status ${status}` : visibleText(body))
  const delay = retryAfterMillis(headers, nowMillis) ?? delayInText(detail)
  return delayedFailure(context, kindOfStatus(status, error), { detail, status, retryAfterMillis: delay })
}

/** Makes the failure that a stream reports: `response.failed`, or an `error` event. */
export const fromEvent = (context: FailureContext, error: ProviderError): ModelFailed => {
  const detail = error.message ?? error.code ?? "the response failed"
  return delayedFailure(context, kindOfCode(error) ?? "ServerError", { detail, retryAfterMillis: delayInText(detail) })
}

/** Makes a failure that is not retried if the provider demands too long a delay. It then gives the delay. */
const delayedFailure = (context: FailureContext, kind: ModelFailureKind, details: Details): ModelFailed => {
  const { detail, retryAfterMillis: delay = 0 } = details
  const final = finalKinds[kind]
  if (delay <= maxRetryAfterMillis || final === undefined) return failure(context, kind, details)
  const wait = Duration.format(Duration.millis(delay))
  return failure(context, final, { ...details, detail: `the provider asks to wait ${wait}: ${detail}` })
}

/** The kind that replaces the kind of a retryable failure if its delay is too long. */
const finalKinds: { readonly [kind in ModelFailureKind]?: ModelFailureKind } = {
  RateLimited: "QuotaExceeded",
  ServerError: "Overloaded"
}

/** Reads the error in a body of any kind: JSON, or an event with JSON as its data. */
export const errorOf = (body: string): ProviderError => {
  const isEvent = body.startsWith("data:") || body.startsWith("event:")
  const data = isEvent ? body.split("\n").find((line) => line.startsWith("data:")) : undefined
  return providerErrorOf(parse(data?.slice("data:".length) ?? body))
}

/** Returns the text that a browser would show of a page. Returns any other text unchanged. */
const visibleText = (body: string): string => {
  if (!/^\s*(<!--|<!doctype html|<html|<head|<body)/i.test(body)) return body
  const text = body
    .slice(0, maxPageCharacters)
    .replace(/<(script|style)\b[^]*?<\/\1\s*>|<!--[^]*?-->|<[^>]*>/gi, " ")
    .replace(/&(lt|gt|quot|#39|nbsp);/g, (_, name: string) => entities[name] ?? " ")
    .replaceAll("&amp;", "&")
  return text.trim() === "" ? body : text
}

/** The part of a page that is read. It says enough and is quick to search. */
const maxPageCharacters = 16_384

const entities: { readonly [name: string]: string } = { lt: "<", gt: ">", quot: '"', "#39": "'" }

/**
 * Reads an error: `{ error: { code, type, message, param } }`, `{ code, message }`, `{ error: "..." }`,
 * `{ detail: "..." }`, `{ title: "..." }`, or a text. Some servers send an array with one of them.
 */
export const providerErrorOf = (body: unknown): ProviderError => {
  if (Array.isArray(body) && isObject(body[0])) return providerErrorOf(body[0])
  if (!isObject(body)) return { code: undefined, type: undefined, message: textOf(body) }
  const { detail, error, title } = body
  // some gateways wrap the error of their server
  if (isObject(error) && isObject(error["error"])) return providerErrorOf(error)
  const from = isObject(error) ? error : body
  const message = isObject(from["message"]) ? jsonText(from["message"]) : textOf(from["message"])
  return {
    code: typeof from["code"] === "number" ? String(from["code"]) : textOf(from["code"]),
    type: textOf(from["type"]),
    message: message ?? textOf(error) ?? textOf(detail) ?? textOf(title),
    param: textOf(from["param"])
  }
}

const kinds: ReadonlyMap<string, ModelFailureKind> = new Map([
  ["context_length_exceeded", "ContextWindowExceeded"],
  ["exceed_context_size_error", "ContextWindowExceeded"],
  ["insufficient_quota", "QuotaExceeded"],
  ["usage_limit_reached", "QuotaExceeded"],
  ["usage_not_included", "QuotaExceeded"],
  ["billing_hard_limit_reached", "QuotaExceeded"],
  ["billing_error", "QuotaExceeded"],
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

/** The messages with which servers report, without a code, that a request is too long. */
const tooLong =
  /\bmaximum context length\b|\bexceed(s|ed|ing)?\b.{0,60}\bcontext (length|size|window)\b|\bcontext (length|size|window) exceeded\b|\bprompt is too long\b/i

const kindOfCode = ({ code, message, type }: ProviderError): ModelFailureKind | undefined => {
  const byMessage = message !== undefined && tooLong.test(message) ? "ContextWindowExceeded" : undefined
  for (const name of [code, type]) {
    if (name === undefined) continue
    const known = kinds.get(name) ?? byMessage
    if (known !== undefined) return known
    // some servers send an HTTP status as the code
    if (/^[45]\d\d$/.test(name)) {
      return kinds.get(type ?? "") ?? kindOfStatus(Number(name), { message, code: undefined, type: undefined })
    }
    if (/^(invalid|unsupported|image|empty_image|failed_to_download|unknown_parameter|missing)/.test(name)) {
      return "InvalidRequest"
    }
  }
  return byMessage
}

const kindOfStatus = (status: number, error: ProviderError): ModelFailureKind => {
  // an error with the status of a success: only the body has its kind
  if (status < 300) return kindOfCode(error) ?? "InvalidResponse"
  if (status === 401 || status === 403) return "Unauthorized"
  const byCode = kindOfCode(error)
  if (status === 429) return byCode === "QuotaExceeded" || byCode === "Overloaded" ? byCode : "RateLimited"
  if (status === 503 && /overload/i.test(error.message ?? "")) return "Overloaded"
  if (status >= 500) return byCode === "Overloaded" ? byCode : "ServerError"
  // a timeout or a conflict inside the provider may be temporary
  if (status === 408 || status === 409) return "ServerError"
  return byCode === "ContextWindowExceeded" || byCode === "QuotaExceeded" ? byCode : "InvalidRequest"
}

/** Returns the delay that the headers of a response demand, in milliseconds, at least 0. */
export const retryAfterMillis = (
  headers: { readonly [name: string]: string | undefined },
  nowMillis: number
): number | undefined => {
  const millis = numberOf(headers["retry-after-ms"])
  if (millis !== undefined) return millis
  const after = headers["retry-after"]
  const seconds = numberOf(after)
  if (seconds !== undefined) return Math.min(seconds * 1000, longestMillis)
  const date = after === undefined ? Number.NaN : Date.parse(after)
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMillis)
}

const numberOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\s*\d+(\.\d+)?\s*$/.test(text) ? Math.min(Number(text), longestMillis) : undefined

const units: { readonly [unit: string]: number } = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const delayPattern = /try again in\s+((?:\d+(?:\.\d+)?\s*(?:milli|ms|[smhd])[a-z]*\s*)+)/i

/** Returns the delay that a message demands (`try again in 1m2.5s`), in milliseconds. */
export const delayInText = (message: string): number | undefined => {
  const found = delayPattern.exec(message)?.[1]
  if (found === undefined) return undefined
  let millis = 0
  for (const [, amount, unit = ""] of found.matchAll(/(\d+(?:\.\d+)?)\s*(milli|ms|[smhd])[a-z]*/gi)) {
    const name = unit.toLowerCase()
    millis += Number(amount) * (units[name === "milli" ? "ms" : name] ?? 0)
  }
  return Math.min(Math.round(millis), longestMillis)
}
