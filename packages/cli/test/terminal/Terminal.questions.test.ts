import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import type { Question } from "@spindle/core/Approvals"
import * as Terminal from "../../src/terminal/Terminal.ts"
import * as Events from "../../../app/test/fixtures/events.ts"
import { Keyboard } from "../fixtures/keyboard.ts"

/** The part of a question that says where it belongs: to the root session, and to no call. */
const ofRoot = {
  sessionId: Events.sessionId,
  turnId: Events.turnId,
  questionId: Events.questionId,
  callId: undefined,
  tool: undefined,
  path: [Events.sessionId]
}

/** Asks at a terminal and presses these keys, piece by piece. Returns the decision and the written text. */
const asked = Effect.fnUntraced(function* (
  request: Pick<Question, "kind" | "payload"> & Partial<Pick<Question, "tool" | "turnId">>,
  keys: ReadonlyArray<string | Uint8Array>
) {
  const keyboard = new Keyboard(true)
  const written: Array<string> = []
  const interrupts: Array<string> = []
  const terminal = yield* Terminal.make({
    sessionId: Events.sessionId,
    cwd: "/w",
    output: { isTTY: true, columns: 80, write: (text) => written.push(text) },
    keyboard,
    color: "never",
    env: {},
    onCtrlC: () => interrupts.push("SIGINT")
  })
  const whole: Question = {
    ...ofRoot,
    ...request
  }
  const deciding = yield* Effect.forkChild(terminal.approvals!.decide(whole), { startImmediately: true })
  yield* TestClock.adjust("100 millis")
  for (const key of keys) keyboard.press(key)
  const decision = yield* Fiber.join(deciding)
  assert.isFalse(keyboard.raw)
  return { decision, text: written.join(""), interrupts }
})

const colour = {
  id: "colour",
  header: "Colour",
  question: "Which colour?",
  options: [
    { label: "Red (Recommended)", description: "warm" },
    { label: "Blue", description: "cold" }
  ]
}
const form = (properties: object, required: ReadonlyArray<string> = []) => ({
  kind: "elicitation" as const,
  tool: "mcp__mail__send",
  payload: { serverName: "mail", message: "Who is it for?", requestedSchema: { type: "object", properties, required } }
})

describe("a question of a tool", () => {
  it.effect("A3 is read in words, and answered by number, by the beginning of a choice, or by a text", () =>
    Effect.gen(function* () {
      const payload = { questions: [colour, { id: "why", question: "Why?" }] }
      const chosen = ["blue", "2", "Blue"]
      for (const line of chosen) {
        const { decision, text } = yield* asked({ kind: "question", payload }, [line, "\r", "it is cold", "\r"])
        const answers = { colour: { answers: ["Blue"] }, why: { answers: ["it is cold"] } }
        assert.deepStrictEqual(decision, { _tag: "Answered", answers })
        assert.include(text, "? A question:\n  Which colour?\n    1 Red (Recommended) warm\n    2 Blue cold\n  Why?\n")
        assert.include(text, "why: it is cold\n")
        assert.isTrue(text.endsWith("  → answered\n"), text)
      }
      const other = yield* asked({ kind: "question", payload: { questions: [colour] } }, ["green", "\r"])
      assert.deepStrictEqual(other.decision, { _tag: "Answered", answers: { colour: { answers: ["green"] } } })
    })
  )

  it.effect("A2 is left with Escape: an empty answer, and no refusal", () =>
    Effect.gen(function* () {
      const { decision } = yield* asked({ kind: "question", payload: { questions: [colour] } }, ["bl", "\x1b"])
      assert.deepStrictEqual(decision, { _tag: "Answered", answers: {} })
    })
  )

  it.effect("of a form that is not known is shown whole, and answered by one line", () =>
    Effect.gen(function* () {
      const { decision, text } = yield* asked({ kind: "question", payload: { what: "now?" } }, ["go on", "\r"])
      assert.deepStrictEqual(decision, { _tag: "Answered", answers: { answer: { answers: ["go on"] } } })
      assert.include(text, '"what": "now?"')
    })
  )

  it.effect("hides what is secret", () =>
    Effect.gen(function* () {
      const payload = { questions: [{ id: "key", question: "The key?", isSecret: true }] }
      const { decision, text } = yield* asked({ kind: "question", payload }, ["abc", "\r"])
      assert.deepStrictEqual(decision, { _tag: "Answered", answers: { key: { answers: ["abc"] } } })
      assert.include(text, "key: •••")
      assert.notInclude(text, "abc")
    })
  )
})

