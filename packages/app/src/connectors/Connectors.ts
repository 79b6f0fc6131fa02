/**
 * Connectors: apps whose tools a turn selects. The tools of an MCP server with `apps = true` belong to apps.
 *
 * ```
 * below 100 tools of apps     each request offers all of them
 * from 100 onwards            those of the apps that the turn mentions, those that it has found, and `tool_search`
 * ```
 *
 * A turn mentions an app as `$name`, or by its id as `[$name](app://id)`: in its input, in input that steers it, or by
 * a link in a skill that it uses. The items of the turn are the only state of the selection (contract M4): nothing is
 * set or cleared.
 */
import * as Hooks from "@spindle/core/Hooks"
import type { Item } from "@spindle/core/Item"
import * as Local from "@spindle/core/Local"
import type { ToolSpec } from "@spindle/core/Model"
import * as NoteKind from "@spindle/core/NoteKind"
import * as Tools from "@spindle/core/Tools"
import type { ToolSource, ToolTable } from "@spindle/core/ToolSource"
import { Turn } from "@spindle/core/Turn"
import * as McpTools from "@spindle/mcp/McpTools"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import { type Connector, Found, searchTool, selectionOf, slugOf, unknownIn } from "./mentions.ts"
import * as Links from "./links.ts"
import { rank } from "./ranking.ts"

/** From this number of tools of apps onwards, a request offers a selection of them. */
export const directLimit = 100

/** The number of tools that a search returns if the model names no number, and the most that it returns. */
const searchLimit = { default: 8, most: 50 }

/** A turn has selected apps: its input, input that steered it, or a skill that it uses mentions them. */
export const ConnectorsSelected = NoteKind.make("connectors.selected", {
  data: Schema.Struct({ connectors: Schema.Array(Schema.Struct({ id: Schema.String, name: Schema.String })) })
})

/** A tool of an app. */
interface AppTool {
  readonly spec: ToolSpec
  readonly connector: Connector
  readonly origin: McpTools.Origin
}

/** The tools of apps in a table. */
interface Apps {
  readonly connectors: ReadonlyArray<Connector>
  readonly tools: ReadonlyMap<string, AppTool>
}

/** The MCP servers as a source of tools. The tools of apps are offered by turn. */
export const source: ToolSource<McpTools.McpTools | Turn> = {
  ...McpTools.source,
  table: () =>
    Effect.flatMap(McpTools.McpTools, (tools) => {
      const table = Effect.map(tools.table, withSearch)
      return hasApps(tools) ? Effect.tap(table, note) : table
    }),
  offer: (table, items) => offer(appsOf(table), table, items)
}

const offer = (apps: Apps, table: ToolTable, items: ReadonlyArray<Item>): ReadonlySet<string> | undefined => {
  if (apps.tools.size < directLimit) return undefined
  const { connectors, tools } = selectionOf(apps.connectors, items)
  const isOffered = (name: string) => {
    const app = apps.tools.get(name)
    return app === undefined || connectors.has(app.connector.id) || tools.has(name)
  }
  return new Set(Array.from(table.byName.keys()).filter(isOffered))
}

const known = new WeakMap<ToolTable, Apps>()

const appsOf = (table: ToolTable): Apps => {
  let apps = known.get(table)
  if (apps === undefined) known.set(table, (apps = readApps(table)))
  return apps
}

const readApps = ({ specs }: ToolTable): Apps => {
  const connectors = new Map<string, Connector>()
  const tools = new Map<string, AppTool>()
  for (const spec of specs) {
    const origin = McpTools.originOf(spec)
    if (origin?.server.apps !== true) continue
    const connector = connectorOf(origin)
    const first = connectors.get(connector.id) ?? connector
    connectors.set(first.id, first)
    tools.set(spec.name, { spec, connector: first, origin })
  }
  return { connectors: [...connectors.values()], tools }
}

/** Returns the app of a tool: that of its metadata, or the server. */
const connectorOf = ({ server, tool }: McpTools.Origin): Connector => {
  const { connector_id: given, connector_name: named } = (tool._meta ?? {}) as { readonly [name: string]: unknown }
  const name = typeof named === "string" && named !== "" ? named : undefined
  const id = typeof given === "string" && given !== "" ? given : (name ?? server.name)
  return { id, name: name ?? id, slug: slugOf(name ?? id) }
}

const searching = new WeakMap<ToolTable, ToolTable>()

