/**
 * The progress ledger of a compaction: the files that were changed, the files that were read, the commands that ran,
 * and the state of the plan. It is made from the calls themselves and not by a model, and each compaction copies it
 * word for word.
 *
 * The ledger is a fragment of the history, so that the next compaction, a resume and a fork find it there.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { PatchDetail, PlanDisplay } from "../protocol/Display.ts"
import type { CallId } from "../protocol/Ids.ts"
import { textOf } from "../protocol/Input.ts"
import type { Item, NewItem, ToolCall } from "../protocol/Item.ts"

/** A progress ledger. In each list the oldest entry is first. */
export const Progress = Schema.Struct({
  changed: Schema.Array(Schema.String),
  /** Missing in the ledgers of earlier versions. */
  read: Schema.Array(Schema.String).pipe(Schema.withDecodingDefaultKey(Effect.succeed([]))),
  commands: Schema.Array(Schema.String),
  done: Schema.Array(Schema.String),
  next: Schema.Array(Schema.String)
})
/** @see {@link Progress} */
export type Progress = typeof Progress.Type

/** The number of entries of each list that are kept, the newest ones, and the number of characters of a command. */
export const limits = { changed: 200, read: 100, commands: 40, commandCharacters: 200 } as const

const none: Progress = { changed: [], read: [], commands: [], done: [], next: [] }

/** The name of the ledger's fragment. */
export const progressFragment = "progress"

/** Returns the ledger of a history: that of the last compaction, with everything that was done since. */
export const of = (items: ReadonlyArray<Item>): Progress => {
  const calls = new Map<CallId, ToolCall>()
  let last = none
  let changed: Array<string> = []
  let files: Array<string> = []
  let commands: Array<string> = []
  for (const item of items) {
    if (item._tag === "UserMessage" && item.fragment === progressFragment) {
      last = read(textOf(item.content))
      changed = [...last.changed]
      files = [...last.read]
      commands = [...last.commands]
    } else if (item._tag === "ToolCall") calls.set(item.callId, item)
    else if (item._tag === "ToolResult") {
      const display = calls.get(item.callId)?.display
      if (item.detail?._tag === "Patch") changed.push(...pathsOf(item.detail))
      else if (display?._tag === "Command") commands.push(shorten(display.command))
      else if (display?._tag === "Read" && item.status === "completed") files.push(display.path)
      else if (display?._tag === "Plan" && item.status === "completed") last = { ...last, ...stepsOf(display) }
    }
  }
  return {
    ...last,
    changed: newest(changed, limits.changed),
    read: newest(files, limits.read),
    commands: newest(commands, limits.commands)
  }
}

const pathsOf = ({ changes }: typeof PatchDetail.Type): ReadonlyArray<string> =>
  changes.flatMap(({ movePath, path }) => (movePath === undefined ? [path] : [path, movePath]))

const shorten = (command: string): string => command.slice(0, limits.commandCharacters).toWellFormed()

const stepsOf = ({ steps }: typeof PlanDisplay.Type): Pick<Progress, "done" | "next"> => {
  const stepsThat = (isDone: boolean) =>
    steps.filter(({ status }) => (status === "completed") === isDone).map(({ step }) => step)
  return { done: stepsThat(true), next: stepsThat(false) }
}

/** Returns the last entries, each once, in the order of their last occurrence. */
const newest = (entries: ReadonlyArray<string>, count: number): ReadonlyArray<string> =>
  Array.from(new Set(entries.toReversed())).slice(0, count).toReversed()

const before = `<${progressFragment}>\n`
const after = `\n</${progressFragment}>`
const codec = Schema.fromJsonString(Progress)
const encode = Schema.encodeSync(codec)
const decode = Schema.decodeUnknownOption(codec)

/** Returns the ledger in a text. It is empty for a text that another program wrote. */
const read = (text: string): Progress =>
  Option.getOrElse(decode(text.slice(before.length, text.length - after.length)), () => none)

/** Makes the fragment of a ledger. Returns no item if the ledger is empty. */
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