describe("keys that come in pieces", () => {
  const question = { kind: "question", payload: { questions: [{ id: "why", question: "Why?" }] } } as const
  const answer = (text: string) => ({ _tag: "Answered" as const, answers: { why: { answers: [text] } } })
  const cut = (text: string, ...at: ReadonlyArray<number>) => {
    const bytes = Buffer.from(text)
    const ends = [...at, bytes.length]
    return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
  }

  it.effect.each([
    ["cut after one byte", cut("日本語", 1), "日本語"],
    ["cut after two bytes", cut("日本語", 2), "日本語"],
    ["an emoji, byte by byte", cut("ok 👍", 4, 5, 6), "ok 👍"],
    ["an accent", cut("café", 4), "café"],
    ["a text and an arrow key in one piece", ["ab\x1b[Dc"], "abc"],
    ["an arrow key in two pieces", ["ab", "\x1b", "[D", "c"], "abc"]
  ] as const)("are one text: %s", ([, pieces, text]) =>
    Effect.gen(function* () {
      const { decision } = yield* asked(question, [...pieces, "\r"])
      assert.deepStrictEqual(decision, answer(text))
    })
  )

  it.effect("Escape refuses what a key decides, and a sequence does not", () =>
    Effect.gen(function* () {
      const command = { kind: "command", payload: { command: "ls" } } as const
      const denied = { _tag: "Denied", reason: "rejected by user" } as const
      assert.deepStrictEqual((yield* asked(command, ["\x1b"])).decision, denied)
      assert.deepStrictEqual((yield* asked(command, ["\x1b\x1b"])).decision, denied)
      const arrow = yield* asked(command, ["\x1b[A", "\x1b", "[B", "y"])
      assert.deepStrictEqual(arrow.decision, { _tag: "Approved", scope: "once" })
    })
  )
})

describe("a form of a server", () => {
  it.effect("A3 is accepted with its values: texts, numbers, yes or no, one of some, defaults", () =>
    Effect.gen(function* () {
      const properties = {
        to: { type: "string", title: "To", description: "a name" },
        copies: { type: "integer" },
        share: { type: "number" },
        now: { type: "boolean" },
        size: { type: "string", enum: ["small", "large"] },
        where: { type: "string", oneOf: [{ const: "eu", title: "Europe" }] },
        lines: { type: "integer", default: 7 },
        note: { type: "string" }
      }
      const { decision, text } = yield* asked(form(properties, ["to", "copies"]), [
        "\r", // it is required
        "Adab",
        "\x7f",
        "\x1b[A",
        "\r",
        "two\r", // no number
        "\x15",
        "2",
        "\r",
        "0.5\r",
        "y\r",
        "2\r",
        "Europe\r",
        "\r",
        "\r"
      ])
      const answers = { to: "Ada", copies: 2, share: 0.5, now: true, size: "large", where: "eu", lines: 7 }
      assert.deepStrictEqual(decision, { _tag: "Answered", answers })
      assert.include(text, "? A question:\n  Who is it for?\n    serverName: mail\n    mcp__mail__send\n")
      assert.include(text, "To, a name: Ada\n")
    })
  )

  it.effect("A2 is declined with Escape, and Ctrl-C is heard while it is filled in", () =>
    Effect.gen(function* () {
      const { decision, interrupts } = yield* asked(form({ to: { type: "string" } }), ["A", "\x03", "\x1b"])
      assert.deepStrictEqual(decision, { _tag: "Denied", reason: "rejected by user" })
      assert.deepStrictEqual(interrupts, ["SIGINT"])
    })
  )

  it.effect("without a field is decided by a key", () =>
    Effect.gen(function* () {
      const { decision, text } = yield* asked(form({}), ["y"])
      assert.deepStrictEqual(decision, { _tag: "Approved", scope: "once" })
      assert.include(text, "[y] once")
    })
  )

  it.effect("shows the end of a line that is too long, and nothing that a model could draw with", () =>
    Effect.gen(function* () {
      const { text } = yield* asked(form({ to: { type: "string", title: "a\x1b[31mb" } }), [
        "x".repeat(100) + "end",
        "\r"
      ])
      assert.notInclude(text.replaceAll("\r\x1b[2K", ""), "\x1b")
      const last = text.split("\r\x1b[2K").findLast((line) => line.includes("xend"))!
      assert.isBelow(last.split("\n")[0]!.length, 80)
    })
  )
})

