/** The findings of a review: their schema, their parser for the last message of a model, and their text for people. */
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"

/** Something that is wrong. Priority 0 is the most urgent, 3 the least. */
export const Finding = Schema.Struct({
  title: Schema.String,
  body: Schema.String,
  confidence_score: Schema.Finite,
  priority: Schema.Finite,
  code_location: Schema.optionalKey(
    Schema.Struct({ path: Schema.String, line_range: Schema.Struct({ start: Schema.Finite, end: Schema.Finite }) })
  )
})
/** @see {@link Finding} */
export type Finding = typeof Finding.Type

/** The findings of a review. */
export const ReviewOutput = Schema.Struct({
  findings: Schema.Array(Finding),
  overall_correctness: Schema.String,
  overall_explanation: Schema.String,
  overall_confidence_score: Schema.Finite
})
/** @see {@link ReviewOutput} */
export type ReviewOutput = typeof ReviewOutput.Type

/**
 * Reads the output of a review from a text: JSON, JSON in a fenced block or between other words, or prose. A missing
 * field gets a default, and a text without any finding becomes the explanation.
 */
export const parse = (text: string): ReviewOutput => {
  for (const candidate of candidates(text)) {
    const found = fromJson(candidate)
    if (found !== undefined) return found
  }
  return fromProse(text)
}

/** Returns the parts of a text that may be JSON, the likeliest first. */
const candidates = (text: string): ReadonlyArray<string> => {
  const fenced = Array.from(text.matchAll(/```[a-z]*[^\S\n]*\n(.*?)```/gis), ([, inner]) => inner!)
  const partBetween = (open: string, close: string) => {
    const [start, end] = [text.indexOf(open), text.lastIndexOf(close)]
    return start < 0 || end < start ? [] : [text.slice(start, end + 1)]
  }
  return [text, ...fenced.toReversed(), ...partBetween("{", "}"), ...partBetween("[", "]")]
}

const decodeJson = Schema.decodeUnknownExit(Schema.fromJsonString(Schema.Unknown))

type Fields = { readonly [name: string]: unknown }

const fieldsOf = (value: unknown): Fields | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined

const fromJson = (text: string): ReviewOutput | undefined => {
  const decoded = decodeJson(text)
  if (Exit.isFailure(decoded)) return undefined
  const fields = Array.isArray(decoded.value) ? { findings: decoded.value } : fieldsOf(decoded.value)
  if (fields === undefined) return undefined
  const { findings } = fields
  const explanation = textIn(fields, "overall_explanation", "explanation", "summary")
  const isOutput =
    Array.isArray(findings) && (findings.length === 0 || findings.some((one) => fieldsOf(one) !== undefined))
  if (!isOutput && explanation === undefined) return undefined
  return outputOf({
    findings: (Array.isArray(findings) ? findings : []).flatMap(findingOf),
    explanation: explanation ?? "",
    correctness: textIn(fields, "overall_correctness", "correctness"),
    confidence: numberIn(fields, "overall_confidence_score", "confidence_score", "confidence")
  })
}

const outputOf = (found: {
  readonly findings: ReadonlyArray<Finding>
  readonly explanation: string
  readonly correctness?: string | undefined
  readonly confidence?: number | undefined
}): ReviewOutput => ({
  findings: found.findings,
  overall_correctness: found.correctness ?? "",
  overall_explanation: found.explanation.trim(),
  overall_confidence_score: share(found.confidence)
})

const findingOf = (value: unknown): ReadonlyArray<Finding> => {
  const fields = fieldsOf(value)
  if (fields === undefined) return []
  const title = textIn(fields, "title", "name") ?? ""
  const body = textIn(fields, "body", "description", "message") ?? ""
  if (title === "" && body === "") return []
  const [, tagged, plain] = /^\s*\[?P([0-3])\]?:?\s*(.*)$/s.exec(title) ?? []
  const location = locationOf(fields)
  return [
    {
      title: oneLine(plain ?? (title === "" ? body.split("\n")[0]! : title)),
      body,
      confidence_score: share(numberIn(fields, "confidence_score", "confidence")),
      priority: priorityOf(
        numberIn(fields, "priority", "severity") ?? (tagged === undefined ? undefined : Number(tagged))
      ),
      ...(location === undefined ? {} : { code_location: location })
    }
  ]
}

