/** A session for tests of timelines. */
import * as Op from "@spindle/core/Op"
import { Processes } from "@spindle/core/Processes"
import { Turn } from "@spindle/core/Turn"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { processes, submission } from "./traced.ts"

/**
 * The journal of a session with three turns: one with a question and a process, one that fails, and one that is steered
 * and aborted.
 */
export const session = Effect.gen(function* () {
  const host = processes()
  const h = yield* Harness.make({
    script: [
      [Model.text("I look. "), Model.call("run", { secret: "<b>&amp;" }, "call-1")],
      [Model.text("Done <script>alert(1)</script>")],
      [Model.fail("Unauthorized")],
      [Model.call("run", {}, "call-2"), Model.gate("open")]
    ],
    tools: {
      run: {
        policy: { approval: "ask", kind: "command" },
        run: () =>
          Effect.flatMap(Turn, (turn) =>
            turn.process({ command: ["sleep", "500"], cwd: "/work", callId: "call-1" as never })
          ).pipe(
            Effect.flatMap((process) => process.exit),
            Effect.orDie,
            Effect.provideService(Processes, host.service)
          )
      }
    }
  })
  yield* h.session.submit(submission(Op.userInput("go")))
  const first = yield* h.awaitEvent(Harness.tagged("QuestionOpened"))
  yield* TestClock.adjust("2 seconds")
  yield* h.session.submit(Op.answer(first.questionId, { _tag: "Approved", scope: "once" }))
  yield* TestClock.adjust("500 millis")
  yield* h.session.awaitIdle
  yield* TestClock.adjust("1 minute")
  yield* h.run("fails")
  yield* h.submit("is aborted")
  yield* h.model.reached("open")
  yield* h.submit("faster")
  yield* h.session.abort()
  yield* TestClock.adjust("1 second")
  yield* h.session.awaitIdle
  return { sessionId: h.session.sessionId, records: h.records() }
}).pipe(Effect.scoped)