describe("a question about a command", () => {
  const command = (line: string, more: object = {}) => ({
    kind: "command" as const,
    payload: { command: line, cwd: "/w", ...more }
  })
  const amendment = [
    ["make", "a"],
    ["make", 'b "c"']
  ]

  it.effect("A4 is decided for the turn with t, and always with p if there is a rule to add", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* asked(command("make a"), ["t"])).decision, { _tag: "Approved", scope: "turn" })
      const { decision, text } = yield* asked(command("make a", { amendment }), ["p"])
      assert.deepStrictEqual(decision, { _tag: "Approved", scope: "session", amendment })
      assert.include(text, '    always adds: prefix_rule(pattern = ["make", "a"], decision = "allow")\n')
      assert.include(text, '    always adds: prefix_rule(pattern = ["make", "b \\"c\\""], decision =\n      "allow")\n')
      assert.include(text, "  y once, t turn, a session, p always, n no, d instead, q stop ")
      assert.include(text, "→ allowed, from now on by a rule")
    })
  )

  it.effect("breaks what it shows between words, and hides no white space by it", () =>
    Effect.gen(function* () {
      const reason = "word ".repeat(20).trim()
      const cwd = `/w/${"a".repeat(60)}       b  c`
      const { text } = yield* asked({ kind: "command", payload: { command: "make", reason, cwd } }, ["n"])
      assert.include(text, `\n    reason: ${"word ".repeat(13).trim()}\n      ${"word ".repeat(7).trim()}\n`)
      assert.include(text.replaceAll("\n      ", ""), `    cwd: ${cwd}\n`)
    })
  )

  it.effect("A3 is refused with d and the line that says what to do instead", () =>
    Effect.gen(function* () {
      const { decision, text } = yield* asked(command("make a"), ["d", "use", " make b", "\r"])
      assert.deepStrictEqual(decision, { _tag: "Denied", reason: "use make b" })
      assert.include(text, "  Do this instead: use make b\n")
      assert.isTrue(text.endsWith("  → refused: use make b\n"), text)
    })
  )

  it.effect("A2 is still open if the person leaves that line, or enters nothing", () =>
    Effect.gen(function* () {
      const { decision } = yield* asked(command("make a"), ["d", "x", "\x1b", "d", "\r", "y"])
      assert.deepStrictEqual(decision, { _tag: "Approved", scope: "once" })
    })
  )

  it.effect("cannot be allowed always without a rule, nor for a turn without one", () =>
    Effect.gen(function* () {
      for (const payload of [{}, { amendment: [] }, { amendment: [[]] }, { amendment: "make" }]) {
        const { decision, text } = yield* asked(command("make a", payload), ["p", "y"])
        assert.deepStrictEqual(decision, { _tag: "Approved", scope: "once" })
        assert.notInclude(text, "[p]")
      }
      const { decision, text } = yield* asked({ ...command("make a"), turnId: undefined }, ["t", "a"])
      assert.deepStrictEqual(decision, { _tag: "Approved", scope: "session" })
      assert.notInclude(text, "[t]")
    })
  )

  it.effect("A4 may be allowed in part: each part has a key, and the answer names exactly that part", () =>
    Effect.gen(function* () {
      const less = [
        { label: "in the sandbox", permissions: {} },
        { label: "only a\u001b[2J.example", permissions: { network: { hosts: ["a.example"] } } }
      ]
      for (const [index, { permissions }] of less.entries()) {
        const { decision, text } = yield* asked(command("make a", { less }), [String(index + 1)])
        assert.deepStrictEqual(decision, { _tag: "Approved", scope: "once", permissions })
        assert.include(text, "\n  1 in the sandbox\n  2 only a␛[2J.example\n")
        assert.notInclude(text, "less:")
        assert.include(text, "  → allowed in part, once")
      }
      const permissions = { ...command("make", { less }), kind: "permissions" as const }
      const { decision } = yield* asked(permissions, ["1"])
      assert.deepStrictEqual(decision, { _tag: "Approved", scope: "turn", permissions: {} })
    })
  )

  it.effect("shows parts that it cannot offer as they are", () =>
    Effect.gen(function* () {
      for (const less of [[{ label: "a" }], Array.from({ length: 10 }, () => ({ label: "a", permissions: {} })), "a"]) {
        const { decision, text } = yield* asked(command("make a", { less }), ["1", "n"])
        assert.strictEqual(decision._tag, "Denied")
        assert.match(text, /\n {4}less:\s/)
      }
    })
  )

  it.effect("shows the exact command, its directory, both reasons and what the sandbox allows", () =>
    Effect.gen(function* () {
      const more = { justification: "to build", reason: "it may do more than read", sandbox: "it writes nothing" }
      const { text } = yield* asked(command("make \u202ea\u200b\r\nrm\u00a0x\x1b[2J", more), ["n"])
      const lines = [
        "? Run this command?",
        "  $ make \\u{202e}a\\u{200b}␍",
        "    rm\\u{a0}x␛[2J",
        "    cwd: /w",
        "    justification: to build",
        "    reason: it may do more than read",
        "    sandbox: it writes nothing"
      ]
      assert.include(text, `${lines.join("\n")}\n`)
    })
  )
})

