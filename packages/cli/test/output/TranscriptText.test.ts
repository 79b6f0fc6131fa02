import { assert, describe, it } from "@effect/vitest"
import { CallId, SessionId, SubmissionId } from "@spindle/core/Ids"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Transcript from "../../src/output/TranscriptText.ts"
import * as Events from "../../../app/test/fixtures/events.ts"
import { cleanAbort } from "../../../core/test/fixtures/records.ts"

const play = (events: ReadonlyArray<SessionEvent>, options: Partial<Transcript.TranscriptOptions> = {}) => {
  let state = Transcript.initial({
    sessionId: Events.sessionId,
    cwd: "/w",
    color: false,
    columns: 60,
    wraps: false,
    ...options
  })
  let text = ""
  for (const event of events) {
    const [next, more] = Transcript.step(state, event)
    state = next
    text += more
  }
  return { state, text }
}
const show = (...events: ReadonlyArray<SessionEvent>) => play(events).text

describe("step", () => {
  it("shows the message of a note, if it has one", () => {
    const note = { _tag: "TaskNote", turnId: Events.turnId, name: "review.entered", data: {} } as const
    assert.strictEqual(show(Events.record({ ...note, message: "reviewing main" })), "· reviewing main\n")
    assert.strictEqual(show(Events.record(note)), "")
  })

  it("streams text once, whatever pieces come again", () => {
    const message = Events.item({ _tag: "AssistantMessage", text: "Hello, world" })
    assert.strictEqual(
      show(Events.text(0, "Hello"), Events.text(0, "Hello, "), Events.text(7, "world"), message),
      "Hello, world\n"
    )
    assert.strictEqual(show(message), "Hello, world\n")
    const warning = Events.record({ _tag: "Warning", message: "careful" })
    assert.strictEqual(show(Events.text(0, "Hello, "), warning, message), "Hello, \n! careful\nworld\n")
  })

  it("breaks text between words on a terminal, and drops nothing when something comes in between", () => {
    const long = "Some words that do not fit into one narrow line."
    const pieces = Array.from({ length: 12 }, (_, index) =>
      Events.text(index * 4, long.slice(index * 4, index * 4 + 4))
    )
    const message = Events.item({ _tag: "AssistantMessage", text: long })
    const narrow = { columns: 20, wraps: true }
    const wrapped = "Some words that do\nnot fit into one\nnarrow line.\n"
    assert.strictEqual(play([...pieces, message], narrow).text, wrapped)
    assert.strictEqual(play([message], narrow).text, wrapped)
    assert.strictEqual(play([...pieces, message], { columns: 20 }).text, `${long}\n`)
    const warning = Events.record({ _tag: "Warning", message: "careful" })
    const broken = play([Events.text(0, "one tw"), warning, Events.text(6, "o"), Events.done(0)], narrow).text
    assert.isTrue(broken.startsWith("one tw\n! careful\no\n"), broken)
    const thought: SessionEvent = { ...Events.text(0, "let me see"), _tag: "ReasoningDelta" } as SessionEvent
    const both = play([thought, Events.text(0, "Yes", "0.9"), Events.done(0)], { ...narrow, color: true }).text
    const failure = Events.record({
      _tag: "TurnFailed",
      turnId: Events.turnId,
      error: { tag: "E", message: "it did not go well at all" },
      kept: [],
      usage: Events.usage
    })
    const { text: failed } = play([Events.started, failure], { columns: 40, wraps: true })
    assert.match(
      failed,
      /^\n✗ it did not go well at all\n✗ failed · 0\.0 s\n1234 tokens \(in 1000 of which 200\ncached, out 234\)\nsession\n[\da-f-]{36}\n$/
    )
    assert.include(both, "\x1b[2mlet me\x1b[22m\x1b[2m see\x1b[22m\nYes\n")
  })

  it("shows a command, its output and its exit code", () => {
    assert.strictEqual(
      show(
        Events.text(0, "Let me look."),
        Events.item({ _tag: "AssistantMessage", text: "Let me look." }),
        Events.command("ls -l\npwd"),
        Events.running,
        Events.output(0, "a\nb"),
        Events.exited(2),
        Events.ran({ exitCode: 2, output: "a\nb" }),
        Events.text(0, "So.", "0.9"),
        Events.item({ _tag: "AssistantMessage", text: "So." }, 0, "0.9")
      ),
      "Let me look.\n\n$ ls -l\n  pwd\n  a\n  b\n  ✗ exit 2 · 1.5 s\n\nSo.\n"
    )
  })

  it("folds a long output and cuts long lines", () => {
    const lines = Array.from({ length: 52 }, (_, index) => (index === 0 ? "x".repeat(100) : `line ${index + 1}`))
    const shown = show(
      Events.command("make"),
      Events.running,
      Events.output(0, `${lines.join("\n")}\n`),
      Events.exited(0),
      Events.ran()
    ).split("\n")
    assert.deepStrictEqual(shown, [
      "$ make",
      `  ${"x".repeat(57)}…`,
      "  line 2",
      "  line 3",
      "  line 4",
      "  … 42 lines",
      "  line 47",
      "  line 48",
      "  line 49",
      "  line 50",
      "  line 51",
      "  line 52",
      "  ✓ exit 0 · 1.5 s",
      ""
    ])
  })

  it("shows a patch as a diff in colour", () => {
    const changes = [
      { path: "src/a.js", change: "update", diff: "@@ -1 +1 @@\n-old\n+new" },
      { path: "/x/b.js", change: "update", movePath: "c.js" }
    ] as const
    const events = [
      Events.call({ _tag: "Patch", changes }),
      Events.result("completed", { output: "Success", detail: { _tag: "Patch", changes } })
    ]
    assert.strictEqual(
      show(...events),
      "update src/a.js\n  @@ -1 +1 @@\n  -old\n  +new\nmove /x/b.js to c.js\n  ✓ done · 1.5 s\n"
    )
    const colored = play(events, { color: true }).text
    assert.include(colored, "\x1b[31m  -old\x1b[39m")
    assert.include(colored, "\x1b[32m  +new\x1b[39m")
  })

  it("shows in full what is asked, and what became of it", () => {
    const payload = { command: `echo ${"y".repeat(200)}`, cwd: "/w", why: "a\x1b[2Jb" }
    assert.strictEqual(
      show(
        Events.command(payload.command),
        Events.asks("command", payload),
        Events.settledBy({ _tag: "Approved", scope: "session" }),
        Events.running,
        Events.exited(0),
        Events.ran()
      ),
      `? Run this command?\n  $ ${payload.command}\n    cwd: /w\n    why: a␛[2Jb\n  → allowed for this session\n  ✓ exit 0 · 1.5 s\n`
    )
    const denied = show(
      Events.command("rm x"),
      Events.asks("command", { command: "rm x" }),
      Events.settledBy({ _tag: "Denied", reason: "no terminal" }),
      Events.result("denied")
    )
    assert.strictEqual(denied, "? Run this command?\n  $ rm x\n  → refused: no terminal\n  ✗ not run\n")
  })

  it("names each of several calls above its result, and once when it was asked for", () => {
    const other = CallId.make("call_2")
    const asked = show(
      Events.command("ls"),
      Events.command("pwd", other),
      Events.asks("command", { command: "ls" }),
      Events.record({ _tag: "Warning", message: "careful" }),
      Events.settledBy({ _tag: "Approved", scope: "once" }),
      Events.running,
      Events.exited(0),
      Events.result("denied", { id: other }),
      Events.ran()
    )
    assert.strictEqual(
      asked,
      "! careful\n? Run this command?\n  $ ls\n  → allowed once\n$ pwd\n  ✗ not run\n$ ls\n  ✓ exit 0 · 1.5 s\n"
    )
  })

  it("shows the changes that are asked for as a diff, each in full", () => {
    const changes = [
      { path: "a.js", kind: "update", diff: ["@@ -1 +1 @@", "-old", `+${"n".repeat(100)}`] },
      { path: "b.js", kind: "move", movePath: "c.js", diff: [] }
    ]
    assert.strictEqual(
      show(Events.asks("patch", { changes }), Events.settledBy({ _tag: "Approved", scope: "turn" })),
      `? Change these files?\n  update a.js\n    @@ -1 +1 @@\n    -old\n    +${"n".repeat(100)}\n  move b.js to c.js\n  → allowed for this turn\n`
    )
  })

  it("says what is missing from a damaged journal", () => {
    const resumed = (damage: { readonly bytes: number; readonly missingCount: number }) =>
      show(Events.record({ _tag: "SessionResumed", cutBytes: 0, damage }))
    assert.strictEqual(
      resumed({ bytes: 30, missingCount: 0 }),
      "! the journal is damaged: 30 bytes between its records are not readable\n"
    )
    assert.strictEqual(
      resumed({ bytes: 30, missingCount: 1 }),
      "! the journal is damaged: 30 bytes between its records are not readable, and 1 record is missing\n"
    )
    assert.strictEqual(resumed({ bytes: 0, missingCount: 2 }), "! the journal is damaged: 2 records are missing\n")
  })

  it("reports a crash before this run, and not that the turn of this run was stopped", () => {
    const { sessionId, turnId, usage, callId } = Events
    const shown = show(
      Events.record({ _tag: "SessionResumed", cutBytes: 12, cutFile: "a.cut" }),
      Events.settledBy({ _tag: "Approved", scope: "once" }),
      Events.item({ _tag: "ToolResult", callId, name: "exec_command", status: "unknown", output: "" }),
      Events.record({
        ...cleanAbort,
        turnId,
        usage,
        crashed: true
      })
    )
    assert.strictEqual(
      shown,
      "! the journal was damaged: its last 12 bytes are kept in a.cut\n" +
        "! spindle was killed while `exec_command` ran; its result is unknown\n" +
        "! the previous turn was cut off: spindle was killed\n\n"
    )
    assert.notInclude(shown, sessionId)
  })

  it("says how a command ended that has no exit code", () => {
    const end = (...how: Parameters<typeof Events.ran>) => show(Events.command("x"), Events.ran(...how))
    assert.strictEqual(end({ exitCode: 143 }), "$ x\n  ✗ exit 143 (SIGTERM) · 1.5 s\n")
    assert.strictEqual(end({ exitCode: null, signal: "SIGKILL" }), "$ x\n  ✗ killed by SIGKILL · 1.5 s\n")
    const late = { exitCode: null, signal: "SIGTERM", timedOut: true, durationMillis: 800 } as const
    assert.strictEqual(end(late), "$ x\n  ✗ timed out after 0.8 s\n")
    assert.strictEqual(end({ output: "half" }, { status: "aborted" }), "$ x\n  half\n  ✗ stopped after 1.5 s\n")
    assert.strictEqual(
      show(Events.command("x"), Events.result("unknown")),
      "$ x\n  ✗ spindle was killed while it ran; its result is unknown\n"
    )
  })

  it("says that a command continues in the background, and not that it has failed", () => {
    const call = [Events.command("npm start"), Events.running, Events.output(0, "ready\n")]
    const yielded = Events.ran({ exitCode: null, output: "ready\n", processId: Events.processId })
    const shown = "$ npm start\n  ready\n  … runs in the background · 1.5 s\n"
    assert.strictEqual(show(...call, yielded), shown)
    assert.strictEqual(show(...call, Events.exited(2), yielded), shown.replace(/….*d/, "✗ exit 2"))
  })

  it("shows what a command printed, live and from a journal, which has it in the detail of the result alone", () => {
    const records = [Events.command("make"), Events.running, Events.exited(3)]
    const end = Events.ran({ exitCode: 3, output: "one\ntwo\n" })
    const read = show(Events.started, ...records, end)
    assert.strictEqual(read, "$ make\n  one\n  two\n  ✗ exit 3 · 1.5 s\n")
    const live = [...records.slice(0, 2), Events.output(0, "one\ntwo\n"), records[2]!]
    assert.strictEqual(show(Events.started, ...live, end), read)
  })

  it("shows a call that says nothing about itself by its name, its arguments and the text of its result", () => {
    assert.strictEqual(
      show(
        Events.call(undefined, { name: "lookup", params: { words: ["a", "b"], limit: 3 } }),
        Events.result("completed", { output: "1\n2\n3\n4" })
      ),
      "• lookup words: a, b, limit: 3\n  1\n  2\n  3\n  ✓ done · 1.5 s\n"
    )
  })

  it("shows an error that a tool has reported as a failure", () => {
    const detail = { _tag: "Mcp", isError: true, durationMillis: 3 } as const
    assert.strictEqual(
      show(
        Events.call({ _tag: "Mcp", server: "docs", tool: "find" }),
        Events.result("completed", { output: "no", detail })
      ),
      "• docs.find\n  no\n  ✗ failed · 1.5 s\n"
    )
  })

  it("shows what the user said only if it is asked to", () => {
    const said = (text: string) =>
      Events.item({ _tag: "UserMessage", content: [{ _tag: "Text", text }], submissionId: SubmissionId.make("s") })
    assert.strictEqual(show(said("hello")), "")
    assert.strictEqual(play([said("hello"), said("again")], { showsInput: true }).text, "> hello\n\n> again\n")
  })

  it("does not name the asker of a question of the shown session, even if another session started it", () => {
    const asked = { ...Events.asks("command", { command: "ls" }), path: [SessionId.make("parent"), Events.sessionId] }
    const text = show(asked, Events.settledBy({ _tag: "Approved", scope: "once" }))
    assert.strictEqual(text, "? Run this command?\n  $ ls\n  → allowed once\n")
  })

  it("never passes on control characters of a model, a command or a file", () => {
    const evil = "\x1b]0;owned\x07\x1b[2J"
    const { text } = play([
      Events.text(0, evil),
      Events.item({ _tag: "AssistantMessage", text: evil }),
      Events.command(`echo ${evil}`),
      Events.running,
      Events.output(0, `\x1b${evil}\x9b`),
      Events.exited(1),
      Events.result("failed", { output: evil }),
      Events.call({ _tag: "Patch", changes: [{ path: evil, change: "add", diff: `+${evil}` }] }),
      Events.result("failed", { output: evil }),
      Events.call(undefined, { name: `tool${evil}`, params: { a: evil } }),
      Events.result("completed", { output: evil }),
      Events.call({ _tag: "Mcp", server: evil, tool: evil }),
      Events.result("completed", { output: evil }),
      Events.call({ _tag: "Agent", operation: "spawn", targets: [], prompt: evil, role: evil }),
      Events.result("completed", {
        detail: { _tag: "Agent", agents: [{ agentId: SessionId.make(evil), name: evil, status: "running" }] }
      }),
      Events.call({ _tag: "Plan", explanation: evil, steps: [{ step: evil, status: "pending" }] }),
      Events.result("completed"),
      Events.call({ _tag: "Other", title: evil }),
      Events.result("completed"),
      Events.asks("command", { [evil]: evil }),
      Events.record({ _tag: "Warning", message: evil }),
      Events.record({
        _tag: "TurnFailed",
        turnId: Events.turnId,
        error: { tag: "x", message: evil },
        kept: [],
        usage: Events.usage
      })
    ])
    // oxlint-disable-next-line no-control-regex
    assert.notMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
  })

  it("shows retries, and text that they broke off", () => {
    assert.strictEqual(
      show(
        Events.text(0, "Hal"),
        Events.item({ _tag: "AssistantMessage", text: "Hal", partial: "superseded" }),
        Events.record({
          _tag: "ModelRetrying",
          turnId: Events.turnId,
          requestId: Events.requestId,
          attempt: 1,
          maxAttempts: 5,
          delayMillis: 200,
          kind: "Disconnected",
          detail: "stream broke"
        })
      ),
      "Hal\n(broken off)\n! stream broke; trying again in 0.2 s (1/5)\n"
    )
  })

  it("ends with a summary that is broken between its parts, so that the name of the session stays with its id", () => {
    assert.strictEqual(
      play([Events.started, Events.done()], { columns: 80, wraps: true }).text,
      `\n✓ done · 12 s · 1234 tokens (in 1000 of which 200 cached, out 234)\nsession ${Events.sessionId}\n`
    )
  })

  it("ends with the tokens of agents that no footer has shown, and with what is left of the context", () => {
    const requested = Events.record({
      _tag: "ModelRequested",
      turnId: Events.turnId,
      requestId: Events.requestId,
      attempt: 1,
      provider: "any",
      model: "known"
    })
    const responded = Events.record({
      _tag: "ModelResponded",
      turnId: Events.turnId,
      requestId: Events.requestId,
      finish: "stop",
      usage: Events.usage
    })
    const options = { contextWindow: (model: string) => (model === "known" ? 5_000 : undefined) }
    const footer = (...events: ReadonlyArray<SessionEvent>) => {
      const { state } = play(events, options)
      const [next, text] = Transcript.step(Transcript.countAgents(state, 3_000), Events.done())
      return { next, text: text.split(" · ").slice(3, -1) }
    }
    const { next, text } = footer(Events.started, requested, responded)
    assert.deepStrictEqual(text, ["agents 3000", "4234 in total", "75 % of the context left"])
    assert.notInclude(Transcript.step(next, Events.done())[1], "agents")
    const aside = { ...requested, aside: true } as SessionEvent
    const estimated = { ...responded, estimated: true } as SessionEvent
    const replaced = Events.record({ _tag: "HistoryReplaced", turnId: Events.turnId, items: [] })
    for (const unknown of [[aside, responded], [requested, estimated], [requested, responded, replaced], [responded]]) {
      assert.deepStrictEqual(footer(Events.started, ...unknown).text, ["agents 3000", "4234 in total"])
    }
  })

  it("ends with a summary, and says how to resume what was stopped", () => {
    assert.strictEqual(
      show(Events.started, Events.done()),
      `\n✓ done · 12 s · 1234 tokens (in 1000 of which 200 cached, out 234) · session ${Events.sessionId}\n`
    )
    const aborted = Events.record(
      {
        ...cleanAbort,
        turnId: Events.turnId,
        stragglers: [{ kind: "delegate", name: "Ada" }],
        usage: Events.usage
      },
      61_000
    )
    assert.include(show(Events.started, aborted), "! Ada is still stopping\n■ stopped · 1 min 1 s")
    assert.include(show(Events.started, aborted), `resume: spindle exec resume ${Events.sessionId}\n`)
  })
})

describe("status", () => {
  it("says what is awaited, for how long, and how much was used", () => {
    const { state } = play([Events.started])
    assert.strictEqual(Transcript.status(state, 3_000), "⠋ thinking · 3 s · Ctrl-C stops")
    const busy = play([
      Events.started,
      Events.record({
        _tag: "ModelResponded",
        turnId: Events.turnId,
        requestId: Events.requestId,
        finish: "tool-calls",
        usage: Events.usage
      }),
      Events.command("npm\ntest"),
      Events.running
    ]).state
    assert.strictEqual(Transcript.status(busy, 100), "⠙ npm test · 0 s · 1234 tokens · Ctrl-C stops")
  })

  it("is not there before a turn, after it, and while a line is open", () => {
    assert.strictEqual(Transcript.status(play([]).state, 0), undefined)
    assert.strictEqual(Transcript.status(play([Events.started, Events.text(0, "Hel")]).state, 0), undefined)
    assert.strictEqual(Transcript.status(play([Events.started, Events.done()]).state, 0), undefined)
  })

  it("fits the terminal", () => {
    const { state } = play([Events.started], { columns: 20 })
    assert.strictEqual(Transcript.status(state, 0), "⠋ thinking · 0 s ·…")
  })
})
