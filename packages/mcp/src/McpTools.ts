/**
 * The tools of MCP servers as a source of tools.
 *
 * The first request of a turn waits for the servers that are still starting. A server that has failed is reported once
 * in each session, and its tools are missing; nothing else is affected. Tools that a server adds or removes appear or
 * disappear with the next request.
 */
import type { CallId } from "@spindle/core/Ids"
import * as Local from "@spindle/core/Local"
import type { ToolSpec } from "@spindle/core/Model"
import * as Tools from "@spindle/core/Tools"
import type { ToolEntry, ToolPolicy, ToolSource, ToolTable } from "@spindle/core/ToolSource"
import { Turn } from "@spindle/core/Turn"
import { type ByTurn, valueIn } from "@spindle/core/TurnContext"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as McpSchema from "effect/ai/McpSchema"
import * as Tool from "effect/ai/Tool"
import { CurrentCall } from "./internal/currentCall.ts"
import * as Results from "./internal/results.ts"
import * as ToolNames from "./internal/toolNames.ts"
import type { McpFailed } from "./McpFailed.ts"
import type { McpServer } from "./McpServer.ts"
import { McpServers } from "./McpServers.ts"
import type { ServerConfig } from "./ServerConfig.ts"

/** A tool reported that it failed. The model reads the message. */
export class ToolReportedFailure extends Schema.TaggedError<ToolReportedFailure>()("ToolReportedFailure", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** The origin of a tool. Each tool of a server is annotated with it. */
export interface Origin {
  readonly server: ServerConfig
  readonly tool: McpSchema.Tool
}

const Origin: Context.Service<Origin, Origin> = Context.Service("@spindle/mcp/McpTools/Origin")

/** Returns the origin of a tool; undefined for a tool of no server. */
export const originOf = ({ source }: Pick<ToolSpec, "source">): Origin | undefined =>
  Tool.isUserDefined(source) || Tool.isDynamic(source)
    ? Option.getOrUndefined(Context.getOption(source.annotations, Origin))
    : undefined

/** The tools of the servers of a program. */
export interface McpTools {
  readonly servers: ReadonlyArray<McpServer>
  /** Waits for servers that start for the first time, and returns the tools of all. */
  readonly table: Effect.Effect<ToolTable, never, Turn>
}

/** The service key of {@link McpTools}. */
export const McpTools: Context.Service<McpTools, McpTools> = Context.Service("@spindle/mcp/McpTools")

/** The options of the tools. */
export interface Options {
  readonly servers: ReadonlyArray<ServerConfig>
  /**
   * The policy for a call that may change something: it is allowed, or a person is asked. It may depend on the context
   * of the turn. A call of a tool that is marked as read-only is always allowed.
   */
  readonly approval: ByTurn<"allow" | "ask">
}

/**
 * Starts the servers, all at the same time, and provides their tools. The servers are released with the layer.
 * **Errors**: `McpFailed` if a server that is required does not start; only such servers are waited for.
 */
export const layer = (options: Options): Layer.Layer<McpTools, McpFailed, McpServers> =>
  Layer.effect(McpTools)(
    Effect.gen(function* () {
      const { get } = yield* McpServers
      const servers = yield* Effect.forEach(options.servers, get)
      const required = servers.filter(({ config }) => config.required === true)
      yield* Effect.forEach(required, ({ started }) => started, { concurrency: "unbounded", discard: true })
      return { servers, table: tableOf(servers, options) }
    })
  )

/** {@link layer}, its options read from the configuration: `Config.schema` reads the servers from JSON. */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<McpTools, McpFailed | Config.ConfigError, McpServers> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))

/** The source, for `Agent.make`. */
export const source: ToolSource<McpTools | Turn> = {
  name: "the MCP servers",
  table: () => Effect.flatMap(McpTools, ({ table }) => table),
  // each server has its own limit
  deadline: "1 hour"
}

/** The table, made again after the tools of a server have changed. */
const tableOf = (servers: ReadonlyArray<McpServer>, options: Options): Effect.Effect<ToolTable, never, Turn> => {
  const warned = Local.make(() => new Set<string>())
  let made: Made = { lists: [], table: Tools.empty, problems: [] }
  const report = Effect.fnUntraced(function* (turn: Turn, problems: ReadonlyArray<string>) {
    const known = Local.get(warned, turn.session)
    for (const problem of problems) {
      if (known.has(problem)) continue
      known.add(problem)
      yield* turn.warn(problem)
    }
  })
  return Effect.gen(function* () {
    const turn = yield* Turn
    yield* Effect.forEach(servers, ({ started }) => Effect.exit(started), { concurrency: "unbounded", discard: true })
    const now = servers.map((server) => server.tools())
    let current = made
    if (now.length !== made.lists.length || now.some((list, index) => list !== made.lists[index])) {
      current = yield* makeTable(servers, now, options)
      made = current
    }
    const failures = servers.flatMap((server) => server.failure()?.message ?? [])
    yield* report(turn, [...failures, ...current.problems])
    return current.table
  })
}

