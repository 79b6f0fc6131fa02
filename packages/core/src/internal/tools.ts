/** Tables of tools. Their schemas are compiled once. Their handlers come from the context or from a source. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import { promptOf } from "../models/effectAi.ts"
import type { ToolEntry, ToolPolicy, ToolTable } from "../ports/ToolSource.ts"
import { CallbackFailed, messageOf, ToolHandlerMissing, ToolInvalid } from "../protocol/AgentError.ts"
import { CallDisplay } from "../protocol/Display.ts"
import { jsonOfUnsafe, type ToolCall } from "../protocol/Item.ts"
import type { TurnContext } from "../protocol/TurnContext.ts"
import * as Authority from "../state/Authority.ts"
import type { ToolAuthority } from "../ToolAuthority.ts"
import * as ToolArguments from "./toolArguments.ts"

/** A tool with its policy and its handler. */
export interface ToolDefinition {
  readonly tool: Tool.Any
  readonly policy: ToolPolicy<any> | undefined
  readonly run: ToolEntry["run"]
}

/** Compiles a table. Throws `ToolInvalid` for a tool that no session can run. */
export const makeTable = (definitions: Iterable<ToolDefinition>): ToolTable => {
  const byName = new Map<string, ToolEntry>()
  for (const definition of definitions) {
    const { name } = definition.tool
    if (byName.has(name)) throw new ToolInvalid({ tool: name, problem: "Duplicate" })
    byName.set(name, makeEntry(definition))
  }
  return tableOf(byName)
}

/** Makes the table of these entries. */
export const tableOf = (byName: ReadonlyMap<string, ToolEntry>): ToolTable => ({
  specs: Array.from(byName.values(), ({ spec }) => spec),
  byName
})

/** The table without tools. */
export const noTools: ToolTable = tableOf(new Map())

/** Throws `ToolInvalid` for a tool that its provider runs. */
export const checkTool = (tool: Tool.Any): void => {
  if (Tool.isProviderDefined(tool)) throw new ToolInvalid({ tool: tool.name, problem: "RunByProvider" })
}

/**
 * Runs the handler of a tool that `Toolkit.toLayer` has put into the context of the call. Dies with
 * `ToolHandlerMissing` if it is missing. Preliminary results are dropped.
 */
export const runInContext =
  (tool: Tool.Any, agent: string | undefined): ToolEntry["run"] =>
  (params, callId) =>
    Effect.contextWith((context: Context.Context<never>) => {
      const handler = context.mapUnsafe.get(tool.id) as Tool.Handler<string> | undefined
      if (handler === undefined) return Effect.die(new ToolHandlerMissing({ tool: tool.name, agent }))
      const result = handler.handler(params, { toolCallId: callId, preliminary: () => Effect.void })
      return Effect.updateContext(result, () => Context.merge(handler.context, context))
    })

const makeEntry = ({ policy, run, tool }: ToolDefinition): ToolEntry => {
  checkTool(tool)
  try {
    const decode = Schema.isSchema(tool.parametersSchema)
      ? ToolArguments.decoder(codecOf(tool.parametersSchema))
      : Effect.succeed
    const freeform = policy?.freeform
    return {
      policy,
      run,
      display: decodeFirst(policy?.display && checkResult(policy.display), decode),
      redirect: decodeFirst(policy?.redirect, decode),
      spec: {
        name: tool.name,
        description: Tool.getDescription(tool),
        parameters: jsonSchemaOf(tool),
        ...(freeform === undefined ? {} : { freeform }),
        source: tool
      },
      decode,
      asks: asksOf(tool.needsApproval),
      encodeSuccess: Schema.encodeUnknownEffect(codecOf(tool.successSchema)),
      encodeFailure: Schema.encodeUnknownEffect(codecOf(Tool.failureResultSchema(tool)))
    }
  } catch (error) {
    throw new ToolInvalid({ tool: tool.name, problem: "Schema", detail: messageOf(error) })
  }
}

/** The JSON Schemas of schemas, since a table that changes is compiled anew, and most of its tools are as before. */
const jsonSchemas = new WeakMap<object, ReturnType<typeof Tool.getJsonSchema>>()

const jsonSchemaOf = (tool: Tool.Any): ReturnType<typeof Tool.getJsonSchema> => {
  if (Tool.isDynamic(tool)) return Tool.getJsonSchema(tool)
  const known = jsonSchemas.get(tool.parametersSchema)
  if (known !== undefined) return known
  const made = Tool.getJsonSchema(tool)
  jsonSchemas.set(tool.parametersSchema, made)
  return made
}

