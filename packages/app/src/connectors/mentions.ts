/** Finds the apps that items of a turn select: by a mention in the user's words or in a skill, or by a search. */
import * as Input from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Links from "./links.ts"

/** An app. `slug` is its name as a mention writes it. */
export interface Connector {
  readonly id: string
  readonly name: string
  readonly slug: string
}

/** Returns a name as a mention writes it: `Google Calendar` is `google-calendar`. */
export const slugOf = (name: string): string =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")

/** The mentions in a text: the ids of links, and the names of plain mentions in lower case. */
interface Mentions {
  readonly ids: ReadonlySet<string>
  readonly names: ReadonlySet<string>
}

/** Reads `[$name](app://id)`, `app://id` and `$name`. A link counts by its id alone. */
const mentionsOf = (text: string): Mentions => {
  const { apps, rest } = Links.read(text)
  const ids = new Set(apps)
  const withoutLinks = rest.replaceAll(/\bapps?:\/\/([\w.:-]*\w)/g, (_, id: string) => {
    ids.add(id)
    return " "
  })
  const names = Array.from(withoutLinks.matchAll(/\$([\w-]*\w)/g), ([, name]) => slugOf(name!))
  return { ids, names: new Set(names) }
}

/**
 * Returns the apps that a text mentions. A plain name counts if exactly one app and no skill has it; `skills` are the
 * names of the skills that the text has added.
 */
export const mentionedConnectors = (
  connectors: ReadonlyArray<Connector>,
  text: string,
  skills: ReadonlySet<string> = new Set()
): ReadonlyArray<Connector> => {
  const { ids, names } = mentionsOf(text)
  if (ids.size === 0 && names.size === 0) return []
  const isNamed = ({ slug }: Connector) =>
    names.has(slug) && !skills.has(slug) && connectors.filter((one) => one.slug === slug).length === 1
  return connectors.filter((one) => Links.has(ids, one.id) || isNamed(one))
}

/** The name of the tool that searches tools of apps. */
export const searchTool = "tool_search"

/** The apps that a search has found, in the form of its result. */
export const Found = Schema.Struct({
  tools: Schema.Array(Schema.Struct({ name: Schema.String, description: Schema.String, app: Schema.String }))
})

const decodeFound = Schema.decodeUnknownExit(Found)

/** The selection of items: apps that they mention, and tools that a search found. */
export interface Selection {
  readonly connectors: ReadonlySet<string>
  readonly tools: ReadonlySet<string>
}

/** Returns the selection of items. A skill in them selects the apps that it links. */
export const selectionOf = (connectors: ReadonlyArray<Connector>, items: ReadonlyArray<Item>): Selection => {
  const skills = new Set(items.flatMap((item) => (item._tag === "DeveloperMessage" ? skillNamesOf(item.text) : [])))
  const selected = new Set<string>()
  const tools = new Set<string>()
  for (const item of items) {
    // mutant mention-selects-its-app (M4: a turn offers the apps that its input mentions): false
    if (item._tag === "UserMessage" && item.fragment === undefined) {
      for (const { id } of mentionedConnectors(connectors, Input.textOf(item.content), skills)) selected.add(id)
    } else if (item._tag === "DeveloperMessage" && skillNamesOf(item.text).length > 0) {
      for (const { id } of linkedConnectors(connectors, item.text)) selected.add(id)
    } else if (item._tag === "ToolResult" && item.name === searchTool && item.status === "completed") {
      const found = decodeFound(item.output)
      if (Exit.isSuccess(found)) for (const { name } of found.value.tools) tools.add(name)
    }
  }
  return { connectors: selected, tools }
}

/** Returns the ids of the links in the words of the user that name no app. */
export const unknownIn = (connectors: ReadonlyArray<Connector>, items: ReadonlyArray<Item>): ReadonlyArray<string> => {
  const ids = connectors.map(({ id }) => id)
  return items.flatMap((item) =>
    item._tag === "UserMessage" && item.fragment === undefined
      ? Links.unknown(Links.read(Input.textOf(item.content)).apps, ids)
      : []
  )
}

const linkedConnectors = (connectors: ReadonlyArray<Connector>, text: string): ReadonlyArray<Connector> => {
  const { ids } = mentionsOf(text)
  return connectors.filter(({ id }) => Links.has(ids, id))
}

/** Returns the name of the skill whose body is this text, as a list; empty for any other text. */
const skillNamesOf = (text: string): ReadonlyArray<string> => {
  const name = /^<skill>\n<name>([^<]*)<\/name>/.exec(text)?.[1]
  return name === undefined ? [] : [slugOf(name)]
}
