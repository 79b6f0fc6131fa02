/**
 * Renders a timeline as one HTML page without scripts and requests, which can be read from a disk and printed.
 *
 * Everything from the journal is escaped, invisible characters are shown by their number, and the policy of the page
 * forbids scripts and requests.
 */
import { duration } from "./timeline/durations.ts"
import * as Html from "./timeline/html.ts"
import type { Bar, Detail, Message, Note, Timeline, TurnLane } from "./timeline/model.ts"
import { style } from "./timeline/style.ts"
import { nest } from "./Timeline.ts"

const { tag, text } = Html

/** Renders the page of a timeline. */
export const render = (timeline: Timeline): string => {
  const { notes, sessionId, turns } = timeline
  const title = firstLine(timeline.title ?? `Session ${sessionId}`)
  return [
    "<!doctype html>",
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<title>${Html.escapePlain(title)}</title><style>${style}</style></head><body>`,
    header(timeline, title),
    overview(timeline),
    legend,
    ...turns.flatMap((turn, index) => [notesBefore(notes, index), section(turn)]),
    notesBefore(notes, turns.length),
    turns.length === 0 ? '<p class="empty">This session has no turns yet.</p>' : "",
    "</body></html>\n"
  ].join("\n")
}

const count = (number: number, noun: string): string =>
  `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`
const moment = (at: number): string => {
  const date = new Date(at)
  return Number.isNaN(date.getTime()) ? "at an unknown time" : date.toISOString().replace("T", " ").slice(0, 19)
}

/** Returns the tokens of a session: its own, those of its agents, and the sum. */
const tokensOf = ({ agentTokens, usage }: Timeline): string => {
  const number = (value: number) => value.toLocaleString("en-US")
  const own = `${number(usage.total)} (in ${number(usage.input)}, cached ${number(usage.cachedInput)}, out ${number(usage.output)})`
  return agentTokens === 0
    ? own
    : `${own}, agents ${number(agentTokens)}, ${number(usage.total + agentTokens)} in total`
}

const header = (timeline: Timeline, title: string): string => {
  const { at, endedAt, meta, sessionId, turns } = timeline
  const facts = [
    ["started", `${moment(at)} UTC`],
    ["duration", duration(endedAt - at)],
    ["turns", String(turns.length)],
    ["tokens", tokensOf(timeline)],
    ["session", sessionId],
    ...Object.entries(meta)
  ]
  return tag(
    "header",
    {},
    tag("h1", {}, text(title)),
    tag(
      "dl",
      { class: "facts" },
      ...facts.map(([name, value]) => tag("div", {}, tag("dt", {}, text(name!)), tag("dd", {}, text(value!))))
    )
  )
}

const legend = tag(
  "p",
  { class: "legend" },
  ...(["model", "tool", "approval", "process", "delegate"] as const).map((kind) =>
    tag("span", {}, tag("i", { class: `swatch ${kind}` }), kind === "approval" ? "question" : kind)
  ),
  tag("span", {}, tag("i", { class: "swatch bad" }), "failed"),
  tag("span", {}, tag("i", { class: "swatch stopped" }), "aborted")
)

/** Renders all turns next to each other, as wide as their duration, without the time between them. */
const overview = ({ turns }: Timeline): string => {
  if (turns.length < 2) return ""
  const widths = turns.map((turn) => Math.max(1, endOf(turn) - turn.at))
  return tag(
    "nav",
    { class: "overview", "aria-label": "turns" },
    ...turns.map((turn, index) =>
      tag(
        "a",
        {
          href: `#turn-${turn.number}`,
          class: turn.outcome,
          style: `flex-grow:${widths[index]}`,
          title: `turn ${turn.number}, ${turn.outcome}, ${duration(widths[index]!)}`
        },
        String(turn.number)
      )
    )
  )
}

const notesBefore = (notes: ReadonlyArray<Note>, turns: number): string =>
  notes
    .filter(({ afterTurns }) => afterTurns === turns)
    .map((note) => tag("p", { class: "note" }, text(`${moment(note.at)}  ${note.text}`)))
    .join("")

/** Returns the time at which a turn ended, or its last known time. */
const endOf = (turn: TurnLane): number =>
  [...turn.bars, ...turn.marks].reduce(
    (latest, one) => Math.max(latest, "endedAt" in one ? (one.endedAt ?? one.at) : one.at),
    turn.endedAt ?? turn.at
  )

const section = (turn: TurnLane): string => {
  const prompt = turn.messages.find(({ by }) => by === "user")
  const answer = turn.lastMessage ?? turn.messages.findLast(({ by }) => by === "assistant")?.text
  return tag(
    "section",
    { id: `turn-${turn.number}`, class: `turn ${turn.outcome}` },
    heading(turn),
    prompt === undefined ? "" : tag("blockquote", {}, text(prompt.text)),
    turn.bars.length + turn.marks.length === 0 ? "" : chart(turn),
    answer === undefined ? "" : tag("div", { class: "answer" }, text(answer)),
    transcript(turn)
  )
}

const outcomeWord = { completed: "completed", failed: "failed", aborted: "aborted", open: "not ended" } as const

