/** The tools of an agent: schemas compiled once, handlers taken from the context. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import type { ToolPolicy } from "../Agent.ts"
import { promptOf } from "../models/effectAi.ts"
import type { ToolSpec } from "../ports/Model.ts"
import type { CallDisplay } from "../protocol/Display.ts"
import type { Item } from "../protocol/Item.ts"
import * as ToolArguments from "./toolArguments.ts"

/** A tool that can be called. */
export interface ToolEntry {
  readonly spec: ToolSpec
  readonly policy: ToolPolicy<any>
  /** Describes a call from its arguments as they came; undefined when its policy does not, or cannot. */
  readonly display: (params: unknown) => CallDisplay | undefined
  readonly decode: (params: unknown) => Effect.Effect<unknown, Schema.SchemaError>
  readonly run: (params: unknown, callId: string) => Effect.Effect<unknown, unknown>
  /** Whether the tool itself says that its call wants to be approved, whatever the policy allows. */
  readonly asks: ((params: unknown, callId: string, items: ReadonlyArray<Item>) => Effect.Effect<boolean>) | undefined
  readonly encodeSuccess: (value: unknown) => Effect.Effect<unknown, Schema.SchemaError>
  readonly encodeFailure: (error: unknown) => Effect.Effect<unknown, Schema.SchemaError>
}

/** The tools of an agent by name, and as a model is told about them. */
export interface ToolTable {
  readonly specs: ReadonlyArray<ToolSpec>
  readonly byName: ReadonlyMap<string, ToolEntry>
}

/**
 * The tools of an agent: described and compiled at first use, once for all its sessions. Handlers are looked up in the
 * context of each call, under the key and in the shape that `Toolkit.toLayer` gives them.
 */
export const table = (
  tools: { readonly [name: string]: Tool.Any },
  policies: { readonly [name: string]: ToolPolicy<any> }
): (() => ToolTable) => {
  let made: ToolTable | undefined
  for (const tool of Object.values(tools)) {
    if (Tool.isProviderDefined(tool))
      throw new TypeError(`${tool.name} is run by its provider; a session runs its tools itself`)
  }
  return () => {
    if (made === undefined) {
      const byName = new Map<string, ToolEntry>()
      for (const tool of Object.values(tools)) byName.set(tool.name, entry(tool, policies[tool.name]!))
      made = { specs: Array.from(byName.values(), (one) => one.spec), byName }
    }
    return made
  }
}

const entry = (tool: Tool.Any, policy: ToolPolicy<any>): ToolEntry => {
  const decode = Schema.isSchema(tool.parametersSchema)
    ? ToolArguments.decoder(codecOf(tool.parametersSchema))
    : Effect.succeed
  return {
    policy,
    display: displayOf(policy, decode),
    spec: {
      name: tool.name,
      description: Tool.getDescription(tool),
      parameters: Tool.getJsonSchema(tool),
      ...(policy.freeform === undefined ? {} : { freeform: policy.freeform }),
      source: tool
    },
    decode,
    run: (params, callId) =>
      Effect.contextWith((context: Context.Context<never>) => {
        const handler = context.mapUnsafe.get(tool.id) as Tool.Handler<string>
        const result = handler.handler(params, { toolCallId: callId, preliminary: () => Effect.void })
        return Effect.provideContext(result, Context.merge(handler.context, context))
      }),
    asks: asksOf(tool.needsApproval),
    encodeSuccess: Schema.encodeUnknownEffect(codecOf(tool.successSchema)),
    encodeFailure: Schema.encodeUnknownEffect(codecOf(Tool.failureResultSchema(tool)))
  }
}

/** The display of a policy, for arguments as they came. A display function that throws describes nothing. */
const displayOf = (policy: ToolPolicy<any>, decode: ToolEntry["decode"]) => {
  const { display } = policy
  if (display === undefined) return () => undefined
  return (params: unknown): CallDisplay | undefined => {
    const decoded = Effect.runSyncExit(decode(params))
    if (decoded._tag === "Failure") return undefined
    try {
      return display(decoded.value)
    } catch {
      return undefined
    }
  }
}

/** Describes a call of a table; undefined for a tool that is not in it. */
export const display =
  ({ byName }: ToolTable) =>
  ({ name, params }: { readonly name: string; readonly params: unknown }): CallDisplay | undefined =>
    byName.get(name)?.display(params)

const never = Effect.succeed(false)
const always = Effect.succeed(true)

const asksOf = (needsApproval: Tool.Any["needsApproval"]): ToolEntry["asks"] => {
  if (typeof needsApproval !== "function") return needsApproval === true ? () => always : undefined
  return (params, toolCallId, items) =>
    Effect.suspend(() => {
      const { content } = promptOf({ instructions: undefined, items, output: undefined })
      const asks = needsApproval(params, { toolCallId, messages: content })
      return Effect.isEffect(asks) ? asks : asks ? always : never
    })
}

/** The type of a tool in a list hides what its schemas are between; `Agent.make` has seen it. */
const codecOf = (schema: unknown) => schema as Schema.Codec<unknown, unknown>
