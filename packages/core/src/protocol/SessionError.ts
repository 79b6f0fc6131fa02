/**
 * The typed errors of the package that more than one module can raise. Each has the ids that are known where it arises.
 * Its message is made from its fields.
 */
import * as Schema from "effect/Schema"
import { SessionId, TurnId } from "./Ids.ts"

/** No journal with this id can be opened: it does not exist, or it is archived. Trying again does not help. */
export class SessionNotFound extends Schema.TaggedError<SessionNotFound>()("SessionNotFound", {
  sessionId: SessionId,
  archived: Schema.optionalKey(Schema.Literal(true))
}) {
  override get message() {
    return this.archived === true
      ? `session ${this.sessionId} is archived; unarchive it to continue it`
      : `session ${this.sessionId} does not exist`
  }
}

/** The session has no turn with this id. Trying again does not help. */
export class TurnNotFound extends Schema.TaggedError<TurnNotFound>()("TurnNotFound", {
  sessionId: SessionId,
  turnId: TurnId
}) {
  override get message() {
    return `session ${this.sessionId} has no turn ${this.turnId}`
  }
}

/** Another writer has the session open (contract J2). Trying again helps once that writer has closed it. */
export class SessionBusy extends Schema.TaggedError<SessionBusy>()("SessionBusy", {
  sessionId: SessionId,
  holder: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return `session ${this.sessionId} is being written by ${this.holder ?? "another process"}`
  }
}

/** The journal could not be read or written (contract J5). The session refuses further work. */
export class JournalFailed extends Schema.TaggedError<JournalFailed>()("JournalFailed", {
  sessionId: SessionId,
  operation: Schema.Literals(["open", "read", "append", "flush", "list", "archive", "delete", "lease", "fence"]),
  detail: Schema.optionalKey(Schema.String),
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message() {
    return `the journal of session ${this.sessionId} failed to ${this.operation}${
      this.detail === undefined ? "" : `: ${this.detail}`
    }`
  }
}

/**
 * A store could not delete its data of a session. The journal of the session is kept as archived, so trying again
 * repeats the deletion.
 */
export class StoreFailed extends Schema.TaggedError<StoreFailed>()("StoreFailed", {
  sessionId: SessionId,
  store: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `session ${this.sessionId} was not deleted, because of its ${this.store}: ${this.detail}`
  }
}

/** `Sessions` has no agent with this name, which the session was created with or was to be created with. */
export class AgentNotFound extends Schema.TaggedError<AgentNotFound>()("AgentNotFound", {
  sessionId: SessionId,
  agent: Schema.String
}) {
  override get message() {
    return `session ${this.sessionId} needs the agent ${this.agent}, which is not hosted here`
  }
}

/** The session does not run the agent that the caller asked for. */
export class AgentMismatch extends Schema.TaggedError<AgentMismatch>()("AgentMismatch", {
  sessionId: SessionId,
  requested: Schema.String,
  actual: Schema.String
}) {
  override get message() {
    return `session ${this.sessionId} runs the agent ${this.actual}, not ${this.requested}`
  }
}

/** The session is closed or has failed, and takes no more submissions. `failure` is the reason if it failed. */
export class SessionClosed extends Schema.TaggedError<SessionClosed>()("SessionClosed", {
  sessionId: SessionId,
  failure: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const { failure, sessionId } = this
    return `session ${sessionId} ${failure === undefined ? "is closed" : `has failed: ${failure}`}`
  }
}

const compactionProblems = {
  GainTooSmall: "it would free too little",
  EmptySummary: "the model wrote no summary",
  DoesNotFit: "not even a part of it fits into the model's context window",
  Denied: "a hook denied it"
} as const

/**
 * A history was not compacted and is unchanged. Trying again helps only after the conversation has grown. `detail` is
 * the reason of the hook that denied it.
 */
export class CompactionFailed extends Schema.TaggedError<CompactionFailed>()("CompactionFailed", {
  sessionId: SessionId,
  turnId: TurnId,
  reason: Schema.Literals(["GainTooSmall", "EmptySummary", "DoesNotFit", "Denied"]),
  detail: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const detail = this.detail === undefined ? "" : `: ${this.detail}`
    return `cannot compact the conversation: ${compactionProblems[this.reason]}${detail}`
  }
}

/**
 * The kind of failure of a model request. `Disconnected`, `IdleTimeout`, `ServerError`, `RateLimited` and `Connection`
 * may pass by themselves; the others last until a person changes something.
 */
export const ModelFailureKind = Schema.Literals([
  "Connection",
  "Disconnected",
  "IdleTimeout",
  "ServerError",
  "RateLimited",
  "Overloaded",
  "QuotaExceeded",
  "Unauthorized",
  "ContextWindowExceeded",
  "InvalidRequest",
  "InvalidResponse",
  "Incomplete"
]).annotate({ identifier: "ModelFailureKind" })
/** @see {@link ModelFailureKind} */
export type ModelFailureKind = typeof ModelFailureKind.Type

const retryable: ReadonlySet<ModelFailureKind> = new Set([
  "Connection",
  "Disconnected",
  "IdleTimeout",
  "ServerError",
  "RateLimited"
])

/**
 * A model request failed. `detail` is the provider's message, `status` its HTTP status, `retryAfterMillis` the delay
 * that it asked for.
 */
export class ModelFailed extends Schema.TaggedError<ModelFailed>()("ModelFailed", {
  kind: ModelFailureKind,
  provider: Schema.String,
  model: Schema.String,
  detail: Schema.optionalKey(Schema.String),
  status: Schema.optionalKey(Schema.Finite),
  retryAfterMillis: Schema.optionalKey(Schema.Finite),
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message() {
    const text = this.detail ?? `${this.provider} ${this.model}: ${this.kind}`
    // the message of a server may contain its status already
    if (this.status === undefined || new RegExp(`\\b${this.status}\\b`).test(text)) return text
    return `${text} (HTTP status ${this.status})`
  }
  /** True if the same request may succeed later. */
  get isRetryable(): boolean {
    return retryable.has(this.kind)
  }
}
