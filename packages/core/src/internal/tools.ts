/** The tools of an agent, resolved once: schemas compiled, handlers taken from the context. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import type { ToolPolicy } from "../Agent.ts"
import type { ToolSpec } from "../ports/Model.ts"

/** A tool that can be called. */
export interface ToolEntry {
  readonly spec: ToolSpec
  readonly policy: ToolPolicy<any>
  readonly decode: (params: unknown) => Effect.Effect<unknown, Schema.SchemaError>
  readonly run: (params: unknown, callId: string) => Effect.Effect<unknown, unknown>
  readonly encodeSuccess: (value: unknown) => Effect.Effect<unknown, Schema.SchemaError>
  readonly encodeFailure: (error: unknown) => Effect.Effect<unknown, Schema.SchemaError>
}

/** The tools of an agent by name, and as a model is told about them. */
export interface ToolTable {
  readonly specs: ReadonlyArray<ToolSpec>
  readonly byName: ReadonlyMap<string, ToolEntry>
}

/** No tools. */
export const none: ToolTable = { specs: [], byName: new Map() }

/** Looks up the handlers of a toolkit's tools in the context, and compiles their schemas. */
export const resolve = (
  tools: { readonly [name: string]: Tool.Any },
  policies: { readonly [name: string]: ToolPolicy<any> }
): Effect.Effect<ToolTable, never, any> =>
  Effect.contextWith((context: Context.Context<any>) => {
    const byName = new Map<string, ToolEntry>()
    for (const tool of Object.values(tools)) byName.set(tool.name, entry(tool, policies[tool.name]!, context))
    return Effect.succeed({ specs: Array.from(byName.values(), (one) => one.spec), byName })
  })

const entry = (tool: Tool.Any, policy: ToolPolicy<any>, context: Context.Context<any>): ToolEntry => {
  // the key and the shape are those of `Toolkit.toLayer`
  const handler = context.mapUnsafe.get(tool.id) as Tool.Handler<string>
  const schema: Schema.Codec<unknown, unknown> | undefined = Schema.isSchema(tool.parametersSchema)
    ? (tool.parametersSchema as any)
    : undefined
  return {
    policy,
    spec: {
      name: tool.name,
      description: Tool.getDescription(tool),
      parameters: Tool.getJsonSchema(tool),
      ...(policy.freeform === undefined ? {} : { freeform: policy.freeform }),
      source: tool
    },
    decode: schema === undefined ? Effect.succeed : Schema.decodeUnknownEffect(schema),
    run: (params, callId) =>
      Effect.updateContext(
        handler.handler(params, { toolCallId: callId, preliminary: () => Effect.void }),
        (input: Context.Context<never>) => Context.merge(handler.context, input)
      ),
    encodeSuccess: Schema.encodeUnknownEffect(tool.successSchema as Schema.Codec<unknown, unknown>),
    encodeFailure: Schema.encodeUnknownEffect(
      Tool.failureResultSchema(tool) as unknown as Schema.Codec<unknown, unknown>
    )
  }
}