describe("a question at another terminal", () => {
  /** Decides a command with y; returns what was written to the transcript and to the screen. */
  const approved = Effect.fnUntraced(function* (options: {
    readonly columns?: number
    readonly env?: { readonly [name: string]: string }
    readonly isPiped?: boolean
  }) {
    const keyboard = new Keyboard(true)
    const [output, screen] = [[] as Array<string>, [] as Array<string>]
    const terminal = yield* Terminal.make({
      sessionId: Events.sessionId,
      cwd: "/w",
      output: { isTTY: options.isPiped !== true, columns: options.columns ?? 80, write: (text) => output.push(text) },
      screen: { isTTY: true, columns: options.columns ?? 80, write: (text) => screen.push(text) },
      keyboard,
      color: "never",
      env: options.env ?? {},
      onCtrlC: () => undefined
    })
    const question: Question = {
      ...ofRoot,
      kind: "command",
      payload: { command: "ls" }
    }
    const deciding = yield* Effect.forkChild(terminal.approvals!.decide(question), { startImmediately: true })
    yield* TestClock.adjust("100 millis")
    keyboard.press("y")
    assert.deepStrictEqual(yield* Fiber.join(deciding), { _tag: "Approved", scope: "once" })
    return { output: output.join(""), screen: screen.join("") }
  })

  it.effect("is asked there if the transcript goes elsewhere, and both have it", () =>
    Effect.gen(function* () {
      const { output, screen } = yield* approved({ isPiped: true })
      assert.strictEqual(output, "? Run this command?\n  $ ls\n  → allowed once\n")
      assert.include(screen, "? Run this command?\n  $ ls\n\r\x1b[2K  [y] once")
      assert.isTrue(screen.endsWith("\r\x1b[2K  → allowed once\n"), JSON.stringify(screen))
    })
  )

  it.effect("is asked in lines that fit into 20 columns", () =>
    Effect.gen(function* () {
      const { output, screen } = yield* approved({ columns: 20 })
      assert.strictEqual(screen, "")
      // oxlint-disable-next-line no-control-regex
      for (const line of output.split(/\n|\r(?:\x1b\[\d*[AJK])+/)) assert.isAtMost(line.length, 20)
      assert.include(output, "  q stop\n  y/t/a/n/d/q \r\x1b[6A\x1b[J  → allowed once\n")
    })
  )

  it.effect("is asked on a dumb terminal without a control sequence", () =>
    Effect.gen(function* () {
      const { output } = yield* approved({ env: { TERM: "dumb" } })
      assert.notInclude(output, "\x1b")
      assert.match(output, /\[q\] no, stop \n {2}→ allowed once\n$/)
    })
  )
})
