/** A question to a person as text, and the answer to it. */
import type { Question } from "@spindle/core/Approvals"
import type { QuestionOpened, QuestionSettled } from "@spindle/core/SessionEvent"
import * as RuleFiles from "@spindle/app/RuleFiles"
import * as Fields from "./fields.ts"
import * as Ansi from "./Ansi.ts"
import { diffLines } from "./diff.ts"
import { rejectedByUser } from "./reasons.ts"
import * as Wrapping from "./wrapping.ts"

/** A question, as a session asks it or has recorded it. */
export type Asked = Pick<
  Question | typeof QuestionOpened.Type,
  "questionId" | "callId" | "kind" | "tool" | "payload" | "path"
>

const titles: { readonly [kind in Asked["kind"]]: string } = {
  command: "Run this command?",
  patch: "Change these files?",
  permissions: "Allow this?",
  question: "A question:",
  elicitation: "A question:"
}

/**
 * The style of a question. Text is broken between words at `columns`; without them, each line is written as it is.
 * Commands and patches are never broken.
 */
export interface Style {
  readonly palette: Ansi.Palette
  readonly columns?: number | undefined
}

/** Returns the lines of a question, in full. `from` is the name of the agent that asks. */
export const lines = (asked: Asked, style: Style, from?: string): ReadonlyArray<string> => {
  const { columns, palette } = style
  const asker = from === undefined ? "" : ` (asked by ${Ansi.toVisible(from)})`
  const title = breakLine(`${titles[asked.kind]}${asker}`, { ...style, first: "? ", indent: "  " })
  const inner = { palette, columns: columns === undefined ? undefined : columns - 2 }
  return [...title.map((line) => palette.yellow(palette.bold(line))), ...body(asked, inner).map((line) => `  ${line}`)]
}

interface Margins {
  readonly first: string
  readonly indent: string
  readonly isExact?: boolean | undefined
}

/** Matches a text in which a break between words would hide white space. */
const spaced = /\s\s|\t|^\s|\s$/

/**
 * Breaks a line. `first` is written before its first part and `indent` before the others. A long word is cut. With
 * `isExact`, a text in which a break between words would hide white space is cut like one long word.
 */
const breakLine = (
  text: string,
  { columns, first, indent, isExact = false }: Pick<Style, "columns"> & Margins
): ReadonlyArray<string> => {
  if (columns === undefined) return [first + text]
  const room = Math.max(2, columns - indent.length)
  const parts = isExact && spaced.test(text) ? [text] : Wrapping.all(text, room).split("\n")
  return parts.flatMap((line) => Wrapping.cut(line, room)).map((line, index) => (index === 0 ? first : indent) + line)
}

const body = (asked: Asked, style: Style): ReadonlyArray<string> => {
  const { palette } = style
  const { payload, tool } = asked
  switch (asked.kind) {
    case "command": {
      const command = commandOf(payload)
      if (command === undefined) break
      // a carriage return is shown, because it is a part of a line to a shell
      const [first = "", ...more] = command.split("\n").map(Ansi.toExact)
      return [
        `${palette.cyan("$")} ${palette.bold(first)}`,
        ...more.map((line) => `  ${palette.bold(line)}`),
        ...others(payload, "command", style)
      ]
    }
    case "patch": {
      const changes = changesOf(payload)
      if (changes === undefined) break
      return changes.flatMap((change) => changeLines(change, palette))
    }
    case "question":
    case "elicitation": {
      const found = asked.kind === "question" ? questionLines(payload, style) : formLines(payload, style)
      if (found === undefined) break
      return tool === undefined ? found : [...found, palette.dim(`  ${Ansi.toVisible(tool)}`)]
    }
    case "permissions":
      break
  }
  return Ansi.toExact(`${tool ?? "tool"} ${textOf(withoutChoices(payload), 2)}`).split("\n")
}

const withoutChoices = (payload: unknown): unknown =>
  lessIn(payload).length === 0
    ? payload
    : Object.fromEntries(Object.entries(payload as object).filter(([name]) => name !== "less"))

/** Returns the questions of a payload, with the answers to choose from; undefined if it has none. */
const questionLines = (payload: unknown, style: Style): ReadonlyArray<string> | undefined => {
  const questions = (payload as { readonly questions?: unknown } | null)?.questions
  if (!Array.isArray(questions) || questions.length === 0) return undefined
  return questions.flatMap((question) => [
    ...textLines(textIn(question, "question") ?? "", style),
    ...Fields.optionsOf(question).map(({ description, label }, index) => {
      const about = description === undefined ? "" : style.palette.dim(` ${Ansi.toVisible(description)}`)
      return `  ${index + 1} ${Ansi.toVisible(label)}${about}`
    })
  ])
}

const textLines = (text: string, style: Style): ReadonlyArray<string> =>
  Ansi.toVisible(text)
    .split("\n")
    .flatMap((line) => breakLine(line, { ...style, first: "", indent: "  " }))

/** Returns the message of a form; undefined for another payload. Its fields are requested one by one. */
const formLines = (payload: unknown, style: Style): ReadonlyArray<string> | undefined => {
  const message = textIn(payload, "message")
  if (message === undefined) return undefined
  const { requestedSchema: _, ...rest } = payload as { readonly requestedSchema?: unknown }
  return [...textLines(message, style), ...others(rest, "message", style)]
}

const textIn = (value: unknown, name: string): string | undefined => {
  const found = typeof value === "object" && value !== null ? (value as { [key: string]: unknown })[name] : undefined
  return typeof found === "string" ? found : undefined
}

const textOf = (value: unknown, indent?: number): string =>
  typeof value === "string" ? value : (JSON.stringify(value, undefined, indent) ?? "")

