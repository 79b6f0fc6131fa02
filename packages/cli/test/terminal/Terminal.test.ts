import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import type { Question } from "@spindle/core/Approvals"
import * as Terminal from "../../src/terminal/Terminal.ts"
import * as Events from "../../../app/test/fixtures/events.ts"
import { Keyboard } from "../fixtures/keyboard.ts"

const make = Effect.fnUntraced(function* (isTTY: boolean, columns = 80) {
  const keyboard = new Keyboard(isTTY)
  const written: Array<string> = []
  const interrupts: Array<string> = []
  const terminal = yield* Terminal.make({
    sessionId: Events.sessionId,
    cwd: "/w",
    output: { isTTY, columns, write: (text) => written.push(text) },
    keyboard,
    color: "never",
    env: {},
    onCtrlC: () => interrupts.push("SIGINT")
  })
  return { terminal, keyboard, interrupts, text: () => written.join("") }
})

const request: Question = {
  sessionId: Events.sessionId,
  turnId: Events.turnId,
  questionId: Events.questionId,
  callId: Events.callId,
  kind: "command",
  tool: "exec_command",
  payload: { command: "rm x" },
  path: [Events.sessionId]
}

describe("show", () => {
  it.effect("writes plain text and nothing else to a pipe", () =>
    Effect.gen(function* () {
      const { terminal, text } = yield* make(false)
      yield* terminal.show(Events.started)
      yield* TestClock.adjust("1 second")
      yield* terminal.show(Events.item({ _tag: "AssistantMessage", text: "Hello" }))
      assert.strictEqual(text(), "Hello\n")
      assert.isUndefined(terminal.approvals)
    })
  )

  it.effect("draws the status line on a terminal, and erases it before it writes and at the end", () =>
    Effect.gen(function* () {
      const { text } = yield* Effect.scoped(
        Effect.gen(function* () {
          const made = yield* make(true)
          yield* made.terminal.show(Events.started)
          yield* TestClock.adjust("150 millis")
          assert.strictEqual(made.text(), "\r\x1b[2K⠙ thinking · 0 s · Ctrl-C stops")
          yield* made.terminal.show(Events.item({ _tag: "AssistantMessage", text: "Hello" }))
          assert.isTrue(made.text().endsWith("\r\x1b[2KHello\n"))
          yield* TestClock.adjust("100 millis")
          return made
        })
      )
      assert.isTrue(text().endsWith("Ctrl-C stops\r\x1b[2K"))
    })
  )
})

