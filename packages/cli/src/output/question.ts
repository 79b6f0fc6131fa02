/** A question to a person as text, and the answer to it. */
import type { Question } from "@spindle/core/Approvals"
import type { QuestionOpened, QuestionSettled } from "@spindle/core/SessionEvent"
import * as RuleFiles from "@spindle/app/RuleFiles"
import * as Fields from "./fields.ts"
import * as Ansi from "./Ansi.ts"
import { diffLines } from "./diff.ts"
import { rejectedByUser } from "./reasons.ts"

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

/** Returns the lines of a question, in full. `from` is the name of the agent that asks. */
export const lines = (asked: Asked, palette: Ansi.Palette, from?: string): ReadonlyArray<string> => {
  const asker = from === undefined ? "" : ` (asked by ${Ansi.visible(from)})`
  const title = palette.yellow(palette.bold(`? ${titles[asked.kind]}${asker}`))
  return [title, ...body(asked, palette).map((line) => `  ${line}`)]
}

const body = (asked: Asked, palette: Ansi.Palette): ReadonlyArray<string> => {
  const { payload, tool } = asked
  switch (asked.kind) {
    case "command": {
      const command = commandOf(payload)
      if (command === undefined) break
      // a carriage return is a part of a line to a shell, and so it is shown
      const [first = "", ...more] = command.split("\n").map(Ansi.exact)
      return [
        `${palette.cyan("$")} ${palette.bold(first)}`,
        ...more.map((line) => `  ${palette.bold(line)}`),
        ...others(payload, "command", palette)
      ]
    }
    case "patch": {
      const changes = changesOf(payload)
      if (changes === undefined) break
      return changes.flatMap((change) => changeLines(change, palette))
    }
    case "question":
    case "elicitation": {
      const found = asked.kind === "question" ? questionLines(payload, palette) : formLines(payload, palette)
      if (found === undefined) break
      return tool === undefined ? found : [...found, palette.dim(`  ${Ansi.visible(tool)}`)]
    }
    case "permissions":
      break
  }
  return Ansi.exact(`${tool ?? "tool"} ${textOf(withoutChoices(payload), 2)}`).split("\n")
}

const withoutChoices = (payload: unknown): unknown =>
  lessIn(payload).length === 0
    ? payload
    : Object.fromEntries(Object.entries(payload as object).filter(([name]) => name !== "less"))

/** The questions of a payload, with the answers to choose from. */
const questionLines = (payload: unknown, palette: Ansi.Palette): ReadonlyArray<string> | undefined => {
  const questions = (payload as { readonly questions?: unknown } | null)?.questions
  if (!Array.isArray(questions) || questions.length === 0) return undefined
  return questions.flatMap((question) => [
    ...Ansi.visible(textIn(question, "question") ?? "").split("\n"),
    ...Fields.optionsOf(question).map(({ description, label }, index) => {
      const about = description === undefined ? "" : palette.dim(` ${Ansi.visible(description)}`)
      return `  ${index + 1} ${Ansi.visible(label)}${about}`
    })
  ])
}