const checkDisplay = Schema.decodeUnknownSync(CallDisplay)

/**
 * Wraps a display function so that it throws for a value that is not a display. A program without types may return
 * anything, even a value that no record can carry.
 */
const checkResult =
  (display: NonNullable<ToolPolicy<any>["display"]>): typeof display =>
  (params, context) =>
    checkDisplay(jsonOfUnsafe(display(params, context)))

/**
 * Makes a function of a policy take the arguments that the model wrote. It returns undefined if they cannot be decoded.
 */
const decodeFirst = <A, Rest extends ReadonlyArray<unknown>>(
  of: ((params: any, ...rest: Rest) => A | undefined) | undefined,
  decode: ToolEntry["decode"]
) => {
  if (of === undefined) return () => undefined
  return (params: unknown, ...rest: Rest): A | undefined => {
    const decoded = Effect.runSyncExit(decode(params))
    return decoded._tag === "Failure" ? undefined : of(decoded.value, ...rest)
  }
}

/**
 * A call after its redirection, and the tool that it reaches. `entry` is undefined if there is no such tool, or if
 * there is a `failure`.
 */
export interface Reached<Call> {
  readonly entry: ToolEntry | undefined
  readonly call: Call
  /** Set if the redirect function threw. */
  readonly failure?: CallbackFailed
}

/** Follows the redirection of a call. */
export const reach = <Call extends Pick<ToolCall, "name" | "params">>(
  { byName }: ToolTable,
  call: Call
): Reached<Call> => {
  const entry = byName.get(call.name)
  try {
    const redirection = entry?.redirect(call.params)
    const target = redirection === undefined ? undefined : byName.get(redirection.name)
    return target === undefined ? { entry, call } : { entry: target, call: { ...call, ...redirection } }
  } catch (cause) {
    const callback = `the redirect function of the tool ${call.name}`
    return { entry: undefined, call, failure: new CallbackFailed({ callback, cause }) }
  }
}

const asksNever = Effect.succeed(false)
const asksAlways = Effect.succeed(true)

const asksOf = (needsApproval: Tool.Any["needsApproval"]): ToolEntry["asks"] => {
  if (typeof needsApproval !== "function") return needsApproval === true ? () => asksAlways : undefined
  return (params, toolCallId, items) =>
    Effect.suspend(() => {
      const { content } = promptOf({ instructions: undefined, items, output: undefined })
      const asks = needsApproval(params, { toolCallId, messages: content })
      return Effect.isEffect(asks) ? asks : asks ? asksAlways : asksNever
    })
}

/** Casts a schema. The type of a tool in a list hides the types of its schemas; `Agent.make` has checked them. */
const codecOf = (schema: unknown) => schema as Schema.Codec<unknown, unknown>

/** The policy of a tool without a policy: its calls need approval and run alone. */
export const defaultPolicy: ToolPolicy<any> = { approval: "ask", concurrency: "exclusive" }

/** Returns the entry with its own policy, or else with the default one. */
export const withDefault = (entry: ToolEntry, policy: ToolPolicy<any>): ToolEntry =>
  entry.policy === undefined ? { ...entry, policy } : entry

// a program without types may return a value that no record can carry
const Permission = Schema.Literals(["allow", "ask", "deny"])
const checkRuling: (ruling: unknown) => Authority.Permission | Authority.Ruling = Schema.decodeUnknownSync(
  Schema.Union([
    Permission,
    Schema.Struct({
      permission: Permission,
      source: Schema.Literals(["policy", "rule"]),
      reason: Schema.optional(Schema.String)
    })
  ])
)

/** Throws if the keys of a grant are not strings. */
export const checkKeys = Schema.decodeUnknownSync(Schema.Array(Schema.String))

/**
 * Returns the ruling of a policy about a call in a turn with this context. Throws if the policy returns anything else.
 */
export const rulingOf = (
  { approval }: ToolPolicy<any>,
  params: unknown,
  context: TurnContext
): Authority.Permission | Authority.Ruling =>
  typeof approval === "function" ? checkRuling(approval(params, context)) : approval

/** Returns the authority that these tools give in turns with this context; see `Agent.authorityOf`. */
export const authorityOf =
  (tools: () => ToolTable, policy: ToolPolicy<any>, context: TurnContext): ToolAuthority =>
  (tool, params) => {
    const entry = tools().byName.get(tool.name)
    if (entry === undefined) return undefined
    const { approval } = entry.policy ?? policy
    if (typeof approval !== "function") return approval
    return entry.spec.source === tool.source ? Authority.permissionOf(approval(params, context)) : "ask"
  }
