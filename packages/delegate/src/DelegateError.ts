/** The typed errors of delegates. Each carries the path from the root to the session that it is about. */
import { SessionId } from "@spindle/core/Ids"
import { AbortReason } from "@spindle/core/Outcome"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

const Path = Schema.Array(SessionId)

/**
 * A delegate was not started, and nothing of it is left: a limit of the tree is reached, or the turn that asked is
 * stopping. `at` is the session that has the limit.
 */
export class DelegateRefused extends Schema.TaggedError<DelegateRefused>()("DelegateRefused", {
  path: Path,
  limit: Schema.Literals(["depth", "concurrent", "lifetime", "tokens", "time", "aborted"]),
  allowed: Schema.optionalKey(Schema.Finite),
  at: SessionId
}) {
  override get message() {
    const { allowed, at, limit } = this
    switch (limit) {
      case "depth":
        return `cannot start a delegate at this depth: session ${at} allows ${allowed} levels below it; do the task yourself`
      case "concurrent":
        return `cannot start more work: session ${at} allows ${allowed} delegates at a time; wait for one to finish, or close one`
      case "lifetime":
        return `cannot start a delegate: session ${at} allows ${allowed} in all, and all have been started`
      case "tokens":
        return `the ${allowed} tokens that session ${at} allows its delegates are spent`
      case "time":
        return `cannot start a delegate: the time that session ${at} allows its delegates is over`
      case "aborted":
        return `cannot start a delegate: the turn of session ${at} is stopping`
    }
  }
}

/** The delegate has ended and takes no submissions. Its session can be resumed as a new delegate. */
export class DelegateClosed extends Schema.TaggedError<DelegateClosed>()("DelegateClosed", {
  path: Path,
  delegateId: SessionId
}) {
  override get message() {
    return `delegate ${this.delegateId} has ended and takes no more input`
  }
}

/** The events of a delegate have one reader at a time, and another reader is reading them. */
export class BridgeInUse extends Schema.TaggedError<BridgeInUse>()("BridgeInUse", { delegateId: SessionId }) {
  override get message() {
    return `cannot read the events of delegate ${this.delegateId}: they have one reader at a time, and it is still reading`
  }
}

/** A one-shot delegate was stopped, or its turn failed. `partial` is its last text until then. */
export class DelegateFailed extends Schema.TaggedError<DelegateFailed>()("DelegateFailed", {
  path: Path,
  delegateId: SessionId,
  reason: Schema.Union([
    Schema.TaggedStruct("Aborted", { reason: AbortReason }),
    /** Its session rejected the input, with the tag of the `Rejection`. No turn ran. */
    Schema.TaggedStruct("Refused", { rejection: Schema.String }),
    Schema.TaggedStruct("Errored", { tag: Schema.String, detail: Schema.String }),
    /** Its answer could not be decoded with the schema of the output. */
    Schema.TaggedStruct("InvalidAnswer", { detail: Schema.String })
  ]),
  partial: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const { delegateId, reason } = this
    if (reason._tag === "Aborted") return `delegate ${delegateId} was stopped (${reason.reason})`
    if (reason._tag === "Refused") return `delegate ${delegateId} rejected its input: ${reason.rejection}`
    return reason._tag === "Errored"
      ? `delegate ${delegateId} failed: ${reason.detail}`
      : `the answer of delegate ${delegateId} does not have the requested form: ${reason.detail}`
  }
}

/** No delegate below the session that asked has this id. A session controls its descendants only. */
export class DelegateNotFound extends Schema.TaggedError<DelegateNotFound>()("DelegateNotFound", {
  path: Path,
  delegateId: SessionId
}) {
  override get message() {
    return `there is no delegate ${this.delegateId} below session ${this.path.at(-1)}`
  }
}

/** A model asked for something that its agents cannot do. `detail` is the text that it reads. */
export class SubAgentFailed extends Schema.TaggedError<SubAgentFailed>()("SubAgentFailed", {
  path: Path,
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }

  /** Encodes the error as plain text, which a model reads instead of an object. */
  static readonly asText = Schema.String.pipe(
    Schema.decodeTo(SubAgentFailed, {
      decode: SchemaGetter.transform((detail) => ({ _tag: "SubAgentFailed" as const, path: [], detail })),
      encode: SchemaGetter.transform(({ detail }) => detail)
    })
  )
}