describe("approvals", () => {
  it.effect("takes the key that is pressed, not keys that were typed ahead", () =>
    Effect.gen(function* () {
      for (const [key, expected] of [
        ["y", { _tag: "Approved", scope: "once" }],
        ["A", { _tag: "Approved", scope: "session" }],
        ["n", { _tag: "Denied", reason: "rejected by user" }],
        ["q", { _tag: "Abort" }]
      ] as const) {
        const { keyboard, terminal, text } = yield* make(true)
        const fiber = yield* Effect.forkChild(terminal.approvals!.decide(request), { startImmediately: true })
        assert.isTrue(keyboard.raw && keyboard.flowing)
        keyboard.press("y")
        yield* TestClock.adjust("100 millis")
        assert.isTrue(
          text().endsWith(
            "? Run this command?\n  $ rm x\n\r\x1b[2K  [y] once  [t] this turn  [a] this session  [n] no  [d] instead  [q] no, stop "
          )
        )
        keyboard.press("x\r")
        keyboard.press(key)
        assert.deepStrictEqual(yield* Fiber.join(fiber), expected)
        assert.isFalse(keyboard.raw || keyboard.flowing)
        // the events show neither the question nor its answer again
        const shown = text()
        assert.match(shown, / {2}→ (allowed|refused)[a-z,: ]*\n$/)
        yield* terminal.show(Events.asks("command", request.payload))
        yield* terminal.show(Events.settledBy(expected))
        assert.strictEqual(text(), shown)
      }
    })
  )

  it.effect("ignores arrows, function keys and pasted text", () =>
    Effect.gen(function* () {
      const { interrupts, keyboard, terminal } = yield* make(true)
      const fiber = yield* Effect.forkChild(terminal.approvals!.decide(request), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      for (const keys of ["\x1b[A", "\x1bOA", "\x1b[", "A", "\x1b", "OA", "\x1b[200~y\x1b[201~", "any text", "yes"]) {
        keyboard.press(keys)
        yield* Effect.yieldNow
        assert.isUndefined(fiber.pollUnsafe(), JSON.stringify(keys))
      }
      keyboard.press("so\x03")
      assert.deepStrictEqual(interrupts, ["SIGINT"])
      keyboard.press("Y\r")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Approved", scope: "once" })
    })
  )

  it.effect("forwards Ctrl-C, and releases the keyboard when the question is settled elsewhere", () =>
    Effect.gen(function* () {
      const { interrupts, keyboard, terminal } = yield* make(true)
      const fiber = yield* Effect.forkChild(terminal.approvals!.decide(request), { startImmediately: true })
      keyboard.press("\x03")
      assert.deepStrictEqual(interrupts, ["SIGINT"])
      yield* TestClock.adjust("100 millis")
      yield* Fiber.interrupt(fiber)
      assert.isFalse(keyboard.raw || keyboard.flowing)
      assert.strictEqual(keyboard.listenerCount("data"), 0)
    })
  )

  it.effect("uses shorter choices on a narrow terminal", () =>
    Effect.gen(function* () {
      const { terminal, text } = yield* make(true, 60)
      yield* Effect.forkChild(terminal.approvals!.decide(request), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      assert.isTrue(text().endsWith("\n\r\x1b[2K  y once, t turn, a session, n no, d instead, q stop "))
    })
  )

  it.effect("releases the terminal at once if there is no time to wait", () =>
    Effect.gen(function* () {
      const { keyboard, terminal, text } = yield* make(true)
      yield* Effect.forkChild(terminal.approvals!.decide(request), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      terminal.restore()
      assert.isFalse(keyboard.raw)
      assert.isTrue(text().endsWith("\r\x1b[2K"))
    })
  )

  it.effect("cancels a question that was settled elsewhere, before it shows what happened in between", () =>
    Effect.gen(function* () {
      const { terminal, text } = yield* make(true)
      const asking = yield* Effect.forkChild(terminal.approvals!.decide(request), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      yield* terminal.show(Events.record({ _tag: "Warning", message: "meanwhile" }))
      yield* Fiber.interrupt(asking)
      yield* terminal.show(Events.settledBy({ _tag: "Cancelled", by: "end" }))
      assert.isTrue(text().endsWith("\r\x1b[2K  → cancelled\n! meanwhile\n"), text())
    })
  )

  it.effect("asks one question at a time, and shows what happens in between after the answer", () =>
    Effect.gen(function* () {
      const { keyboard, terminal, text } = yield* make(true)
      const first = yield* Effect.forkChild(terminal.approvals!.decide(request), { startImmediately: true })
      const other = { ...request, questionId: "other" as typeof request.questionId, payload: { command: "ls" } }
      const second = yield* Effect.forkChild(terminal.approvals!.decide(other), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      yield* terminal.show(Events.record({ _tag: "Warning", message: "meanwhile" }))
      assert.isTrue(
        text().endsWith(
          "  $ rm x\n\r\x1b[2K  [y] once  [t] this turn  [a] this session  [n] no  [d] instead  [q] no, stop "
        )
      )
      assert.notInclude(text(), "$ ls")
      keyboard.press("n")
      yield* Fiber.join(first)
      yield* TestClock.adjust("100 millis")
      assert.include(text(), "\r\x1b[2K  → refused\n! meanwhile\n\n? Run this command?\n  $ ls\n")
      keyboard.press("y")
      assert.deepStrictEqual(yield* Fiber.join(second), { _tag: "Approved", scope: "once" })
    })
  )
})