const locationOf = (fields: Fields): Finding["code_location"] => {
  const place = fieldsOf(fields["code_location"]) ?? fieldsOf(fields["location"]) ?? fields
  const path = textIn(place, "path", "absolute_file_path", "file_path", "file")
  if (path === undefined) return undefined
  const range = fieldsOf(place["line_range"]) ?? fieldsOf(place["lines"]) ?? place
  const start = numberIn(range, "start", "start_line", "line") ?? 1
  return {
    path: oneLine(path),
    line_range: { start, end: Math.max(start, numberIn(range, "end", "end_line") ?? start) }
  }
}

const textIn = (fields: Fields, ...names: ReadonlyArray<string>): string | undefined =>
  names.map((name) => fields[name]).find((value): value is string => typeof value === "string")

const numberIn = (fields: Fields, ...names: ReadonlyArray<string>): number | undefined => {
  for (const name of names) {
    const value = fields[name]
    const number = typeof value === "string" ? Number(value.replace(/^P(?=\d)/i, "")) : value
    if (typeof number === "number" && Number.isFinite(number)) return number
  }
  return undefined
}

/** Returns a share from 0 to 1. A number above 1 is a percentage. */
const share = (value = 0.5): number => Math.min(1, Math.max(0, value > 1 ? value / 100 : value))

const priorityOf = (value = 2): number => Math.min(3, Math.max(0, Math.round(value)))

const oneLine = (text: string): string => text.replace(/\s+/g, " ").trim()

// both take time that is linear in a line without ends of white space
const headPattern = /^(?:[-*\u2022]\s+|\d+[.)]\s+)?\*{0,2}\[P([0-3])\]\*{0,2}([^]+)$/
const placePattern = /\s(?:\u2014|\u2013|-|\()\s*`?([^\s`:]+):(\d+)(?:-(\d+))?`?\)?$/

/** Reads findings from lines as {@link render} writes them. The lines below a finding are its body. */
const fromProse = (text: string): ReviewOutput => {
  const findings: Array<Finding> = []
  const explanation: Array<string> = []
  let body: Array<string> | undefined
  const close = () => {
    const last = findings.pop()
    if (last !== undefined) findings.push({ ...last, body: (body ?? []).join("\n").trim() })
  }
  for (const line of text.split("\n")) {
    const head = headPattern.exec(line.trim())
    if (head === null) {
      const lines = body ?? explanation
      lines.push(body === undefined ? line : line.replace(/^ {1,2}/, ""))
      continue
    }
    if (body !== undefined) close()
    body = []
    const [, priority, rest] = head
    const place = placePattern.exec(rest!)
    const start = Number(place?.[2])
    findings.push({
      title: oneLine(rest!.slice(0, place?.index).replaceAll("**", "")),
      body: "",
      confidence_score: share(),
      priority: Number(priority),
      ...(place === null
        ? {}
        : {
            code_location: { path: place[1]!, line_range: { start, end: Math.max(start, Number(place[3] ?? start)) } }
          })
    })
  }
  if (body !== undefined) close()
  return outputOf({ findings, explanation: explanation.join("\n") })
}

/** The source, and so the name, of the delegate of a review. */
export const reviewer = "review"

/** Writes the output for people, the most urgent finding first. */
export const render = ({
  findings,
  overall_correctness: verdict,
  overall_explanation: explanation
}: ReviewOutput): string =>
  [
    ...(explanation === "" ? [] : [explanation]),
    ...(verdict === "" ? [] : [`Verdict: ${verdict}`]),
    ...(findings.length === 0
      ? ["No findings."]
      : findings.toSorted((one, two) => one.priority - two.priority).map(renderFinding))
  ].join("\n\n")

const renderFinding = ({ body, code_location: place, priority, title }: Finding): string => {
  const { end, start } = place?.line_range ?? { start: 0, end: 0 }
  const where = place === undefined ? "" : ` — ${place.path}:${start === end ? start : `${start}-${end}`}`
  const lines = body === "" ? [] : body.split("\n").map((line) => (line === "" ? "" : `  ${line}`))
  return [`[P${priority}] ${title}${where}`, ...lines].join("\n")
}