/** A table with the data that it was made from. A turn never sees one without the other. */
interface Made {
  readonly lists: ReadonlyArray<ReadonlyArray<McpSchema.Tool>>
  readonly table: ToolTable
  /** The reasons why tools are missing. */
  readonly problems: ReadonlyArray<string>
}

const makeTable = Effect.fnUntraced(function* (
  servers: ReadonlyArray<McpServer>,
  lists: Made["lists"],
  options: Options
) {
  const byName = new Map<string, ToolEntry>()
  const problems: Array<string> = []
  for (const [index, server] of servers.entries()) {
    for (const tool of lists[index] ?? []) {
      const name = yield* ToolNames.of(server.config.name, tool.name)
      const entry = entryOf(server, { tool, name }, options)
      const where = `the tool ${tool.name} of the MCP server ${server.config.name} is not used`
      if (typeof entry === "string") problems.push(`${where}: ${entry}`)
      else if (byName.has(name)) problems.push(`${where}: there is another tool named ${name}`)
      else byName.set(name, entry)
    }
  }
  return { lists, table: { byName, specs: Array.from(byName.values(), ({ spec }) => spec) }, problems } satisfies Made
})

/** Makes the tool. Returns the reason if no session can run it. */
const entryOf = (
  server: McpServer,
  { name, tool }: { readonly name: string; readonly tool: McpSchema.Tool },
  options: Options
): ToolEntry | string => {
  const described = Tool.dynamic(name, {
    parameters: tool.inputSchema,
    description: tool.description ?? tool.title,
    success: Schema.Unknown,
    failure: Schema.Unknown
  })
    .annotate(Tool.Strict, false)
    .annotate(Origin, { server: server.config, tool })
  try {
    const policy = policyOf(server.config, tool, options)
    const run = (params: unknown, callId: string) => runTool(server, tool, { name, params, callId: callId as CallId })
    return Tools.make([{ tool: described, run: run as Tools.SourceTool["run"], policy }]).byName.get(name)!
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const policyOf = (
  { name: server, parallel }: ServerConfig,
  { annotations, name: tool }: McpSchema.Tool,
  { approval }: Options
): ToolPolicy => {
  const isReadOnly = annotations?.readOnlyHint === true
  return {
    approval: isReadOnly ? "allow" : (_, context) => valueIn(approval, context),
    concurrency: isReadOnly || parallel === true ? "parallel" : "exclusive",
    mutates: !isReadOnly,
    display: () => ({ _tag: "Mcp", server, tool })
  }
}

interface NamedCall {
  readonly name: string
  readonly params: unknown
  readonly callId: CallId
}

/** Calls the tool. The images of its result follow in a message to the model. */
const runTool = Effect.fnUntraced(function* (server: McpServer, tool: McpSchema.Tool, call: NamedCall) {
  const turn = yield* Turn
  const { callId, name, params } = call
  const since = yield* Clock.currentTimeMillis
  const result = Results.of(
    yield* Effect.provideService(server.callTool(tool, argumentsOf(params)), CurrentCall, {
      turn,
      callId,
      tool: name,
      sendsHeaders: server.config.turnHeaders === true,
      questions: { count: 0, settledAt: Number.NEGATIVE_INFINITY }
    })
  )
  const durationMillis = (yield* Clock.currentTimeMillis) - since
  yield* turn.detail(callId, { _tag: "Mcp", isError: result.isError, durationMillis })
  if (result.images.length > 0) {
    const op = { _tag: "Notice", fragment: "tool_images", input: result.images, delivery: "wait" } as const
    const receipt = yield* turn.session.submit(op)
    if (receipt._tag === "Rejected") yield* turn.warn(`the images of ${name} were not accepted: ${receipt.reason._tag}`)
  }
  if (!result.isError) return result.output
  const { output } = result
  return yield* new ToolReportedFailure({ detail: typeof output === "string" ? output : JSON.stringify(output) })
})

const argumentsOf = (params: unknown): { readonly [name: string]: unknown } =>
  typeof params === "object" && params !== null && !Array.isArray(params) ? { ...params } : {}
