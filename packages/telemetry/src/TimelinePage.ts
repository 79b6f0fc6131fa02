/**
 * A timeline as one HTML page: no script, nothing from elsewhere, readable from a disk and in print.
 *
 * Whatever the journal says is escaped, and the page's own policy forbids scripts and requests.
 */
import { style } from "./internal/timelineStyle.ts"
import type { Bar, Note, Said, Timeline, TurnLane } from "./Timeline.ts"
import { nested } from "./Timeline.ts"

/** The page of a timeline. */
export const render = (timeline: Timeline): string => {
  const { meta, notes, sessionId, turns } = timeline
  const title = meta["title"] ?? `Session ${sessionId}`
  return [
    "<!doctype html>",
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<title>${escape(title)}</title><style>${style}</style></head><body>`,
    header(timeline, title),
    overview(timeline),
    legend,
    ...turns.flatMap((turn, index) => [notesBefore(notes, index), section(turn)]),
    notesBefore(notes, turns.length),
    turns.length === 0 ? '<p class="empty">Nothing ran in this session yet.</p>' : "",
    "</body></html>\n"
  ].join("\n")
}

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

const tag = (name: string, attributes: { readonly [name: string]: string }, ...inside: ReadonlyArray<string>): string =>
  `<${name}${Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${escape(value)}"`)
    .join("")}>${inside.join("")}</${name}>`

/** A duration for people. */
const duration = (millis: number): string => {
  if (millis < 1_000) return `${Math.round(millis)} ms`
  if (millis < 60_000) return `${(millis / 1_000).toFixed(millis < 10_000 ? 2 : 1)} s`
  const seconds = Math.round(millis / 1_000)
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

const count = (number: number, noun: string): string =>
  `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`
const moment = (at: number): string => new Date(at).toISOString().replace("T", " ").slice(0, 19)

const header = ({ at, endedAt, meta, sessionId, turns, usage }: Timeline, title: string): string => {
  const facts = [
    ["began", `${moment(at)} UTC`],
    ["lasted", duration(endedAt - at)],
    ["turns", String(turns.length)],
    [
      "tokens",
      `${usage.total.toLocaleString("en-US")} (in ${usage.input.toLocaleString("en-US")}, cached ${usage.cachedInput.toLocaleString("en-US")}, out ${usage.output.toLocaleString("en-US")})`
    ],
    // of a session without a title the id is the title
    ...(meta["title"] === undefined ? [] : [["session", sessionId]]),
    ...Object.entries(meta).filter(([name]) => name !== "title")
  ]
  return tag(
    "header",
    {},
    tag("h1", {}, escape(title)),
    tag(
      "dl",
      { class: "facts" },
      ...facts.map(([name, value]) => tag("div", {}, tag("dt", {}, escape(name!)), tag("dd", {}, escape(value!))))
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

/** All turns side by side, as wide as they took: the time between them is left out. */
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
    .map(({ at, text }) => tag("p", { class: "note" }, escape(`${moment(at)}  ${text}`)))
    .join("")

/** When a turn ended: its end, or the last that is known of it. */
const endOf = (turn: TurnLane): number =>
  Math.max(turn.endedAt ?? turn.at, ...turn.bars.map((bar) => bar.endedAt ?? bar.at), ...turn.marks.map(({ at }) => at))

const section = (turn: TurnLane): string => {
  const asked = turn.said.find(({ by }) => by === "user")
  const answer = turn.lastMessage ?? turn.said.findLast(({ by }) => by === "assistant")?.text
  return tag(
    "section",
    { id: `turn-${turn.number}`, class: `turn ${turn.outcome}` },
    heading(turn),
    asked === undefined ? "" : tag("blockquote", {}, escape(asked.text)),
    turn.bars.length + turn.marks.length === 0 ? "" : chart(turn),
    answer === undefined ? "" : tag("div", { class: "answer" }, escape(answer)),
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
    reason === undefined ? "" : tag("span", { class: "reason" }, escape(reason)),
    tag(
      "small",
      {},
      escape(
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
    turn.marks.length === 0 ? "" : marks(turn, axis),
    ...nested(turn.bars).map(({ bar, depth }) => row(bar, depth, axis))
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
        escape(millis === 0 ? "0" : duration(millis))
      )
    )
  )
}

const marks = (turn: TurnLane, axis: Axis): string =>
  tag(
    "div",
    { class: "row" },
    tag("span", { class: "label" }, "events"),
    tag(
      "span",
      { class: "track" },
      ...turn.marks.map(({ at, kind, text }) =>
        tag("i", { class: `mark ${kind}`, style: `left:${percent(position(axis, at))}`, title: `${kind}: ${text}` })
      )
    ),
    tag(
      "span",
      { class: "told", title: turn.marks.map(({ kind, text }) => `${kind}: ${text}`).join("\n") },
      escape(turn.marks.map(({ kind, text }) => `${kind}: ${firstLine(text)}`).join(" · "))
    )
  )

const firstLine = (text: string): string => {
  const line = text.split("\n", 1)[0]!
  return line.length > 140 ? `${line.slice(0, 139)}…` : line
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
      tag(
        "span",
        { class: `label depth${depth}` },
        tag("i", { class: `swatch ${bar.kind}` }),
        escape(firstLine(label))
      ),
      tag(
        "span",
        { class: "track" },
        tag("i", {
          class: `bar ${bar.kind} ${bar.mood}`,
          style: `left:${percent(left)};width:max(3px,${percent(right - left)})`
        })
      ),
      tag("span", { class: `told ${bar.mood}` }, escape(`${took} · ${bar.note ?? bar.status}`))
    ),
    tag(
      "dl",
      { class: "details" },
      ...bar.details.map(([name, value]) =>
        tag("div", {}, tag("dt", {}, escape(name)), tag("dd", {}, tag("pre", {}, escape(value))))
      )
    )
  )
}

const speakers: { readonly [by in Said["by"]]: string } = {
  user: "user",
  assistant: "assistant",
  reasoning: "reasoning",
  developer: "context"
}

const transcript = (turn: TurnLane): string =>
  turn.said.length === 0
    ? ""
    : tag(
        "details",
        { class: "said" },
        tag("summary", {}, `What was said (${turn.said.length})`),
        ...turn.said.map(({ at, by, text }) =>
          tag(
            "div",
            { class: by },
            tag("b", {}, escape(`${speakers[by]} · ${duration(at - turn.at)}`)),
            tag("pre", {}, escape(text))
          )
        )
      )
