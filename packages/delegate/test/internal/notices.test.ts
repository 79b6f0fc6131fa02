import { assert, describe, it } from "@effect/vitest"
import type { SessionId, SubmissionId } from "@spindle/core/Ids"
import * as Local from "@spindle/core/Local"
import type { Receipt, Rejection } from "@spindle/core/Op"
import { JournalFailed } from "@spindle/core/SessionError"
import * as Spending from "@spindle/core/Spending"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Notices from "../../src/internal/notices.ts"
import * as Status from "../../src/Status.ts"

const sessionId = "parent" as SessionId
const rejected = (reason: Rejection): Effect.Effect<Receipt> =>
  Effect.succeed({ _tag: "Rejected", submissionId: "notice" as SubmissionId, reason })

/** Returns what is logged when the parent gives this receipt for a notice. */
const logged = Effect.fnUntraced(function* (answer: Effect.Effect<Receipt, JournalFailed>) {
  const lines: Array<string> = []
  const logger = Logger.make(({ message }) => void lines.push(String(message)))
  const parent = {
    sessionId,
    path: [sessionId],
    locals: new Local.Locals(),
    spending: Effect.succeed(Spending.none),
    submit: () => answer,
    ask: () => Effect.never,
    scope: Effect.never
  }
  const about = { delegateId: "child" as SessionId, status: Status.shutdown, wake: false }
  yield* Effect.provide(Notices.send(parent, about), Logger.layer([logger]))
  return lines
})

describe("a notice", () => {
  const lost = "cannot notify session parent that delegate child has settled"

  it.effect("D7 that the parent rejects is logged", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* logged(rejected({ _tag: "InboxFull", capacityCount: 1 })), [`${lost}: InboxFull`])
      const failed = new JournalFailed({ sessionId, operation: "append" })
      assert.deepStrictEqual(yield* logged(Effect.fail(failed)), [`${lost}: ${failed.message}`])
    })
  )

  it.effect("D7 to a parent that has ended is dropped", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* logged(rejected({ _tag: "SessionClosed" })), [])
    })
  )
})
