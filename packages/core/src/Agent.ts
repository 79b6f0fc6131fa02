/**
 * Agents. An agent has the parts that a session runs with: instructions, tools with a policy each, an output format,
 * and the kinds of tasks that a client may start by name.
 *
 * The model is not part of an agent. It is a service (`Model`), which the application provides as a layer.
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Tools from "./internal/tools.ts"
import type { Decider } from "./ports/Approvals.ts"
import type { OutputFormat } from "./ports/Model.ts"
import type { ToolEntry, ToolPolicy, ToolSource, ToolTable } from "./ports/ToolSource.ts"
import { DuplicateTask, ToolInvalid } from "./protocol/AgentError.ts"
import type { TurnContext } from "./protocol/TurnContext.ts"
import * as Authority from "./state/Authority.ts"
import type { TaskKind } from "./TaskKind.ts"
import type { ToolAuthority } from "./ToolAuthority.ts"
import type { Turn } from "./Turn.ts"

export type { ToolPolicy, ToolSource } from "./ports/ToolSource.ts"

/**
 * A policy for each tool of a toolkit. A tool that the model provider runs cannot have one, because a session cannot
 * run it.
 */
export type Policies<Tools extends Record<string, Tool.Any>> = {
  readonly [Name in keyof Tools]: Tools[Name] extends Tool.AnyProviderDefined
    ? never
    : ToolPolicy<Tool.Parameters<Tools[Name]>>
}

/** The services that the handlers of tools need, except the turn, which every call provides. */
export type ToolRequirements<Tools extends Record<string, Tool.Any>> = Exclude<
  Tool.HandlersFor<Tools> | Tool.HandlerServices<Tools[keyof Tools]>,
  Turn
>

/**
 * The services that tool sources need, except the turn, in which they are asked. A source that always returns the table
 * itself needs none.
 */
export type SourceRequirements<Source extends ToolSource<any>> = Source extends {
  readonly table: () => ToolTable
}
  ? never
  : Source extends ToolSource<infer R>
    ? Exclude<R, Turn>
    : never

/** The services that the tasks of kinds need, except the turn. */
export type TaskRequirements<Kind extends TaskKind<any>> = Kind extends TaskKind<infer R> ? R : never

/**
 * The parts that a session runs with. The types of its tools are erased into `R`, so that different agents fit into one
 * collection.
 */
export interface Agent<out R = never> {
  /** A name for errors and for people. */
  readonly name: string | undefined
  readonly instructions: string | undefined
  readonly output: OutputFormat | undefined
  /** Returns the tools of its toolkit, with their policies. The first call compiles their descriptions and decoders. */
  readonly tools: () => ToolTable
  /** Sources of more tools; see {@link ToolSource}. */
  readonly sources: ReadonlyArray<ToolSource<any>>
  /** The kinds of tasks that a client may start, by name. */
  readonly tasks: ReadonlyMap<string, TaskKind<any>>
  /** The policy of tools that have none. */
  readonly defaultPolicy: ToolPolicy<any>
  readonly Requirements: Types.Covariant<R>
}

/** The parts of an agent without a toolkit. */
export interface AgentOptions<Source extends ToolSource<any> = never, Kind extends TaskKind<any> = never> {
  readonly name?: string | undefined
  readonly instructions?: string | undefined
  /** The format of the output: a schema, or a JSON Schema with a name. */
  readonly output?: OutputFormat | Schema.Top | undefined
  /**
   * Sources of tools that may change between model requests. The model sees the tools of the toolkit first, then those
   * of the sources, in order.
   */
  readonly sources?: ReadonlyArray<Source> | undefined
  /** The kinds of tasks that a client may start by name, with `Op.startTask`. */
  readonly tasks?: ReadonlyArray<Kind> | undefined
  /**
   * The policy of tools that have none: tools of sources, and tools of a toolkit whose names are known only at run
   * time. By default, a call of a tool of a source needs approval, and one call runs at a time.
   */
  readonly defaultPolicy?: ToolPolicy<any> | undefined
}

/** The parts of an agent with a toolkit. */
export interface ToolkitOptions<
  Tools extends Record<string, Tool.Any>,
  Source extends ToolSource<any> = never,
  Kind extends TaskKind<any> = never
