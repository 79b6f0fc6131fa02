/**
 * Converts records of version 1 to the version that this package writes. The differences of version 1:
 *
 * - a question was called a *request* (`RequestOpened`, `RequestSettled`), with a `requestId`;
 * - the status of a delegate that had ended was any word;
 * - a notice of a delegate was input of the user;
 * - retries without a limit were written with `maxAttempts` null.
 *
 * Each line is converted by itself, so a page of a journal can be read without the pages before it.
 */
import type { AgentStatus } from "../protocol/Display.ts"
import { countedNoticeFragment, noticeFragment } from "../state/History.ts"

/** A line of a journal as JSON. */
export interface RawRecord {
  readonly [key: string]: unknown
}

/** Converts a record of version 1. A record that needs no change is returned as it is. */
export const ofVersion1 = (raw: RawRecord): RawRecord => {
  switch (raw["_tag"]) {
    case "RequestOpened":
      return renameRequest(raw, "QuestionOpened")
    case "RequestSettled":
      return renameRequest(raw, "QuestionSettled")
    case "DelegateEnded":
      return { ...raw, ...statusOf(raw["status"]) }
    case "ModelRetrying": {
      const { maxAttempts, ...rest } = raw
      return maxAttempts === null ? rest : raw
    }
    case "InputAccepted":
      return isNotice(raw["input"]) ? { ...raw, fragment: noticeFragment } : raw
    case "ItemRecorded": {
      const item = raw["item"] as RawRecord | null | undefined
      return item?.["_tag"] === "UserMessage" && item["fragment"] === undefined && isNotice(item["content"])
        ? { ...raw, item: { ...item, fragment: countedNoticeFragment } }
        : raw
    }
    default:
      return raw
  }
}

const renameRequest = ({ requestId, ...raw }: RawRecord, tag: string): RawRecord => ({
  ...raw,
  _tag: tag,
  questionId: requestId
})

const statuses: { readonly [word: string]: AgentStatus } = {
  pending_init: "pendingInit",
  running: "running",
  interrupted: "interrupted",
  completed: "completed",
  errored: "errored",
  shutdown: "shutdown",
  not_found: "notFound"
}

// tasks could write any word
const statusOf = (word: unknown): RawRecord => {
  if (typeof word !== "string") return { status: word }
  const status = Object.hasOwn(statuses, word) ? statuses[word] : undefined
  return status === undefined ? { status: "errored", message: word } : { status }
}

const notice = /^<subagent_notification>\n\{"agent_id":.*\}\n<\/subagent_notification>$/s

const isNotice = (input: unknown): boolean => {
  if (!Array.isArray(input) || input.length !== 1) return false
  const text = (input[0] as { readonly text?: unknown } | null)?.text
  return typeof text === "string" && notice.test(text)
}
