/** The HTTP requests to one server: its session, and the headers of all of them. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as McpClientError from "effect/ai/McpClientError"
import type * as McpSchema from "effect/ai/McpSchema"
import type * as Scope from "effect/Scope"
import type * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { Headers } from "../TurnHeaders.ts"
import type { Authorization } from "./authorization.ts"
import * as Failures from "./failures.ts"
import * as HttpBody from "./httpBody.ts"
import * as Wire from "./wire.ts"

/** A client whose responses live as long as the scope. */
type Client = HttpClient.HttpClient.With<HttpClientError, Scope.Scope>

/** A server at an address. `headers` are in every request, and so are those of the authorization. */
export interface Address {
  readonly url: string
  readonly headers: Headers
  readonly authorization: Authorization
}

/** Sends requests in the session that the server has assigned. */
export class HttpLink {
  /** The revision that was agreed on. */
  version: string
  /** Completed with the reason once the server can no longer be reached. */
  readonly ended = Deferred.makeUnsafe<McpClientError.McpClientError>()
  private readonly address: Address
  private readonly client: Client
  private session: string | undefined

  constructor(address: Address, client: Client, version: string) {
    this.address = address
    this.client = client
    this.version = version
  }

  /** Sends a message, with these headers. The response lives as long as the scope. */
  post(message: McpSchema.JsonRpcMessage, headers: Headers = {}) {
    const send = (body: string) =>
      this.address.authorization.use((authorization) =>
        Effect.flatMap(
          this.execute(
            HttpClientRequest.post(this.address.url).pipe(
              HttpClientRequest.setHeaders({
                ...this.headers(authorization),
                accept: "application/json, text/event-stream",
                ...headers
              }),
              HttpClientRequest.bodyText(body, "application/json")
            )
          ),
          HttpBody.checkStatus
        )
      )
    return Wire.encode(message).pipe(
      Effect.flatMap(send),
      Effect.catchIf(
        (error) => this.session !== undefined && saysSessionEnded(error),
        () => this.endSession
      ),
      Effect.tap((response) => {
        this.session = response.headers["mcp-session-id"] ?? this.session
        return Effect.void
      })
    )
  }

  /** Sends a message that has no response. */
  notify(message: McpSchema.JsonRpcMessage): Effect.Effect<void, McpClientError.McpClientError> {
    return Effect.scoped(Effect.asVoid(this.post(message)))
  }

  /** Opens a stream of events, from this position. */
  listen({ lastEventId }: HttpBody.Position) {
    return this.address.authorization.use((authorization) =>
      Effect.flatMap(
        this.execute(
          HttpClientRequest.get(this.address.url).pipe(
            HttpClientRequest.setHeaders({
              ...this.headers(authorization),
              accept: "text/event-stream",
              ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId })
            })
          )
        ),
        // any other status says that the server offers no such stream
        (response) => (response.status === 401 ? HttpBody.checkStatus(response) : Effect.succeed(response))
      )
    )
  }

  /** Ends the session at the server, if there is one. */
  get delete() {
    return Effect.suspend(() =>
      this.session === undefined
        ? Effect.void
        : HttpClientRequest.delete(this.address.url).pipe(
            HttpClientRequest.setHeaders(this.headers(this.address.authorization.lastHeaders())),
            this.client.execute,
            Effect.scoped,
            Effect.asVoid
          )
    )
  }

  private headers(authorization: Headers): Headers {
    const { session, version } = this
    return {
      ...this.address.headers,
      ...authorization,
      "mcp-protocol-version": version,
      ...(session === undefined ? {} : { "mcp-session-id": session })
    }
  }

  private execute(request: HttpClientRequest.HttpClientRequest) {
    const { session } = this
    const sent = Effect.catch(this.client.execute(request), (cause) =>
      // some HTTP clients fail for an error status
      cause.response === undefined
        ? Effect.fail(Wire.lostError(Failures.requestDetail(cause, this.address.url), cause))
        : Effect.succeed(cause.response)
    )
    return Effect.flatMap(sent, (response) => {
      if (response.status !== 404 || session === undefined) return Effect.succeed(response)
      return this.endSession
    })
  }

  private get endSession(): Effect.Effect<never, McpClientError.McpClientError> {
    const error = Wire.failure(new McpClientError.ClosedError({ sessionExpired: true }))
    return Effect.andThen(Deferred.succeed(this.ended, error), Effect.fail(error))
  }
}

/** Returns true if a server that replies with 400 does not know the session. Many do this in place of 404. */
const saysSessionEnded = ({ reason }: McpClientError.McpClientError): boolean =>
  reason._tag === "HttpError" && reason.status === 400 && /\bsession\b/i.test(reason.description ?? "")