const commandOf = (payload: unknown): string | undefined => {
  const words = (payload as { readonly command?: unknown } | null)?.command
  return Array.isArray(words) ? words.map((word) => JSON.stringify(word)).join(" ") : textIn(payload, "command")
}

/** Returns the amendment of a question about a command: the commands that an answer may always allow. */
export const amendmentIn = (payload: unknown): unknown => {
  const { amendment } = (payload ?? {}) as { readonly amendment?: unknown }
  return RuleFiles.linesOf(amendment).length === 0 ? undefined : amendment
}

/** A part of a request that an answer may grant alone. */
export interface Less {
  readonly label: string
  readonly permissions: unknown
}

/** The most parts that can be chosen with one key each. */
const maxParts = 9

/** Returns the parts of a question that an answer may grant alone. */
export const lessIn = (payload: unknown): ReadonlyArray<Less> => {
  const { less } = (payload ?? {}) as { readonly less?: unknown }
  return Array.isArray(less) && less.length <= maxParts && less.every(isLess) ? less : []
}

const isLess = (value: unknown): value is Less =>
  textIn(value, "label") !== undefined && (value as Less).permissions !== undefined

/**
 * Returns the other fields of a payload, so that nothing that needs approval is hidden. An amendment is shown as the
 * rules that it adds, and the parts that can be granted alone are shown as choices.
 */
const others = (payload: unknown, shown: string, style: Style): ReadonlyArray<string> =>
  Object.entries(payload as object)
    .filter(([name, value]) => name !== shown && value !== undefined && !isChoice(name, payload))
    .flatMap(([name, value]) =>
      name === "amendment" && amendmentIn(payload) !== undefined
        ? RuleFiles.linesOf(value).map((line) => `always adds: ${line}`)
        : [`${name}: ${textOf(value)}`]
    )
    .flatMap((text) => Ansi.toExact(text).split("\n"))
    .flatMap((line) => breakLine(line, { ...style, first: "  ", indent: "    ", isExact: true }))
    .map(style.palette.dim)

const isChoice = (name: string, payload: unknown): boolean => name === "less" && lessIn(payload).length > 0

interface Change {
  readonly path: string
  readonly kind: string
  readonly movePath?: string
  readonly diff: ReadonlyArray<string>
}

/** Returns the changes of a patch; undefined if the payload contains anything else. */
const changesOf = (payload: unknown): ReadonlyArray<Change> | undefined => {
  if (typeof payload !== "object" || payload === null || Object.keys(payload).join() !== "changes") return undefined
  const { changes } = payload as { readonly changes: unknown }
  return Array.isArray(changes) && changes.length > 0 && changes.every(isChange) ? changes : undefined
}

const isChange = (value: unknown): value is Change =>
  textIn(value, "path") !== undefined && textIn(value, "kind") !== undefined && Array.isArray((value as Change).diff)

const changeLines = ({ diff, kind, movePath, path }: Change, palette: Ansi.Palette): ReadonlyArray<string> => {
  const to = movePath === undefined ? "" : ` to ${movePath}`
  return [palette.bold(Ansi.toExact(`${kind} ${path}${to}`)), ...diffLines(diff.map(String), palette)]
}

/** Returns the lines below a question that show its decision. */
export const answerLines = (
  decision: (typeof QuestionSettled.Type)["decision"],
  style: Style
): ReadonlyArray<string> => {
  const [paint, text] = answerOf(decision, style.palette)
  return breakLine(text, { ...style, first: "  → ", indent: "    " }).map(paint)
}

const answerOf = (
  decision: (typeof QuestionSettled.Type)["decision"],
  { dim, green, red }: Ansi.Palette
): readonly [paint: (line: string) => string, text: string] => {
  switch (decision._tag) {
    case "Approved": {
      if (decision.amendment !== undefined) return [green, "allowed, from now on by a rule"]
      const part = decision.permissions === undefined ? "" : " in part,"
      return [green, `allowed${part} ${decision.scope === "once" ? "once" : `for this ${decision.scope}`}`]
    }
    case "Denied": {
      const hasReason = decision.reason !== undefined && decision.reason !== rejectedByUser
      return [red, `refused${hasReason ? `: ${Ansi.toVisible(decision.reason)}` : ""}`]
    }
    case "Abort":
      return [red, "refused, and the turn is stopped"]
    case "Answered":
      return [green, "answered"]
    case "Cancelled":
      return [dim, decision.by === "deadline" ? "not answered in time" : "cancelled"]
  }
}

/**
 * Returns the lines in which a field is filled in: its title, and the end of the text that was typed so far. A title
 * that needs more than half of the columns has its own lines, about three at most.
 */
export const prompt = (
  { choices, isSecret, title }: Pick<Fields.Field, "title" | "choices" | "isSecret">,
  typed: string,
  columns: number
): ReadonlyArray<string> => {
  const chosen = choices.length === 0 ? "" : ` (${choices.map((choice, index) => `${index + 1} ${choice}`).join(", ")})`
  const head = Ansi.fit(Ansi.toVisible(`${title}${chosen}`).replaceAll("\n", " "), 3 * columns)
  const text = isSecret ? "•".repeat(typed.length) : Ansi.toVisible(typed)
  const fitTyped = (used: number) => Ansi.fitEnd(text, Math.max(1, columns - used - 1))
  const used = Ansi.width(head) + 4
  if (used <= columns / 2) return [`  ${head}: ${fitTyped(used)}`]
  return [...breakLine(`${head}:`, { columns: columns - 1, first: "  ", indent: "  " }), `  ${fitTyped(2)}`]
}
