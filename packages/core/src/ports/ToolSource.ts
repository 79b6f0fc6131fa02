/**
 * Sources of the tools of an agent.
 *
 * The regular task asks each source of its agent for its table before every model request, so that tools may change
 * between requests. Examples are the tools of an MCP server or of a plugin. The toolkit of an agent is a source whose
 * table never changes.
 *
 * A source cannot harm its session. If it throws, fails, dies, or takes longer than its deadline, the request is made with
 * the last table that it returned, and the session emits one `Warning` until the source works again.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { CallDisplay } from "../protocol/Display.ts"
import type { Item } from "../protocol/Item.ts"
import type { TurnContext } from "../protocol/TurnContext.ts"
import type { Permission, Ruling } from "../state/Authority.ts"
import type { ToolSpec } from "./Model.ts"

/**
 * The policy of a tool: whether a call needs approval, and how it runs and is displayed. Functions that decide about a
 * call or describe it also get the context of the turn, which is empty if the application provides none.
 */
export interface ToolPolicy<Params = unknown> {
  /**
   * The permission of a call: it runs (`allow`), a person is asked (`ask`), or it is refused (`deny`). A function
   * decides by the decoded arguments. If it throws, the call fails. If it returns a ruling, the decision is recorded
   * with its source and reason. A tool of `effect/ai` with `needsApproval` asks even if its policy allows the call.
   */
  readonly approval: Permission | ((params: Params, context: TurnContext) => Permission | Ruling)
  /**
   * The concurrency of a call: it may run at the same time as other calls (`parallel`), or it runs alone (`exclusive`).
   * Default: `exclusive`.
   */
  readonly concurrency?: "parallel" | "exclusive" | undefined
  /**
   * True if a call may change something outside its session, such as files. A function decides by the decoded
   * arguments. Such a call waits for the `MutationGate` of its turn. Default: true.
   */
  readonly mutates?: boolean | ((params: Params) => boolean) | undefined
  /** The kind of question that the person sees. Default: `permissions`. */
  readonly kind?: "command" | "patch" | "permissions" | undefined
  /** Returns the payload of the question that the person sees. Default: the arguments of the call. */
  readonly payload?: ((params: Params, context: TurnContext) => unknown) | undefined
  /**
   * Returns the keys by which a grant of this call for the turn or the session is remembered. A later call is granted
   * if all its keys are. For a call without keys the person is asked each time. Default: one key, made of the tool and
   * the payload.
   */
  readonly keys?: ((params: Params, context: TurnContext) => ReadonlyArray<string>) | undefined
  /**
   * Returns the reason why a call cannot succeed, in words for the model, or undefined. It runs before a person is
   * asked. If it refuses while earlier calls are running, it runs again when they have ended. A call that it refuses
   * fails, and no one is asked.
   */
  readonly check?: ((params: Params) => Effect.Effect<string | undefined>) | undefined
  /**
   * Returns whether a call can run with the permissions that a person granted in place of those that it asked for. Its
   * handler then reads them from `Granted` and does no more than they permit. Without this function, a call that is
   * granted less does not run.
   */
  readonly mayRunWith?: ((params: Params, permissions: unknown, context: TurnContext) => boolean) | undefined
  /** Returns the description of a call, for people and for the wire. It is recorded with the call. Default: `Other`. */
  readonly display?: ((params: Params, context: TurnContext) => CallDisplay) | undefined
  /**
   * Returns the call of another tool to run in place of this call, or undefined. The policy and the handler of the
   * other tool then apply, as if the model had called it. The call is recorded as the model made it, with the display
   * of the other tool. A redirection of the other tool is not followed, and a name that no tool has is ignored.
   */
  readonly redirect?: ((params: Params) => Redirection | undefined) | undefined
  /** The grammar of a tool that takes plain text. Its handler gets `{ input }`. */
  readonly freeform?: ToolSpec["freeform"] | undefined
}

/** The call of another tool: its name and its encoded arguments, as a model writes them. */
export interface Redirection {
  readonly name: string
  readonly params: unknown
}

/** A tool that can be called. */
export interface ToolEntry {
  readonly spec: ToolSpec
  /** The policy of the tool; undefined for the default policy of the agent. */
  readonly policy: ToolPolicy<any> | undefined
  /** Decodes the arguments that the model wrote. */
  readonly decode: (params: unknown) => Effect.Effect<unknown, Schema.SchemaError>
  /** Runs the handler with decoded arguments. */
  readonly run: (params: unknown, callId: string) => Effect.Effect<unknown, unknown>
  /**
   * Returns the description of a call from the arguments that the model wrote. Throws if the display function of its
   * policy throws.
   */
  readonly display: (params: unknown, context: TurnContext) => CallDisplay | undefined
  /** Returns the redirection of a call with these arguments. Throws if the redirect function of its policy throws. */
  readonly redirect: (params: unknown) => Redirection | undefined
  /** Returns whether the tool itself requires approval of a call, even if its policy allows the call. */
  readonly asks: ((params: unknown, callId: string, items: ReadonlyArray<Item>) => Effect.Effect<boolean>) | undefined
  readonly encodeSuccess: (value: unknown) => Effect.Effect<unknown, Schema.SchemaError>
  readonly encodeFailure: (error: unknown) => Effect.Effect<unknown, Schema.SchemaError>
}

/**
 * Tools by name, with their descriptions for a model. A table never changes: a source with other tools returns another
 * table.
 */
export interface ToolTable {
  readonly specs: ReadonlyArray<ToolSpec>
  readonly byName: ReadonlyMap<string, ToolEntry>
}

/** A source of tools. `R` is the type of its requirements, which become requirements of the agent. */
export interface ToolSource<out R = never> {
  /** The name of the source in warnings. */
  readonly name: string
  /**
   * Returns the table for the next request, or an effect that returns it. Return the same table if nothing has changed:
   * that costs nothing, and no fiber runs if the table itself is returned.
   *
   * **Interruption**: the effect is interrupted with its turn.
   */
  readonly table: () => ToolTable | Effect.Effect<ToolTable, unknown, R>
  /** The time that a request waits for the effect. A turn waits at most once. Default: 10 s. */
  readonly deadline?: Duration.Input | undefined
  /**
   * Returns the names of the tools of its table that the next request offers, or undefined for all of them. `items` are
   * the items of the turn (`Turn.items`). The result must depend on the arguments only, so that a selection of one turn
   * does not affect other turns (contract M4). A tool that is not offered still runs if it is called. If the function
   * throws, all tools are offered, and the session emits one `Warning` until the function works again. Default: all
   * tools.
   */
  readonly offer?: ((table: ToolTable, items: ReadonlyArray<Item>) => ReadonlySet<string> | undefined) | undefined
}
