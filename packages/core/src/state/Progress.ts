/**
 * The progress ledger of a compaction: which files were changed, which commands ran, and where the plan stands. It is made
 * from the calls themselves and not by a model, and each compaction carries it on word for word.
 *
 * It is a fragment of the history, so that the next compaction, a resume and a fork find it there.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { CallId } from "../protocol/Ids.ts"
import { textOf } from "../protocol/Input.ts"
import type { Item, NewItem, ToolCall, ToolResult } from "../protocol/Item.ts"

/** What was done, oldest first. */
export const Progress = Schema.Struct({
  changed: Schema.Array(Schema.String),
  commands: Schema.Array(Schema.String),
  done: Schema.Array(Schema.String),
  next: Schema.Array(Schema.String)
})
/** @see {@link Progress} */
export type Progress = typeof Progress.Type

/** How many entries of a list are kept, the newest, and how much of a command. */
export const limits = { changed: 200, commands: 40, commandCharacters: 200 } as const

const none: Progress = { changed: [], commands: [], done: [], next: [] }

/** The name of the ledger's fragment. */
export const progressFragment = "progress"

/** Returns the ledger of a history: that of the last compaction, and what was done since. */
export const of = (items: ReadonlyArray<Item>): Progress => {
  const calls = new Map<CallId, ToolCall>()
  let progress = none
  for (const item of items) {
    if (item._tag === "UserMessage" && item.fragment === progressFragment) progress = read(textOf(item.content))
    else if (item._tag === "ToolCall") calls.set(item.callId, item)
    else if (item._tag === "ToolResult") progress = add(progress, calls.get(item.callId), item)
  }
  return progress
}

/** Adds a call that has ended. */
const add = (progress: Progress, call: ToolCall | undefined, { detail, status }: ToolResult): Progress => {
  if (detail?._tag === "Patch") {
    const changed = detail.changes.flatMap(({ movePath, path }) => (movePath === undefined ? [path] : [path, movePath]))
    return { ...progress, changed: newest([...progress.changed, ...changed], limits.changed) }
  }
  const display = call?.display
  if (display?._tag === "Command") {
    const command = display.command.slice(0, limits.commandCharacters).toWellFormed()
    return { ...progress, commands: newest([...progress.commands, command], limits.commands) }
  }
  if (display?._tag !== "Plan" || status !== "completed") return progress
  const steps = (isDone: boolean) =>
    display.steps.filter((step) => (step.status === "completed") === isDone).map(({ step }) => step)
  return { ...progress, done: steps(true), next: steps(false) }
}

/** Returns the last entries, each once, in the order of their last occurrence. */
const newest = (entries: ReadonlyArray<string>, count: number): ReadonlyArray<string> =>
  Array.from(new Set(entries.toReversed())).slice(0, count).toReversed()

const before = `<${progressFragment}>\n`
const after = `\n</${progressFragment}>`
const codec = Schema.fromJsonString(Progress)
const encode = Schema.encodeSync(codec)
const decode = Schema.decodeUnknownOption(codec)

/** Returns the ledger that a text has. It is empty for a text that another program wrote. */
const read = (text: string): Progress =>
  Option.getOrElse(decode(text.slice(before.length, text.length - after.length)), () => none)

/** Makes the fragment of a ledger; none if nothing was done. */
export const toItems = (progress: Progress): ReadonlyArray<NewItem> =>
  Object.values(progress).every((list) => list.length === 0)
    ? []
    : [
        {
          _tag: "UserMessage",
          content: [{ _tag: "Text", text: `${before}${encode(progress)}${after}` }],
          fragment: progressFragment
        }
      ]