> extends AgentOptions<Source, Kind> {
  readonly toolkit: Toolkit.Toolkit<Tools>
  readonly approvals: Policies<Tools>
}

/**
 * Makes an agent. A tool without a policy does not compile, and neither does a tool that the model provider runs.
 * **Errors**: throws `ToolInvalid`, which names the tool, for such a tool that the types did not reject, and
 * `DuplicateTask` for two task kinds with the same name.
 *
 * @example
 * ```ts
 * import { Agent } from "@spindle/core"
 * import { Schema } from "effect"
 * import { Tool, Toolkit } from "effect/ai"
 *
 * const toolkit = Toolkit.make(
 *   Tool.make("refund", { parameters: Schema.Struct({ euros: Schema.Finite }), success: Schema.String })
 * )
 * export const agent = Agent.make({
 *   instructions: "You look after refunds.",
 *   toolkit,
 *   // each tool has a policy; without it the agent does not compile
 *   approvals: { refund: { approval: ({ euros }) => (euros <= 10 ? "allow" : "ask") } }
 * })
 * ```
 */
export const make: {
  <Source extends ToolSource<any> = never, Kind extends TaskKind<any> = never>(
    options: AgentOptions<Source, Kind> & { readonly toolkit?: undefined; readonly approvals?: undefined }
  ): Agent<SourceRequirements<Source> | TaskRequirements<Kind>>
  <Tools extends Record<string, Tool.Any>, Source extends ToolSource<any> = never, Kind extends TaskKind<any> = never>(
    options: ToolkitOptions<Tools, Source, Kind>
  ): Agent<ToolRequirements<Tools> | SourceRequirements<Source> | TaskRequirements<Kind>>
} = (
  options: AgentOptions<ToolSource<any>, TaskKind<any>> & {
    readonly toolkit?: Toolkit.Any | undefined
    readonly approvals?: { readonly [name: string]: ToolPolicy<any> } | undefined
  }
): any => {
  const { approvals = {}, defaultPolicy, instructions, name, output, sources = [], tasks = [], toolkit } = options
  const tools = Object.values((toolkit?.tools ?? {}) as Record<string, Tool.Any>)
  const policyOf = (tool: Tool.Any) => (Object.hasOwn(approvals, tool.name) ? approvals[tool.name] : defaultPolicy)
  for (const tool of tools) {
    Tools.checkTool(tool)
    if (policyOf(tool) === undefined) throw new ToolInvalid({ tool: tool.name, problem: "NoPolicy" })
  }
  return {
    name,
    instructions,
    output: output === undefined ? undefined : formatOf(output),
    tools: once(() =>
      Tools.makeTable(tools.map((tool) => ({ tool, policy: policyOf(tool), run: Tools.runInContext(tool, name) })))
    ),
    sources,
    tasks: byName(tasks),
    defaultPolicy: defaultPolicy ?? Tools.defaultPolicy,
    Requirements: covariant
  }
}

/**
 * Makes an agent as {@link make} does, for a toolkit whose names are known only at run time. **Errors**: fails with
 * `ToolInvalid` instead of throwing it.
 */
export const makeEffect: {
  <Tools extends Record<string, Tool.Any>, Source extends ToolSource<any> = never, Kind extends TaskKind<any> = never>(
    options: Omit<ToolkitOptions<Tools, Source, Kind>, "approvals"> & {
      readonly approvals?: { readonly [name: string]: ToolPolicy<any> } | undefined
    }
  ): Effect.Effect<Agent<ToolRequirements<Tools> | SourceRequirements<Source> | TaskRequirements<Kind>>, ToolInvalid>
} = (options): any =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(make(options as never))
    } catch (error) {
      return error instanceof ToolInvalid ? Effect.fail(error) : Effect.die(error)
    }
  })

const byName = (tasks: ReadonlyArray<TaskKind<any>>): ReadonlyMap<string, TaskKind<any>> => {
  const kinds = new Map<string, TaskKind<any>>()
  for (const kind of tasks) {
    if (kinds.has(kind.name)) throw new DuplicateTask({ kind: kind.name })
    kinds.set(kind.name, kind)
  }
  return kinds
}

const once = <A>(evaluate: () => A): (() => A) => {
  let made: { readonly value: A } | undefined
  return () => (made ??= { value: evaluate() }).value
}

