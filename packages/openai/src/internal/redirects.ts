/** Follows the redirects of a request inside its origin. */
import type { ModelFailed } from "@spindle/core/SessionError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Url from "effect/http/Url"
import * as Failures from "./failures.ts"

const most = 5
const statuses: ReadonlySet<number> = new Set([301, 302, 307, 308])

/**
 * Sends a request and follows redirects to the same origin, always as a `POST`: a `GET` would not be the same request.
 * A redirect to another origin fails, because the key and the conversation must not be sent there.
 */
export const execute = (
  client: HttpClient.HttpClient,
  context: Failures.FailureContext,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<HttpClientResponse.HttpClientResponse, ModelFailed> => {
  const send = (
    current: HttpClientRequest.HttpClientRequest,
    left: number
  ): Effect.Effect<HttpClientResponse.HttpClientResponse, ModelFailed> =>
    Effect.flatMap(
      Effect.mapError(withoutOwnRedirects(client.execute(current)), (error) => Failures.fromRequest(context, error)),
      (response) => {
        const { location } = response.headers
        if (!statuses.has(response.status) || location === undefined) return Effect.succeed(response)
        const from = HttpClientRequest.toUrl(current)
        const to = Url.fromString(location, Option.isSome(from) ? from.value : undefined)
        if (Option.isNone(from) || Result.isFailure(to)) return Effect.succeed(response)
        const fail = (detail: string) =>
          Effect.fail(Failures.failure(context, "InvalidRequest", { detail, status: response.status }))
        if (!/^https?:$/.test(to.success.protocol)) {
          return fail(`${from.value.origin} redirects to an address that is not HTTP`)
        }
        if (to.success.origin !== from.value.origin) {
          return fail(
            `${from.value.origin} redirects to ${to.success.origin}, where the key must not go; if that is the right server, set the base URL to it`
          )
        }
        if (left === 0) return fail(`${from.value.origin} redirects more than ${most} times`)
        return send(HttpClientRequest.setUrl(current, to.success), left - 1)
      }
    )
  return send(request, most)
}

/** Keeps `fetch` from following redirects, which would send custom headers to other origins. */
const withoutOwnRedirects = <A>(
  self: Effect.Effect<A, HttpClientError.HttpClientError>
): Effect.Effect<A, HttpClientError.HttpClientError> =>
  Effect.updateContext(self, (context: Context.Context<never>) =>
    Context.add(context, FetchHttpClient.RequestInit, {
      ...Context.getOrUndefined(context, FetchHttpClient.RequestInit),
      redirect: "manual"
    })
  )