/** Adds a tool that searches the table, if it has so many tools of apps that a request offers a selection. */
const withSearch = (table: ToolTable): ToolTable => {
  const apps = appsOf(table)
  if (apps.tools.size < directLimit) return table
  let made = searching.get(table)
  if (made === undefined) {
    const { byName, specs } = searchOf(apps)
    made = { byName: new Map([...byName, ...table.byName]), specs: [...specs, ...table.specs] }
    searching.set(table, made)
  }
  return made
}

const searchOf = (apps: Apps): ToolTable => {
  const documents = Array.from(apps.tools.values(), documentOf)
  const described = Tool.make(searchTool, {
    description: `Search the tools of apps. The tools it returns can be called from the next step of this turn onwards. Use it when a task needs an app whose tools you do not see. Apps: ${apps.connectors
      .slice(0, 100)
      .map(({ name }) => name)
      .join(", ")}.`,
    parameters: Schema.Struct({
      query: Schema.String.annotate({ description: "Words that describe what the tool should do." }),
      limit: Schema.optionalKey(
        Schema.Finite.annotate({
          description: `How many tools to return, at most ${searchLimit.most}. Default: ${searchLimit.default}.`
        })
      )
    }),
    success: Found
  })
  const run = ({
    limit = searchLimit.default,
    query
  }: {
    readonly query: string
    readonly limit?: number | undefined
  }) =>
    Effect.sync(() => {
      const most = Math.min(Math.max(1, Math.floor(limit)), searchLimit.most)
      return {
        tools: rank(documents, query, most).map(({ name }) => {
          const { connector, spec } = apps.tools.get(name)!
          return { name, description: spec.description ?? "", app: connector.name }
        })
      }
    })
  return Tools.make([{ tool: described, run, policy: { approval: "allow", concurrency: "parallel", mutates: false } }])
}

/** Returns the searched text: names and descriptions of a tool and its app, and the names of the tool's parameters. */
const documentOf = ({ connector, origin: { server, tool }, spec }: AppTool) => {
  const { properties = {} } = spec.parameters as { readonly properties?: object }
  const parts = [spec.name, tool.name, tool.title, tool.description, connector.name, connector.id, server.name]
  return { name: spec.name, text: [...parts, ...Object.keys(properties)].join(" ") }
}

/** The facts that were recorded about a turn. */
interface Noted {
  readonly connectors: Set<string>
  readonly unknown: Set<string>
}

const noted = Local.make((): Noted => ({ connectors: new Set(), unknown: new Set() }))

/** Records the apps that the turn has selected since its last request, and warns of links to unknown apps. */
const note = Effect.fnUntraced(function* (table: ToolTable) {
  const turn = yield* Turn
  const { connectors } = appsOf(table)
  const items = yield* turn.items
  const before = Local.get(noted, turn)
  for (const id of unknownIn(connectors, items)) {
    if (before.unknown.has(id)) continue
    before.unknown.add(id)
    yield* turn.warn(unknownApp(id))
  }
  const selection = selectionOf(connectors, items).connectors
  const selected = connectors.filter(({ id }) => selection.has(id) && !before.connectors.has(id))
  if (selected.length === 0) return
  // mutant selection-noted-once (M4: a selection is noted once in its turn): drop
  for (const { id } of selected) before.connectors.add(id)
  yield* turn.note(ConnectorsSelected, { connectors: selected.map(({ id, name }) => ({ id, name })) })
})

const unknownApp = (id: string): string => `the input mentions the app ${id}, which does not exist`

const hasApps = ({ servers }: McpTools.McpTools): boolean => servers.some(({ config }) => config.apps === true)

/**
 * Hooks that warn of links to apps if no server has apps. If a server has apps, they are known when the request is
 * made, so no prompt waits for a server.
 */
export const hooks: Hooks.Hooks<never, McpTools.McpTools | Turn> = {
  ...Hooks.none,
  userPromptSubmit: (turnId, text) => {
    const { apps } = Links.read(text)
    const verdict = Hooks.none.userPromptSubmit(turnId, text)
    return apps.size === 0 ? verdict : Effect.andThen(warnWithoutApps(apps), verdict)
  }
}

const warnWithoutApps = Effect.fnUntraced(function* (apps: ReadonlySet<string>) {
  if (hasApps(yield* McpTools.McpTools)) return
  const turn = yield* Turn
  for (const id of apps) yield* turn.warn(unknownApp(id))
})