const heading = (turn: TurnLane): string => {
  const { kind, number, outcome, reason, traceId, usage } = turn
  const of = (wanted: Bar["kind"]) => turn.bars.filter((bar) => bar.kind === wanted).length
  const counts = [
    [of("model"), "request"],
    [of("tool"), "tool call"],
    [of("process"), "process"],
    [of("approval"), "question"],
    [of("delegate"), "delegate"]
  ] as const
  return tag(
    "h2",
    {},
    tag("span", { class: "number" }, `Turn ${number}`),
    tag("span", { class: `badge ${outcome}` }, outcomeWord[outcome]),
    reason === undefined ? "" : tag("span", { class: "reason" }, text(reason)),
    tag(
      "small",
      {},
      text(
        [
          duration(endOf(turn) - turn.at),
          kind,
          ...counts
            .filter(([many]) => many > 0)
            .map(([many, noun]) => count(many, noun).replace("processs", "processes")),
          `${usage.total.toLocaleString("en-US")} tokens`,
          moment(turn.at),
          ...(traceId === undefined ? [] : [`trace ${traceId}`])
        ].join(" · ")
      )
    )
  )
}

interface Axis {
  readonly from: number
  readonly length: number
}

const position = ({ from, length }: Axis, at: number): number =>
  Math.min(100, Math.max(0, ((at - from) / length) * 100))
const percent = (number: number): string => `${number.toFixed(3)}%`

const chart = (turn: TurnLane): string => {
  const axis = { from: turn.at, length: Math.max(1, endOf(turn) - turn.at) }
  return tag(
    "div",
    { class: "chart" },
    ticks(axis),
    turn.marks.length === 0 ? "" : markRow(turn, axis),
    ...nest(turn.bars).map(({ bar, depth }) => row(bar, depth, axis))
  )
}

const steps = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000
]

const ticks = (axis: Axis): string => {
  const every = steps.find((step) => axis.length / step <= 6) ?? axis.length / 4
  const at = Array.from({ length: Math.floor(axis.length / every) + 1 }, (_, index) => index * every)
  return tag(
    "div",
    { class: "ticks" },
    ...at.map((millis) =>
      tag(
        "span",
        { style: `left:${percent(position(axis, axis.from + millis))}` },
        text(millis === 0 ? "0" : duration(millis))
      )
    )
  )
}

const markRow = (turn: TurnLane, axis: Axis): string =>
  tag(
    "div",
    { class: "row" },
    tag("span", { class: "label" }, "events"),
    tag(
      "span",
      { class: "track" },
      ...turn.marks.map(({ at, kind, text: event }) =>
        tag("i", { class: `mark ${kind}`, style: `left:${percent(position(axis, at))}`, title: `${kind}: ${event}` })
      )
    ),
    tag(
      "span",
      { class: "result", title: turn.marks.map((mark) => `${mark.kind}: ${mark.text}`).join("\n") },
      text(turn.marks.map((mark) => `${mark.kind}: ${firstLine(mark.text)}`).join(" · "))
    )
  )

const firstLine = (value: string): string => {
  const line = value.split("\n", 1)[0]!
  return line.length > 140 ? `${line.slice(0, 139).replace(/[\ud800-\udbff]$/, "")}…` : line
}

const row = (bar: Bar, depth: number, axis: Axis): string => {
  const left = position(axis, bar.at)
  const right = position(axis, bar.endedAt ?? axis.from + axis.length)
  const took = bar.endedAt === undefined ? "not ended" : duration(bar.endedAt - bar.at)
  const label = bar.kind === "approval" ? `asks: ${bar.name}` : bar.name
  return tag(
    "details",
    { class: "row" },
    tag(
      "summary",
      { title: `${bar.kind} ${bar.name}, ${bar.status}, ${took}` },
      tag("span", { class: `label depth${depth}` }, tag("i", { class: `swatch ${bar.kind}` }), text(firstLine(label))),
      tag(
        "span",
        { class: "track" },
        tag("i", {
          class: `bar ${bar.kind} ${bar.mood}`,
          style: `left:${percent(left)};width:max(3px,${percent(right - left)})`
        })
      ),
      tag("span", { class: `result ${bar.mood}` }, text(`${took} · ${bar.note ?? bar.status}`))
    ),
    tag(
      "dl",
      { class: "details" },
      ...bar.details.map((detail) =>
        tag("div", {}, tag("dt", {}, text(detail.name)), tag("dd", {}, detailValue(detail)))
      )
    )
  )
}

const detailValue = ({ form, value }: Detail): string =>
  form === "text" ? tag("pre", {}, text(value)) : tag("pre", { class: "diff" }, ...value.split("\n").map(diffLine))

const diffLine = (line: string): string => {
  const kind = line.startsWith("+") ? "add" : line.startsWith("-") ? "remove" : line.startsWith("@@") ? "hunk" : ""
  // an empty line keeps its height
  return tag("span", kind === "" ? {} : { class: kind }, line === "" ? " " : text(line))
}

const speakers: { readonly [by in Message["by"]]: string } = {
  user: "user",
  assistant: "assistant",
  reasoning: "reasoning",
  developer: "context"
}

const transcript = ({ at: startedAt, messages }: TurnLane): string =>
  messages.length === 0
    ? ""
    : tag(
        "details",
        { class: "messages" },
        tag("summary", {}, `Messages (${messages.length})`),
        ...messages.map(({ at, by, text: message }) =>
          tag(
            "div",
            { class: by },
            tag("b", {}, text(`${speakers[by]} · ${duration(at - startedAt)}`)),
            tag("pre", {}, text(message))
          )
        )
      )
