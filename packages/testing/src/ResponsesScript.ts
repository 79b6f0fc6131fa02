/**
 * The script of a {@link ResponsesServer}: plain JSON that lists the responses to the requests to a model.
 *
 * A request takes the first turn that is not used up and whose `match` fits it, and otherwise `fallback`. The response
 * of a turn is either an HTTP error (`status`) or a stream of events between `response.created` and
 * `response.completed`. The format contains no code, so a script can be kept in a file and read by any program.
 */
import type * as Duration from "effect/Duration"

/** The requests that may take a turn. All given fields must match; each is the source of a regular expression. */
export interface ScriptMatch {
  /** Must match the last text of the user that is not scaffolding. */
  readonly lastUser?: string | undefined
  /** Must match the request's body, as text. */
  readonly body?: string | undefined
  /** Must not match the request's body. */
  readonly notBody?: string | undefined
  /** Must match the headers, by lower-case name. A missing header is an empty text. */
  readonly header?: { readonly [name: string]: string } | undefined
}

/** Tokens that `response.completed` reports. Defaults: 100 in, none of them cached, 10 out, none of them reasoning. */
export interface ScriptUsage {
  readonly input?: number | undefined
  readonly cached?: number | undefined
  readonly output?: number | undefined
  readonly reasoning?: number | undefined
}

/**
 * The pieces of a text: it is cut into `chunks` deltas of equal size (default 1), with a pause between them (default
 * 0).
 */
export interface ScriptPace {
  readonly chunks?: number | undefined
  readonly every?: Duration.Input | undefined
}

/**
 * An assistant message. `times` sends the complete text that often instead of cutting it. `phase` is a field of the
 * item. In each delta `${NOW_US}` becomes the time of writing, in microseconds since 1970.
 */
export interface TextEvent extends ScriptPace {
  readonly text: string
  readonly times?: number | undefined
  readonly phase?: string | undefined
}

/** A reasoning item with a summary and encrypted content. */
export interface ReasoningEvent extends ScriptPace {
  readonly reasoning: string
}

/**
 * A call of a function. `args` are sent as JSON; a text is sent as it is, so that it can be invalid. In a text inside
 * them that ends in `${output:REGEX}`, this end becomes group 1 of the last match of REGEX in the tool outputs of the
 * request.
 */
export interface CallEvent {
  readonly call: string
  readonly args?: unknown
  readonly callId?: string | undefined
  readonly namespace?: string | undefined
}

/** A call of a custom (freeform) tool. */
export interface CustomCallEvent {
  readonly custom: string
  readonly input: string
  readonly callId?: string | undefined
}

/** One step of a stream. Its key decides its kind. Durations are real time; a number is in milliseconds. */
export type ScriptEvent =
  | TextEvent
  | ReasoningEvent
  | CallEvent
  | CustomCallEvent
  /** Waits. */
  | { readonly delay: Duration.Input }
  /** Waits until the gate is opened; an open gate stays open. */
  | { readonly gate: string }
  /** Sends this text as deltas of one message until the client goes away, `every` apart (default 20 ms). */
  | { readonly endless: string; readonly every?: Duration.Input | undefined }
  /** Sends nothing more and keeps the connection open. */
  | { readonly hang: true }
  /** Destroys the connection after `after` (default 5 ms). */
  | { readonly drop: true; readonly after?: Duration.Input | undefined }
  /** Ends with `response.failed`. */
  | { readonly fail: { readonly code: string; readonly message: string } }
  /** Ends with `response.incomplete` for this reason. */
  | { readonly incomplete: string }
  /** Sends this event as it is; its sequence number is added. */
  | { readonly raw: { readonly type: string; readonly [key: string]: unknown } }

/** The response to one request. */
export interface ScriptTurn {
  readonly match?: ScriptMatch | undefined
  /** The number of requests that may take the turn, or `true` for any number. Default 1. */
  readonly repeat?: true | number | undefined
  /** The time until the response begins. Default 0. */
  readonly before?: Duration.Input | undefined
  /** Responds with this HTTP status instead of a stream. */
  readonly status?: number | undefined
  /** Headers of the response, of either kind. */
  readonly headers?: { readonly [name: string]: string } | undefined
  /** The JSON body that goes with `status`. Default: an error named after the status. */
  readonly body?: unknown
  /** The steps of the stream. Default none. */
  readonly events?: ReadonlyArray<ScriptEvent> | undefined
  readonly usage?: ScriptUsage | undefined
  /** The field `end_turn` of `response.completed`. */
  readonly endTurn?: boolean | undefined
}

/** The responses of a server. */
export interface Script {
  readonly turns?: ReadonlyArray<ScriptTurn> | undefined
  /** The response when no turn is left. Default: the text `ok`. */
  readonly fallback?: ScriptTurn | undefined
  /** The body of `GET /models`. Default: one model, `mock-model`. */
  readonly models?: unknown
  /** The body of `POST /responses/compact`. Default: one user message. */
  readonly compact?: unknown
}
