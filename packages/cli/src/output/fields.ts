/** The fields that a person fills in if a key cannot answer a question: one line each, read as a value. */
import type { Question } from "@spindle/core/Approvals"

/** One line that a person fills in. */
export interface Field {
  readonly id: string
  /** The title, without the choices. */
  readonly title: string
  /** The choices, which can be named by number. */
  readonly choices: ReadonlyArray<string>
  /** True if the typed text is hidden. */
  readonly isSecret: boolean
  /** Returns the value of a line, or `skip` for none; undefined if the line makes no sense and must be typed again. */
  readonly read: (line: string) => { readonly value: unknown } | "skip" | undefined
}

type Tree = { readonly [key: string]: unknown }

const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value)
const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)
const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** Returns the fields of a question; none if a key answers it. */
export const fieldsOf = ({ kind, payload }: Pick<Question, "kind" | "payload">): ReadonlyArray<Field> => {
  if (kind === "question") return questionsOf(payload)
  if (kind !== "elicitation" || !isTree(payload)) return []
  const schema = payload["requestedSchema"]
  if (!isTree(schema) || !isTree(schema["properties"])) return []
  const required = listOf(schema["required"])
  return Object.entries(schema["properties"]).map(([id, property]) =>
    propertyOf(id, isTree(property) ? property : {}, required.includes(id))
  )
}

/** Returns the fields of questions in the form of the reference: one option can be chosen, or a free text is typed. */
const questionsOf = (payload: unknown): ReadonlyArray<Field> => {
  const questions = isTree(payload) ? listOf(payload["questions"]).filter(isTree) : []
  const read = (choices: ReadonlyArray<string>) => (line: string) => ({
    value: { answers: line === "" ? [] : [findChoice(choices, line) ?? line] }
  })
  // a payload of another form is shown as it is
  if (questions.length === 0) return [{ id: "answer", title: "Answer", choices: [], isSecret: false, read: read([]) }]
  return questions.map((question, index) => {
    const id = textOf(question["id"]) ?? String(index)
    const choices = optionsOf(question).map(({ label }) => label)
    const title = textOf(question["header"]) ?? id
    return { id, title, choices, isSecret: question["isSecret"] === true, read: read(choices) }
  })
}

/** Returns the options of a question. */
export const optionsOf = (question: unknown) =>
  (isTree(question) ? listOf(question["options"]) : []).filter(isTree).map((option) => ({
    label: textOf(option["label"]) ?? "",
    description: textOf(option["description"])
  }))

/** Returns the field of a property of an elicitation's schema: a text, a number, yes or no, or one of some choices. */
const propertyOf = (id: string, property: Tree, isRequired: boolean): Field => {
  const { choices, values } = choicesOf(property)
  const byDefault = property["default"]
  const read: Field["read"] = (line) => {
    if (line === "" && byDefault !== undefined) return { value: byDefault }
    if (line === "") return isRequired ? undefined : "skip"
    const value = values === undefined ? scalarOf(property, line) : values.get(findChoice(choices, line) ?? line)
    return value === undefined ? undefined : { value }
  }
  const title = [textOf(property["title"]) ?? id, textOf(property["description"])].filter((one) => one !== undefined)
  const hint = byDefault === undefined ? (isRequired ? "" : ", or nothing") : `, else ${String(byDefault)}`
  return { id, title: `${title.join(", ")}${hint}`, choices, isSecret: false, read }
}

/** Returns the choices by name; none for a property that takes any text or number. */
const choicesOf = (property: Tree) => {
  if (property["type"] === "boolean") {
    const values = new Map<string, unknown>(Object.entries({ yes: true, no: false }))
    return { choices: ["yes", "no"], values }
  }
  const named = listOf(property["oneOf"])
    .filter(isTree)
    .map((one) => [textOf(one["title"]) ?? String(one["const"]), one["const"]] as const)
  const values = named.length > 0 ? named : listOf(property["enum"]).map((one) => [String(one), one] as const)
  return values.length === 0
    ? { choices: [], values: undefined }
    : { choices: values.map(([name]) => name), values: new Map<string, unknown>(values) }
}

const scalarOf = ({ type }: Tree, line: string): unknown => {
  if (type !== "number" && type !== "integer") return line
  const value = Number(line)
  return Number.isFinite(value) && (type === "number" || Number.isInteger(value)) ? value : undefined
}

/** Returns the choice that a line names: by its number, or by its beginning if that is unique. */
const findChoice = (choices: ReadonlyArray<string>, line: string): string | undefined => {
  if (/^\d+$/.test(line)) return choices[Number(line) - 1]
  const found = choices.filter((choice) => choice.toLowerCase().startsWith(line.toLowerCase()))
  return found.length === 1 ? found[0] : undefined
}