const formatOf = (output: OutputFormat | Schema.Top): OutputFormat =>
  Schema.isSchema(output) ? { name: "output", schema: Tool.getJsonSchemaFromSchema(output) } : output

// the requirements exist in the type only
const covariant = (none: never): never => none

/**
 * Returns the agent with a decider in its requirements. A session of it does not compile without `Approvals.layer`, so
 * no question waits for an answer that never comes.
 */
export const requireDecider = <R>(self: Agent<R>): Agent<R | Decider> => self as Agent<R | Decider>

/**
 * Returns the authority of an agent in turns with a context, by default an empty one: the permission that its policies
 * give a call of a tool of its toolkit. For a tool of another agent with the same name, a policy that decides by
 * arguments asks, because that tool may have other arguments.
 */
export const authorityOf = <R>(agent: Agent<R>, context: TurnContext = {}): ToolAuthority =>
  Tools.authorityOf(agent.tools, agent.defaultPolicy, context)

/**
 * Returns the agent with at most this authority: each policy becomes the meet of its present one and `most`
 * (contract A4).
 */
export const narrow: {
  (most: ToolAuthority): <R>(self: Agent<R>) => Agent<R>
  <R>(self: Agent<R>, most: ToolAuthority): Agent<R>
} = dual(2, <R>(self: Agent<R>, most: ToolAuthority) => {
  const narrow = (entry: ToolEntry): ToolEntry => {
    const policy = entry.policy ?? self.defaultPolicy
    const approval = (params: unknown, context: TurnContext) =>
      Authority.atMost(Tools.rulingOf(policy, params, context), most(entry.spec, params) ?? "allow")
    return { ...entry, policy: { ...policy, approval } }
  }
  return mapTools(self, narrow)
})

/** Returns the agent with each of its tools replaced, including those of its sources. */
export const mapTools: {
  (replace: (tool: ToolEntry) => ToolEntry): <R>(self: Agent<R>) => Agent<R>
  <R>(self: Agent<R>, replace: (tool: ToolEntry) => ToolEntry): Agent<R>
} = dual(2, <R>(self: Agent<R>, replace: (tool: ToolEntry) => ToolEntry) =>
  mapTables(self, ({ byName, specs }) => ({
    specs,
    byName: new Map(Array.from(byName, ([name, tool]) => [name, replace(tool)]))
  }))
)

/** Returns the agent without the tools of these names; its model does not see them. */
export const withoutTools: {
  (names: ReadonlyArray<string>): <R>(self: Agent<R>) => Agent<R>
  <R>(self: Agent<R>, names: ReadonlyArray<string>): Agent<R>
} = dual(2, <R>(self: Agent<R>, names: ReadonlyArray<string>) =>
  mapTables(self, ({ byName }) => Tools.tableOf(new Map(Array.from(byName).filter(([name]) => !names.includes(name)))))
)

/** Returns the agent with another output format. */
export const withOutput: {
  (output: OutputFormat | Schema.Top): <R>(self: Agent<R>) => Agent<R>
  <R>(self: Agent<R>, output: OutputFormat | Schema.Top): Agent<R>
} = dual(2, <R>(self: Agent<R>, output: OutputFormat | Schema.Top) => ({ ...self, output: formatOf(output) }))

/** Returns the agent with other instructions. */
export const withInstructions: {
  (instructions: string): <R>(self: Agent<R>) => Agent<R>
  <R>(self: Agent<R>, instructions: string): Agent<R>
} = dual(2, <R>(self: Agent<R>, instructions: string) => ({ ...self, instructions }))

/** Returns the agent with each of its tool tables replaced. An unchanged table has an unchanged replacement. */
const mapTables = <R>(self: Agent<R>, replace: (table: ToolTable) => ToolTable): Agent<R> => {
  const replaced = new WeakMap<ToolTable, ToolTable>()
  const of = (table: ToolTable): ToolTable => {
    const known = replaced.get(table)
    if (known !== undefined) return known
    const made = replace(table)
    replaced.set(table, made)
    return made
  }
  return {
    ...self,
    tools: () => of(self.tools()),
    sources: self.sources.map((source) => ({
      ...source,
      table: () => {
        const table = source.table()
        return Effect.isEffect(table) ? Effect.map(table, of) : of(table)
      }
    }))
  }
}
