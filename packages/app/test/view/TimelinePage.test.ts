import { assert, describe, it } from "@effect/vitest"
import {
  CallId,
  ItemId,
  ModelRequestId,
  ProcessId,
  QuestionId,
  SessionId,
  SubmissionId,
  TurnId
} from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import type { KnownRecord, NewRecord } from "@spindle/core/SessionEvent"
import * as Timeline from "@spindle/app/Timeline"
import * as TimelinePage from "@spindle/app/TimelinePage"
import { Effect } from "effect"
import { style } from "../../src/view/timeline/style.ts"
import { session } from "../fixtures/timelineSession.ts"

const turnId = TurnId.make("turn")
const id = ItemId.make("item")

const renderRecords = (records: ReadonlyArray<NewRecord>, sessionId = "session"): string =>
  TimelinePage.render(
    Timeline.make(
      SessionId.make(sessionId),
      records.map((record, seq): KnownRecord => ({ seq, at: seq, ...record }))
    )
  )

const prompt = (text: string): NewRecord => ({
  _tag: "ItemRecorded",
  turnId,
  item: { _tag: "UserMessage", id, content: Input.text(text) }
})

describe("the page of a session", () => {
  const page = Effect.map(session, ({ records, sessionId }) => TimelinePage.render(Timeline.make(sessionId, records)))

  it("says what agents have used, and the sum", () => {
    const delegateId = SessionId.make("agent")
    const usage = { input: 1000, cachedInput: 200, output: 234, reasoning: 0, total: 1234 }
    const own: ReadonlyArray<NewRecord> = [
      { _tag: "TurnStarted", turnId, kind: "regular" },
      { _tag: "DelegateStarted", turnId, delegateId, name: "Ada", linked: true, depth: 1 }
    ]
    const ended: NewRecord = { _tag: "DelegateEnded", delegateId, status: "completed" }
    const done: NewRecord = { _tag: "TurnCompleted", turnId, usage }
    assert.include(
      renderRecords([...own, { ...ended, spent: { tokens: 3000, started: 0 } }, done]),
      "1,234 (in 1,000, cached 200, out 234), agents 3,000, 4,234 in total"
    )
    assert.notInclude(renderRecords([...own, ended, done]), "in total")
  })

  it.effect("needs nothing from elsewhere, and runs nothing", () =>
    Effect.gen(function* () {
      const html = yield* page
      assert.match(html, /^<!doctype html>/)
      assert.include(html, "default-src 'none'; style-src 'unsafe-inline'")
      assert.notMatch(html, /<(script|link|img|iframe|object|embed)\b/i)
      assert.notMatch(html, /\b(src|href)="(?!#)/)
      assert.notMatch(html, /url\(|@import/)
    })
  )

  it.effect("escapes what is in the journal", () =>
    Effect.gen(function* () {
      const html = yield* page
      assert.include(html, "Done &#60;script&#62;alert(1)&#60;/script&#62;")
      assert.include(html, "&#60;b&#62;&#38;amp;")
    })
  )

  it.effect("shows each turn with its outcome, its bars and its messages", () =>
    Effect.gen(function* () {
      const html = yield* page
      for (const text of [
        'id="turn-1" class="turn completed"',
        'id="turn-2" class="turn failed"',
        'id="turn-3" class="turn aborted"',
        "ModelFailed: scripted Unauthorized",
        "asks: command",
        "500 ms · exit 0",
        "Messages ("
      ]) {
        assert.include(html, text)
      }
      assert.strictEqual(html.match(/class="bar /g)?.length, 5 + 1 + 3)
    })
  )

  it("has the name of the session as its title, or the first prompt", () => {
    const started: NewRecord = { _tag: "TurnStarted", turnId, kind: "regular" }
    const notice: NewRecord = {
      _tag: "ItemRecorded",
      turnId,
      item: { _tag: "UserMessage", id, content: Input.text("a notice"), fragment: "notice" }
    }
    const html = renderRecords([started, notice, prompt("\n  Repair the <test>\nand more"), prompt("later")])
    assert.include(html, "<title>Repair the &#60;test&#62;</title>")
    assert.include(html, "<h1>Repair the &#60;test&#62;</h1>")
    assert.include(renderRecords([started]), "<title>Session session</title>")
    assert.include(
      renderRecords([started, prompt("first"), { _tag: "SessionRenamed", title: "A name" }]),
      "<h1>A name</h1>"
    )
  })

  it("shows characters that cannot be seen by their number, and keeps those of emoji", () => {
    const html = renderRecords([
      { _tag: "TurnStarted", turnId, kind: "regular" },
      prompt("a\u202eb\u200bc\u{e0041}d\u001b[31me\ud800f\u3164g 👩‍👩‍👧 ❤️\r\n")
    ])
    const shown = ["U+202E", "U+200B", "U+E0041", "U+001B", "U+D800", "U+3164"]
    for (const number of shown) assert.include(html, `<span class="hidden">${number}</span>`)
    assert.include(html, "<title>a[U+202E]b")
    assert.include(html, "👩‍👩‍👧 ❤️")
  })

  const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\u2066\u001b]0;x\u0007\u0000\u200b\u{e0001}`
  const attack = `</title></style></span>${hostile}`

  it("escapes every string of every record", () => {
    const callId = CallId.make(`call${attack}`)
    const requestId = ModelRequestId.make(`request${attack}`)
    const questionId = QuestionId.make(`question${attack}`)
    const processId = ProcessId.make(`process${attack}`)
    const agent = SessionId.make(`agent${attack}`)
    const change = {
      path: attack,
      change: "update",
      movePath: attack,
      diff: `+${attack}\n-${attack}\n@@${attack}`
    } as const
    const items: ReadonlyArray<Extract<NewRecord, { readonly _tag: "ItemRecorded" }>["item"]> = [
      { _tag: "UserMessage", id, content: Input.text(attack) },
      { _tag: "DeveloperMessage", id, text: attack },
      { _tag: "Reasoning", id, text: attack },
      { _tag: "AssistantMessage", id, text: attack },
      ...(
        [
          undefined,
          { _tag: "Command", command: attack, cwd: attack },
          { _tag: "Patch", changes: [change] },
          {
            _tag: "Agent",
            operation: "spawn",
            targets: [agent],
            prompt: attack,
            role: attack,
            model: attack,
            effort: attack
          },
          { _tag: "Mcp", server: attack, tool: attack },
          { _tag: "Search", query: attack },
          { _tag: "Plan", steps: [{ step: attack, status: "pending" }], explanation: attack },
          { _tag: "Image", path: attack },
          { _tag: "Other", title: attack }
        ] as const
      ).map((display, index) => ({
        _tag: "ToolCall" as const,
        id,
        callId: CallId.make(`${callId}${index}`),
        name: attack,
        params: { [attack]: attack },
        ...(display === undefined ? {} : { display })
      })),
      ...(
        [
          undefined,
          { _tag: "Command", exitCode: null, signal: attack, durationMillis: 1, output: attack },
          { _tag: "Patch", changes: [change] },
          { _tag: "Agent", agents: [{ agentId: agent, name: attack, status: "running", message: attack }] },
          { _tag: "Mcp", isError: true, durationMillis: 1 }
        ] as const
      ).map((detail, index) => ({
        _tag: "ToolResult" as const,
        id,
        callId: CallId.make(`${callId}${index}`),
        name: attack,
        status: "completed" as const,
        output: attack,
        ...(detail === undefined ? {} : { detail })
      }))
    ]
    const html = renderRecords(
      [
        {
          _tag: "SessionStarted",
          sessionId: agent,
          forkedFrom: agent,
          meta: { [attack]: attack }
        },
        { _tag: "TurnStarted", turnId, kind: attack, trace: { traceparent: `00-${attack}-x-01` } },
        { _tag: "DelegateStarted", turnId, delegateId: agent, name: attack, linked: false, depth: 1 },
        ...items.map((item): NewRecord => ({ _tag: "ItemRecorded", turnId, item })),
        { _tag: "ModelRequested", turnId, requestId, attempt: 2, provider: attack, model: attack },
        { _tag: "QuestionOpened", turnId, questionId, kind: "command", payload: { [attack]: attack }, path: [agent] },
        { _tag: "ProcessStarted", turnId, processId, command: [attack], cwd: attack, keep: true },
        { _tag: "ProcessEnded", processId, exitCode: null, signal: attack },
        { _tag: "Warning", message: attack },
        { _tag: "SessionRenamed", title: attack },
        { _tag: "TaskNote", turnId, name: attack, data: attack, message: attack },
        { _tag: "InputBlocked", turnId, submissionId: SubmissionId.make(attack), reason: attack },
        {
          _tag: "TurnFailed",
          turnId,
          error: { tag: attack, message: attack },
          lastMessage: attack,
          kept: [],
          usage: { input: 0, cachedInput: 0, output: 0, reasoning: 0, total: 0 }
        }
      ],
      attack
    )
    assert.notMatch(html, /<(script|img)/i)
    assert.strictEqual(html.match(/<\/title>/g)?.length, 1)
    assert.strictEqual(html.match(/<\/style>/g)?.length, 1)
    // what is left of the attack is text, in which every character is seen
    assert.notMatch(html.replaceAll("\n", ""), /[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/u)
    // each tag is one that the page writes, with its attributes in order
    const tags = html.match(/<[^>]*>/g)!
    for (const one of tags) {
      assert.match(one, /^<(!doctype html|\/?[a-z]+[0-9]?( [a-z-]+="[^"<>]*")*)>$/, one)
    }
  })

  it("survives times and numbers that make no sense", () => {
    const html = TimelinePage.render(
      Timeline.make(SessionId.make("session"), [
        { _tag: "TurnStarted", seq: 0, at: 1e300, turnId, kind: "regular" },
        { _tag: "Warning", seq: 1, at: -1e300, message: "late" }
      ])
    )
    assert.include(html, "at an unknown time")
  })
})

describe("the style of the page", () => {
  const variablesOf = (css: string) =>
    Object.fromEntries([...css.matchAll(/--([a-z]+):(#[0-9a-f]{3,6})/g)].map(([, name, value]) => [name!, value!]))
  const [light, dark] = [/^:root\{(.*?)\}/ms, /prefers-color-scheme:dark\)\{:root\{(.*?)\}/s].map((pattern) =>
    variablesOf(pattern.exec(style.trim())![1]!)
  )

  /** Relative luminance and contrast, as WCAG 2.2 defines them. */
  const luminance = (colour: string): number => {
    const hex = colour.length === 4 ? colour.slice(1).replace(/./g, "$&$&") : colour.slice(1)
    const [red, green, blue] = [0, 2, 4].map((at) => {
      const channel = Number.parseInt(hex.slice(at, at + 2), 16) / 255
      return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!
  }
  const contrast = (one: string, other: string): number => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b)
    return (high! + 0.05) / (low! + 0.05)
  }

  const rules = [...style.matchAll(/([^{}]+)\{([^{}]*)\}/g)].map(([, selector, body]) => ({
    selector: selector!.trim(),
    colour: /(?:^|;)color:var\(--([a-z]+)\)/.exec(body!)?.[1],
    background: /(?:^|;)background:var\(--([a-z]+)\)/.exec(body!)?.[1]
  }))

  it.each([
    ["light", light!],
    ["dark", dark!]
  ] as const)("has a contrast of 4.5:1 for every text in the %s scheme", (_, variables) => {
    const texts = rules.flatMap(({ background, colour, selector }) =>
      colour === undefined
        ? []
        : (background === undefined ? ["bg", "card"] : [background]).map((surface) => ({ colour, selector, surface }))
    )
    assert.isAbove(texts.length, 20)
    for (const { colour, selector, surface } of texts) {
      const ratio = contrast(variables[colour]!, variables[surface]!)
      assert.isAtLeast(ratio, 4.5, `${selector}: ${colour} on ${surface}`)
    }
  })

  it("sets the colour of a text together with a background that is not a surface of the page", () => {
    const coloured = rules.filter(({ selector }) => /badge|overview|hidden|diff/.test(selector))
    for (const { background, colour, selector } of coloured) {
      if (background !== undefined) assert.isDefined(colour, selector)
    }
  })

  it("leaves half of a width of 500 pixels to each column of a row", () => {
    const [, narrow] = /@media\(max-width:640px\)\{(.*)\}\n@media print/s.exec(style)!
    assert.match(narrow!, /\.row,\.row>summary\{grid-template-columns:1fr 45%\}/)
    assert.match(narrow!, /\.track\{grid-column:1\/-1;grid-row:2\}/)
    // nothing in the narrow page has a fixed width or margin that takes more than a tenth of it
    const lengths = [...narrow!.matchAll(/(\d+)px/g)].map(([, pixels]) => Number(pixels))
    assert.isAtMost(Math.max(...lengths), 50)
    assert.notMatch(style.replace(narrow!, ""), /(?:^|;|\{)(?:min-)?width:(?:[1-9]\d\d)px/m)
  })

  it("shows that a row opens, and when it is open", () => {
    assert.include(style, '.row>summary>.label::before{content:"▸"')
    assert.include(style, '.row[open]>summary>.label::before{content:"▾"}')
  })
})
