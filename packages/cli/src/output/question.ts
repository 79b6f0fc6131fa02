/** A tool call as lines: what runs, or what somebody is asked about. */
import * as Ansi from "./Ansi.ts"
import * as Fields from "../terminal/fields.ts"
import * as ToolCalls from "./toolCalls.ts"

/** What to show. Without a kind nobody is asked. */
export interface Shown {
  readonly kind: "command" | "patch" | "permissions" | "question" | "elicitation" | undefined
  readonly tool?: string | undefined
  readonly payload: unknown
  readonly path: ReadonlyArray<string>
  /** The name of who asks, if it is not the session that is shown. */
  readonly from?: string | undefined
}

const titles = {
  command: "Run this command?",
  patch: "Change these files?",
  permissions: "Allow this?",
  question: "A question:",
  elicitation: "A question:"
} as const

/**
 * The lines of a call. What somebody is asked about is shown in full; of what just runs, a line without a limit of its
 * own is cut to `columns`.
 */
export const lines = (shown: Shown, palette: Ansi.Palette, columns = Infinity): ReadonlyArray<string> => {
  const isAsked = shown.kind !== undefined
  const asker = shown.from ?? (shown.path.length > 1 ? `session ${shown.path.at(-1)!}` : undefined)
  const from = asker === undefined ? "" : ` (asked by ${Ansi.visible(asker)})`
  const title = shown.kind === undefined ? [] : [palette.yellow(palette.bold(`? ${titles[shown.kind]}${from}`))]
  return [...title, ...body(shown, palette, columns).map((line) => (isAsked ? `  ${line}` : line))]
}

/** The line in which a field is filled in, as far as it was typed; the end of what is too long. */
export const prompt = ({ choices, isSecret, title }: Fields.Field, typed: string, columns: number): string => {
  const chosen = choices.length === 0 ? "" : ` (${choices.map((choice, index) => `${index + 1} ${choice}`).join(", ")})`
  const head = Ansi.fit(Ansi.visible(`  ${title}${chosen}`), Math.max(10, Math.floor(columns / 2)))
  const text = isSecret ? "•".repeat(typed.length) : Ansi.visible(typed)
  const room = Math.max(1, columns - head.length - 4)
  return `${head}: ${text.length > room ? text.slice(-room) : text}`
}

/** A question in words: the message of a form, or questions with what can be chosen. */
const words = ({ kind, payload }: Shown, palette: Ansi.Palette): ReadonlyArray<string> | undefined => {
  const message = kind === "elicitation" ? ToolCalls.field(payload, "message") : undefined
  if (message !== undefined) {
    const { requestedSchema: _, ...rest } = payload as { readonly requestedSchema?: unknown }
    return [...Ansi.visible(message).split("\n"), ...others(rest, "message", palette)]
  }
  const questions = (payload as { readonly questions?: unknown } | null)?.questions
  if (kind !== "question" || !Array.isArray(questions) || questions.length === 0) return undefined
  return questions.flatMap((question) => [
    ...Ansi.visible(ToolCalls.field(question, "question") ?? "").split("\n"),
    ...Fields.optionsOf(question).map(({ description, label }, index) => {
      const about = description === undefined ? "" : palette.dim(` ${Ansi.visible(description)}`)
      return `  ${index + 1} ${Ansi.visible(label)}${about}`
    })
  ])
}

const body = (shown: Shown, palette: Ansi.Palette, columns: number): ReadonlyArray<string> => {
  const { payload, tool } = shown
  const asked = words(shown, palette)
  if (asked !== undefined) return tool === undefined ? asked : [...asked, palette.dim(`  ${Ansi.visible(tool)}`)]
  const command = commandOf(payload)
  const patch = ToolCalls.field(payload, "patch") ?? ToolCalls.field(payload, "input")
  if (command !== undefined) {
    const [first = "", ...more] = Ansi.visible(command.text).split("\n")
    const about = shown.kind === undefined ? [] : others(payload, command.field, palette)
    return [`${palette.cyan("$")} ${palette.bold(first)}`, ...more.map((line) => `  ${palette.bold(line)}`), ...about]
  }
  if (patch !== undefined) {
    const about =
      shown.kind === undefined
        ? []
        : others(payload, ToolCalls.field(payload, "patch") === undefined ? "input" : "patch", palette)
    return [...diff(patch, palette), ...about]
  }
  const changes = changesOf(payload)
  if (changes !== undefined) return changes.flatMap((change) => changeLines(change, palette))
  const name = tool ?? "tool"
  if (shown.kind !== undefined) return Ansi.visible(`${name} ${textOf(payload, 2)}`).split("\n")
  const all = Ansi.visible(`${name} ${brief(payload)}`.replaceAll(/\s+/g, " ").trimEnd())
  return [`${palette.cyan("•")} ${Ansi.fit(all, columns - 2)}`]
}

