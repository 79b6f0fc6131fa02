/** Reads the words and flags of `undo` and `review`. */

/** The turns that `undo` takes back, and its options. */
export interface Undo {
  readonly turns: number
  readonly redo: boolean
  readonly dryRun: boolean
  readonly force: boolean
}

/** The subject of `review`. */
export type ReviewTarget =
  | { readonly type: "uncommitted" }
  | { readonly type: "base"; readonly branch: string }
  | { readonly type: "commit"; readonly sha: string }
  | { readonly type: "custom"; readonly instructions: string }

type Values = ReadonlyMap<string, ReadonlyArray<string>>
/** Throws an error for a wrong command line. */
type Refuse = (detail: string) => never

/** Reads the words and flags of `undo`. */
export const undoOf = (values: Values, refuse: Refuse): Undo => {
  const turns = values.get("turns")?.[0] ?? "1"
  if (!/^[1-9]\d{0,8}$/.test(turns)) refuse(`--turns needs a whole number, at least 1, not "${turns}"`)
  const redo = values.has("redo")
  if (redo && values.has("turns")) refuse("--redo cannot be used together with --turns")
  return { turns: Number(turns), redo, dryRun: values.has("dry-run"), force: values.has("force") }
}

/** Reads the subject of `review`, and the priority of findings from which the program fails. */
export const reviewOf = (text: string | undefined, values: Values, refuse: Refuse) => {
  const failOn = values.get("fail-on")?.[0]
  return { target: targetOf(text, values, refuse), failOn: failOn === undefined ? undefined : Number(failOn) }
}

const targetOf = (text: string | undefined, values: Values, refuse: Refuse): ReviewTarget => {
  const [branch, sha] = [values.get("base")?.[0], values.get("commit")?.[0]]
  const given = [
    ...(text === undefined ? [] : ["instructions"]),
    ...["uncommitted", "base", "commit"].filter((name) => values.has(name)).map((name) => `--${name}`)
  ]
  if (given.length > 1) return refuse(`${given.join(" and ")} cannot be used together`)
  if (branch !== undefined) return { type: "base", branch }
  if (sha !== undefined) return { type: "commit", sha }
  if (text === undefined) return { type: "uncommitted" }
  return text.trim() === "" ? refuse("the instructions are empty") : { type: "custom", instructions: text }
}
