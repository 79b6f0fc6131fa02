/**
 * What a session runs with: instructions, tools with a policy each, the shape of the answer.
 *
 * The model is not part of it: it is a service (`Model`), given as a layer or left in the requirements of whoever makes
 * the session.
 */
import type * as Effect from "effect/Effect"
import type * as Types from "effect/Types"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import type { CallDisplay } from "./protocol/Display.ts"
import type { OutputFormat, ToolSpec } from "./ports/Model.ts"
import type { ToolAuthority } from "./ports/ToolAuthority.ts"
import * as Authority from "./state/Authority.ts"
import * as Tools from "./internal/tools.ts"
import type { Turn } from "./Turn.ts"

/**
 * What one tool may do. `approval` says who has to agree before its handler runs; a function decides by the decoded
 * arguments. A tool of `effect/ai` that says `needsApproval` is asked for also where its policy allows it. `concurrency`:
 * an *exclusive* tool runs alone, *parallel* ones side by side; exclusive unless it says so. `kind` and `payload` are what
 * the person who is asked gets to see.
 */
export interface ToolPolicy<Params = unknown> {
  readonly approval: "allow" | "ask" | "deny" | ((params: Params) => "allow" | "ask" | "deny")
  readonly concurrency?: "parallel" | "exclusive"
  readonly kind?: "command" | "patch" | "permissions"
  readonly payload?: (params: Params) => unknown
  /**
   * Returns why a call cannot succeed, in words for the model, or undefined. It runs before a person is asked, and again
   * when earlier calls have ended if it refused while they ran. A call that it refuses has failed, and nobody is asked.
   */
  readonly check?: (params: Params) => Effect.Effect<string | undefined>
  /** What a call is, for people and for the wire. It is recorded with the call. Without it a call is `Other`. */
  readonly display?: (params: Params) => CallDisplay
  /** A tool that takes plain text in a grammar; its handler gets `{ input }`. */
  readonly freeform?: ToolSpec["freeform"]
}

/** A policy for each tool of a toolkit. There is none for a tool that its provider runs itself: a session cannot. */
export type Policies<Tools extends Record<string, Tool.Any>> = {
  readonly [Name in keyof Tools]: Tools[Name] extends Tool.AnyProviderDefined
    ? never
    : ToolPolicy<Tool.Parameters<Tools[Name]>>
}

/** What its handlers need, without the turn, which every call provides. */
export type ToolRequirements<Tools extends Record<string, Tool.Any>> = Exclude<
  Tool.HandlersFor<Tools> | Tool.HandlerServices<Tools[keyof Tools]>,
  Turn
>

/** What a session runs with. The types of its tools are erased into `R`, so that agents fit one record of roles. */
export interface Agent<out R = never> {
  readonly instructions: string | undefined
  readonly output: OutputFormat | undefined
  /** Its tools, with their policies; described and compiled at the first call. */
  readonly tools: () => Tools.ToolTable
  readonly Requirements: Types.Covariant<R>
}

/**
 * Makes an agent. A tool without a policy does not compile, nor does one that is run by its provider; in an untyped
 * program that one throws a `TypeError`. Preliminary results of a handler are not told to anybody.
 */
export const make: {
  (options: { readonly instructions?: string; readonly output?: OutputFormat }): Agent
  <Tools extends Record<string, Tool.Any>>(options: {
    readonly instructions?: string
    readonly output?: OutputFormat
    readonly toolkit: Toolkit.Toolkit<Tools>
    readonly approvals: Policies<Tools>
  }): Agent<ToolRequirements<Tools>>
} = (options: {
  readonly instructions?: string
  readonly output?: OutputFormat
  readonly toolkit?: Toolkit.Any
  readonly approvals?: { readonly [name: string]: ToolPolicy<any> }
}): any => ({
  instructions: options.instructions,
  output: options.output,
  Requirements: covariant,
  tools: Tools.table(options.toolkit?.tools ?? {}, options.approvals ?? {})
})

// the requirements exist in the type only
const covariant = (none: never): never => none

/**
 * What an agent may do by itself: the permission that its policy gives a call. A tool of the same name that is not the
 * very same tool may have other arguments: a policy that decides by them then says `ask`.
 */
export const authorityOf =
  <R>(agent: Agent<R>): ToolAuthority =>
  (tool, params) => {
    const entry = agent.tools().byName.get(tool.name)
    if (entry === undefined) return undefined
    const { approval } = entry.policy
    if (typeof approval !== "function") return approval
    return entry.spec.source === tool.source ? approval(params) : "ask"
  }

/** The agent with at most this authority: each of its policies is the meet of its own and what `most` says (A4). */
export const narrow = <R>(agent: Agent<R>, most: ToolAuthority): Agent<R> => {
  let made: Tools.ToolTable | undefined
  const narrowed = (): Tools.ToolTable => {
    const { byName, specs } = agent.tools()
    const entries = Array.from(byName, ([name, entry]) => {
      const { approval } = entry.policy
      const meet = (params: unknown) =>
        Authority.meet(
          typeof approval === "function" ? approval(params) : approval,
          most(entry.spec, params) ?? "allow"
        )
      return [name, { ...entry, policy: { ...entry.policy, approval: meet } }] as const
    })
    return { specs, byName: new Map(entries) }
  }
  return { ...agent, tools: () => (made ??= narrowed()) }
}

/** The agent without the tools of these names: its model is not told of them. */
export const withoutTools = <R>(agent: Agent<R>, names: ReadonlyArray<string>): Agent<R> => {
  let made: Tools.ToolTable | undefined
  const left = (): Tools.ToolTable => {
    const { byName, specs } = agent.tools()
    return {
      specs: specs.filter(({ name }) => !names.includes(name)),
      byName: new Map(Array.from(byName).filter(([name]) => !names.includes(name)))
    }
  }
  return { ...agent, tools: () => (made ??= left()) }
}

/** The agent with another form of answer. */
export const withOutput = <R>(agent: Agent<R>, output: OutputFormat): Agent<R> => ({ ...agent, output })

/** The agent with other instructions. */
export const withInstructions = <R>(agent: Agent<R>, instructions: string): Agent<R> => ({ ...agent, instructions })