const textOf = (value: unknown, indent?: number): string =>
  typeof value === "string" ? value : (JSON.stringify(value, undefined, indent) ?? "")

/** The arguments of a call for a line of its own: the fields of an object with their texts. */
const brief = (payload: unknown): string => {
  if (typeof payload !== "object" || payload === null || Array.isArray(payload)) return textOf(payload)
  const isTexts = (value: unknown) => Array.isArray(value) && value.every((one) => typeof one === "string")
  return Object.entries(payload)
    .map(([key, value]) => `${key}: ${isTexts(value) ? (value as ReadonlyArray<string>).join(", ") : textOf(value)}`)
    .join(", ")
}

const commandOf = (payload: unknown): { readonly field: string; readonly text: string } | undefined => {
  for (const field of ["cmd", "command"]) {
    const text = ToolCalls.field(payload, field)
    if (text !== undefined) return { field, text }
    const words = (payload as { readonly [key: string]: unknown } | null)?.[field]
    if (Array.isArray(words)) return { field, text: words.map((word) => JSON.stringify(word)).join(" ") }
  }
  return undefined
}

/** The other fields of a payload: nothing of what is asked is left out. */
const others = (payload: unknown, but: string, palette: Ansi.Palette): ReadonlyArray<string> =>
  Object.entries(payload as object)
    .filter(([name, value]) => name !== but && value !== undefined)
    .flatMap(([name, value]) =>
      Ansi.visible(`${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`).split("\n")
    )
    .map((line) => palette.dim(`  ${line}`))

interface Change {
  readonly path: string
  readonly kind: string
  readonly movePath?: string
  readonly diff: ReadonlyArray<string>
}

/** The changes of a patch, if that is all that a payload holds. */
const changesOf = (payload: unknown): ReadonlyArray<Change> | undefined => {
  if (typeof payload !== "object" || payload === null || Object.keys(payload).join() !== "changes") return undefined
  const { changes } = payload as { readonly changes: unknown }
  return Array.isArray(changes) && changes.length > 0 && changes.every(isChange) ? changes : undefined
}

const isChange = (value: unknown): value is Change =>
  ToolCalls.field(value, "path") !== undefined &&
  ToolCalls.field(value, "kind") !== undefined &&
  Array.isArray((value as Change).diff)

const changeLines = ({ diff, kind, movePath, path }: Change, palette: Ansi.Palette): ReadonlyArray<string> => {
  const to = movePath === undefined ? "" : ` to ${movePath}`
  const lines = diff.flatMap((line) => Ansi.visible(String(line)).split("\n"))
  return [palette.bold(Ansi.visible(`${kind} ${path}${to}`)), ...lines.map((line) => diffLine(line, palette))]
}

const diff = (patch: string, palette: Ansi.Palette): ReadonlyArray<string> =>
  Ansi.visible(patch)
    .split("\n")
    .filter((line) => !/^\*\*\* (Begin|End) Patch\s*$/.test(line) && line !== "")
    .map((line) => {
      const file = /^\*\*\* (Add File|Delete File|Update File|Move to): (.*)$/.exec(line)
      if (file === null) return diffLine(line, palette)
      return palette.bold(`${file[1]!.replace(" File", "").toLowerCase()} ${file[2]}`)
    })

const diffLine = (line: string, palette: Ansi.Palette): string => {
  if (line.startsWith("+")) return palette.green(`  ${line}`)
  if (line.startsWith("-")) return palette.red(`  ${line}`)
  return line.startsWith("@@") ? palette.cyan(`  ${line}`) : `  ${line}`
}