/** The message of a form. Its fields are asked for one by one. */
const formLines = (payload: unknown, palette: Ansi.Palette): ReadonlyArray<string> | undefined => {
  const message = textIn(payload, "message")
  if (message === undefined) return undefined
  const { requestedSchema: _, ...rest } = payload as { readonly requestedSchema?: unknown }
  return [...Ansi.visible(message).split("\n"), ...others(rest, "message", palette)]
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

/** Returns the amendment of a question about a command: what an answer may allow always. */
export const amendmentIn = (payload: unknown): unknown => {
  const { amendment } = (payload ?? {}) as { readonly amendment?: unknown }
  return RuleFiles.linesOf(amendment).length === 0 ? undefined : amendment
}

/** A part of what is asked for, which an answer may grant alone. */
export interface Less {
  readonly label: string
  readonly permissions: unknown
}

/** How many parts can be chosen with one key each. */
const maxParts = 9

/** Returns the parts of what a question asks for that an answer may grant alone. */
export const lessIn = (payload: unknown): ReadonlyArray<Less> => {
  const { less } = (payload ?? {}) as { readonly less?: unknown }
  return Array.isArray(less) && less.length <= maxParts && less.every(isLess) ? less : []
}

const isLess = (value: unknown): value is Less =>
  textIn(value, "label") !== undefined && (value as Less).permissions !== undefined

/**
 * The other fields of a payload: nothing that needs approval is hidden. An amendment is shown as the rules that it adds, and
 * the parts that can be granted alone are shown as choices.
 */
const others = (payload: unknown, shown: string, palette: Ansi.Palette): ReadonlyArray<string> =>
  Object.entries(payload as object)
    .filter(([name, value]) => name !== shown && value !== undefined && !isChoice(name, payload))
    .flatMap(([name, value]) =>
      name === "amendment" && amendmentIn(payload) !== undefined
        ? RuleFiles.linesOf(value).map((line) => `always adds: ${line}`)
        : [`${name}: ${textOf(value)}`]
    )
    .flatMap((text) => Ansi.exact(text).split("\n"))
    .map((line) => palette.dim(`  ${line}`))

const isChoice = (name: string, payload: unknown): boolean => name === "less" && lessIn(payload).length > 0

interface Change {
  readonly path: string
  readonly kind: string
  readonly movePath?: string
  readonly diff: ReadonlyArray<string>
}

/** The changes of a patch, if the payload holds nothing else. */
const changesOf = (payload: unknown): ReadonlyArray<Change> | undefined => {
  if (typeof payload !== "object" || payload === null || Object.keys(payload).join() !== "changes") return undefined
  const { changes } = payload as { readonly changes: unknown }
  return Array.isArray(changes) && changes.length > 0 && changes.every(isChange) ? changes : undefined
}

const isChange = (value: unknown): value is Change =>
  textIn(value, "path") !== undefined && textIn(value, "kind") !== undefined && Array.isArray((value as Change).diff)

const changeLines = ({ diff, kind, movePath, path }: Change, palette: Ansi.Palette): ReadonlyArray<string> => {
  const to = movePath === undefined ? "" : ` to ${movePath}`
  return [palette.bold(Ansi.exact(`${kind} ${path}${to}`)), ...diffLines(diff.map(String), palette)]
}

/** Returns the line below a question that says how it was decided. */
export const answerLine = (decision: (typeof QuestionSettled.Type)["decision"], palette: Ansi.Palette): string => {
  const { dim, green, red } = palette
  switch (decision._tag) {
    case "Approved":
      if (decision.amendment !== undefined) return green("  → allowed, from now on by a rule")
      return green(
        `  → allowed${decision.permissions === undefined ? "" : " in part,"} ${decision.scope === "once" ? "once" : `for this ${decision.scope}`}`
      )
    case "Denied": {
      const hasReason = decision.reason !== undefined && decision.reason !== rejectedByUser
      return red(`  → refused${hasReason ? `: ${Ansi.visible(decision.reason)}` : ""}`)
    }
    case "Abort":
      return red("  → refused, and the turn is stopped")
    case "Answered":
      return green("  → answered")
    case "Cancelled":
      return dim(decision.by === "deadline" ? "  → not answered in time" : "  → cancelled")
  }
}

/** Returns the line in which a field is filled in: its title, and the end of what was typed so far. */
export const prompt = (
  { choices, isSecret, title }: Pick<Fields.Field, "title" | "choices" | "isSecret">,
  typed: string,
  columns: number
): string => {
  const chosen = choices.length === 0 ? "" : ` (${choices.map((choice, index) => `${index + 1} ${choice}`).join(", ")})`
  const head = Ansi.fit(Ansi.visible(`  ${title}${chosen}`), Math.max(4, Math.floor(columns / 2)))
  const text = isSecret ? "•".repeat(typed.length) : Ansi.visible(typed)
  return `${head}: ${Ansi.fitEnd(text, Math.max(1, columns - Ansi.width(head) - 4))}`
}
