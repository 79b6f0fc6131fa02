/**
 * The typed failures of delegates. Each carries the path from the root to the session that it is about.
 */
import { SessionId } from "@spindle/core/Ids"
import { AbortReason } from "@spindle/core/Outcome"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

const Path = Schema.Array(SessionId)

/**
 * No delegate was started, and nothing is left of it: a limit of the tree stands against it, or the turn that asked is
 * stopping. `at` is the session whose limit it is.
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
        return `no delegate may be started at this depth: session ${at} allows ${allowed} levels below it; solve the task alone`
      case "concurrent":
        return `session ${at} allows ${allowed} delegates at a time: wait for one to end, or close one`
      case "lifetime":
        return `session ${at} allows ${allowed} delegates in all, and they have been started`
      case "tokens":
        return `the ${allowed} tokens that session ${at} allows its delegates are spent`
      case "time":
        return `the time that session ${at} has for its delegates is over`
      case "aborted":
        return `the turn of session ${at} is stopping: it starts no delegate`
    }
  }
}

/** The delegate has ended; it takes nothing any more. `resume` of its session may help. */
export class DelegateClosed extends Schema.TaggedError<DelegateClosed>()("DelegateClosed", {
  path: Path,
  delegateId: SessionId
}) {
  override get message() {
    return `delegate ${this.delegateId} has ended and takes nothing any more`
  }
}

/** The events of a delegate have one reader at a time, and another is reading. */
export class BridgeInUse extends Schema.TaggedError<BridgeInUse>()("BridgeInUse", { delegateId: SessionId }) {
  override get message() {
    return `the events of delegate ${this.delegateId} are being read already: they have one reader at a time`
  }
}

/** A one-shot delegate was stopped, or its turn failed. `partial` is what it had said by then. */
export class DelegateFailed extends Schema.TaggedError<DelegateFailed>()("DelegateFailed", {
  path: Path,
  delegateId: SessionId,
  reason: Schema.Union([
    Schema.TaggedStruct("Aborted", { reason: AbortReason }),
    /** Its session did not accept the input, for this reason (`Rejection`); no turn ran. */
    Schema.TaggedStruct("Refused", { rejection: Schema.String }),
    Schema.TaggedStruct("Errored", { tag: Schema.String, detail: Schema.String }),
    /** It said nothing that the wanted output could be read from. */
    Schema.TaggedStruct("InvalidAnswer", { detail: Schema.String })
  ]),
  partial: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const { delegateId, reason } = this
    if (reason._tag === "Aborted") return `delegate ${delegateId} was stopped (${reason.reason})`
    if (reason._tag === "Refused") return `delegate ${delegateId} did not accept its input: ${reason.rejection}`
    return reason._tag === "Errored"
      ? `delegate ${delegateId} failed: ${reason.detail}`
      : `delegate ${delegateId} gave no answer of the wanted form: ${reason.detail}`
  }
}

/** No delegate of this id stands below the session that asked: only descendants can be controlled. */
export class DelegateNotFound extends Schema.TaggedError<DelegateNotFound>()("DelegateNotFound", {
  path: Path,
  delegateId: SessionId
}) {
  override get message() {
    return `there is no delegate ${this.delegateId} below session ${this.path.at(-1)}`
  }
}

/** A model asked for something about its agents that cannot be done; `detail` is what it reads. */
export class SubAgentFailed extends Schema.TaggedError<SubAgentFailed>()("SubAgentFailed", {
  path: Path,
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }

  /** The failure as a plain text, which is what a model gets instead of an object. */
  static readonly asText = Schema.String.pipe(
    Schema.decodeTo(SubAgentFailed, {
      decode: SchemaGetter.transform((detail) => ({ _tag: "SubAgentFailed" as const, path: [], detail })),
      encode: SchemaGetter.transform(({ detail }) => detail)
    })
  )
}
