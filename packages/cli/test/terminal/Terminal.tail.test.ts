import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import type { Question } from "@spindle/core/Approvals"
import { CallId } from "@spindle/core/Ids"
import * as Terminal from "../../src/terminal/Terminal.ts"
import * as Events from "../../../app/test/fixtures/events.ts"
import { Keyboard } from "../fixtures/keyboard.ts"

interface Screen {
  readonly color?: "always" | "never"
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

/** A terminal in which a command runs that has written this text. */
const running = Effect.fnUntraced(function* (output: string, { color = "never", ...screen }: Screen = {}) {
  const size = { isTTY: true, columns: 40, rows: 24, ...screen }
  const keyboard = new Keyboard(true)
  const written: Array<string> = []
  const terminal = yield* Terminal.make({
    sessionId: Events.sessionId,
    cwd: "/w",
    output: Object.assign(size, { write: (text: string) => written.push(text) }),
    keyboard,
    color,
    env: {},
    onCtrlC: () => undefined
  })
  for (const event of [Events.started, Events.command("make"), Events.running, Events.output(0, output)]) {
    yield* terminal.show(event)
  }
  return { keyboard, terminal, size, text: () => written.join("") }
})

const other: Question = {
  sessionId: Events.sessionId,
  turnId: Events.turnId,
  questionId: Events.questionId,
  callId: CallId.make("call_2"),
  kind: "command",
  tool: "exec_command",
  payload: { command: "rm x" },
  path: [Events.sessionId]
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1}\n`).join("")
const lastDrawing = (text: string): string => text.slice(text.lastIndexOf("\r"))
const keys = "  [y] once  [t] this turn"

describe("the output of a running command", () => {
  it.effect("is drawn above the status line: the last five lines, each cut to the width", () =>
    Effect.gen(function* () {
      const { text } = yield* running(`${numbers(6)}${"x".repeat(60)}\n\nhalf`)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(
        lastDrawing(text()),
        `\r\x1b[2K  line 4\n  line 5\n  line 6\n  ${"x".repeat(36)}…\n  half\n⠙ make · 0 s · Ctrl-C stops`
      )
    })
  )

  it.effect("is erased with all of its rows before anything else is written", () =>
    Effect.gen(function* () {
      const { terminal, text } = yield* running(numbers(2))
      yield* TestClock.adjust("100 millis")
      yield* terminal.show(Events.ran({ output: numbers(2) }))
      assert.isTrue(text().endsWith("\r\x1b[2A\x1b[J  line 1\n  line 2\n  ✓ exit 0 · 1.5 s\n"), text())
    })
  )

  it.effect("is erased with the rows that it takes after the terminal has become narrower", () =>
    Effect.gen(function* () {
      const { size, terminal, text } = yield* running(`${"x".repeat(30)}\n`)
      yield* TestClock.adjust("100 millis")
      size.columns = 10
      terminal.restore()
      // four rows of output and three of the status line
      assert.isTrue(text().endsWith("\r\x1b[6A\x1b[J"), JSON.stringify(text()))
    })
  )

  it.effect("is erased with one row for a line that fills the width with colours", () =>
    Effect.gen(function* () {
      const { terminal, text } = yield* running("x".repeat(60), { color: "always" })
      yield* TestClock.adjust("100 millis")
      terminal.restore()
      assert.isTrue(text().endsWith("\r\x1b[1A\x1b[J"), JSON.stringify(text()))
    })
  )

  it.effect("is redrawn above a question about another command, with the name of its command", () =>
    Effect.gen(function* () {
      const { keyboard, terminal, text } = yield* running(numbers(1), { columns: 100 })
      const asking = yield* Effect.forkChild(terminal.approvals!.decide(other), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      assert.include(lastDrawing(text()), `\r\x1b[2K$ make\n  line 1\n${keys}`)
      yield* terminal.show(Events.output(numbers(1).length, "more\n"))
      yield* TestClock.adjust("100 millis")
      assert.include(lastDrawing(text()), `\r\x1b[2A\x1b[J$ make\n  line 1\n  more\n${keys}`)
      const drawn = text()
      yield* TestClock.adjust("1 second")
      assert.strictEqual(text(), drawn)
      keyboard.press("y")
      yield* Fiber.join(asking)
      assert.isTrue(text().endsWith("\r\x1b[3A\x1b[J  → allowed once\n"), text())
    })
  )

  it.effect("leaves room for the question on a low terminal", () =>
    Effect.gen(function* () {
      const { terminal, text } = yield* running(numbers(9), { columns: 100, rows: 5 })
      yield* Effect.forkChild(terminal.approvals!.decide(other), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      assert.include(lastDrawing(text()), `\r\x1b[2K$ make\n  line 9\n${keys}`)
    })
  )

  it.effect("cannot steer the terminal", () =>
    Effect.gen(function* () {
      const { text } = yield* running("a\x1b[2Jb\x07\u202ec\n10%\r20%\n")
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(lastDrawing(text()), "\r\x1b[2K  ab␇\\u{202e}c\n  20%\n⠙ make · 0 s · Ctrl-C stops")
    })
  )

  it.effect("is not written to a pipe before the command has ended", () =>
    Effect.gen(function* () {
      const { terminal, text } = yield* running(numbers(2), { isTTY: false })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(text(), "$ make\n")
      yield* terminal.show(Events.ran({ output: numbers(2) }))
      assert.strictEqual(text(), "$ make\n  line 1\n  line 2\n  ✓ exit 0 · 1.5 s\n")
    })
  )
})

describe("open", () => {
  const snapshot = { items: [], seq: 0, usage: Events.usage } as unknown as Parameters<Terminal.Terminal["open"]>[0]

  for (const isTTY of [true, false]) {
    it.effect(`shows the header ${isTTY ? "at a terminal, wrapped and harmless" : "in no pipe"}`, () =>
      Effect.gen(function* () {
        const written: Array<string> = []
        const terminal = yield* Terminal.make({
          sessionId: Events.sessionId,
          cwd: "/w",
          output: { isTTY, columns: 20, write: (text) => written.push(text) },
          keyboard: new Keyboard(false),
          color: "never",
          env: {},
          onCtrlC: () => undefined
        })
        terminal.open(snapshot, ["sandbox: workspace-write", "model: a\x1b[2J"])
        assert.strictEqual(written.join(""), isTTY ? "sandbox:\nworkspace-write\nmodel: a␛[2J\n\n" : "")
      })
    )
  }
})
