/**
 * Sources of tools: where the tools of an agent come from.
 *
 * The regular task asks each source of its agent for its table before every model request, so that tools may come and go
 * between requests: those of an MCP server, for example, or of a plugin. The toolkit of an agent is a source whose table
 * never changes.
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
 * What one tool may do, and how its calls run and look. Functions that decide about a call or describe it also get the context of
 * its turn, which is empty if the application names none.
 */
export interface ToolPolicy<Params = unknown> {
  /**
   * Whether a call runs (`allow`), is put to a person (`ask`) or is refused (`deny`); a function decides by the decoded
   * arguments. A tool of `effect/ai` with `needsApproval` asks even if its policy allows the call. A function that throws
   * fails the call. A function that returns a ruling has its decision recorded with a source and a reason.
   */
  readonly approval: Permission | ((params: Params, context: TurnContext) => Permission | Ruling)
  /** Whether calls run next to others or alone. The default is `exclusive`. */
  readonly concurrency?: "parallel" | "exclusive" | undefined
  /**
   * Whether a call may change something outside its session, such as files; a function decides by the decoded arguments.
   * The default is true. Such a call waits for the `MutationGate` of its turn.
   */
  readonly mutates?: boolean | ((params: Params) => boolean) | undefined
  /** The kind of question that the person sees. The default is `permissions`. */
  readonly kind?: "command" | "patch" | "permissions" | undefined
  /** What the person sees of the call. The default is its arguments. */
  readonly payload?: ((params: Params, context: TurnContext) => unknown) | undefined
  /**
   * What a grant of this call for the turn or the session is remembered by. A later call is granted if all of its keys are.
   * The default is one key, of the tool and the payload. A call without keys is asked about each time.
   */
  readonly keys?: ((params: Params, context: TurnContext) => ReadonlyArray<string>) | undefined
  /**
   * Returns why a call cannot succeed, in words for the model, or undefined. It runs before a person is asked, and again
   * when earlier calls have ended if it refused while they ran. A call that it refuses has failed, and no one is asked.
   */
  readonly check?: ((params: Params) => Effect.Effect<string | undefined>) | undefined
  /**
   * Whether a call can run with permissions that a person granted in place of what it asks for. Its handler then reads them
   * from `Granted` and does no more. Without this function, a call that is granted less does not run.
   */
  readonly mayRunWith?: ((params: Params, permissions: unknown, context: TurnContext) => boolean) | undefined
  /** Describes a call, for people and for the wire. It is recorded with the call. Without it a call is `Other`. */
  readonly display?: ((params: Params, context: TurnContext) => CallDisplay) | undefined
  /**
   * Returns the call of another tool that this call means, or undefined. That tool's policy and handler then apply, as
   * if the model had called it; the call is recorded as the model made it, with that tool's display. Its own redirection is
   * not followed, and a name that no tool has is ignored.
   */
  readonly redirect?: ((params: Params) => Redirection | undefined) | undefined
  /** For a tool that takes plain text in a grammar; its handler gets `{ input }`. */
  readonly freeform?: ToolSpec["freeform"] | undefined
}

/** The call of another tool: its name and its arguments as a model would write them. */
export interface Redirection {
  readonly name: string
  readonly params: unknown
}

/** A tool that can be called. */
export interface ToolEntry {
  readonly spec: ToolSpec
  /** Its policy; undefined for the default policy of the agent. */
  readonly policy: ToolPolicy<any> | undefined
  /** Decodes arguments as the model wrote them. */
  readonly decode: (params: unknown) => Effect.Effect<unknown, Schema.SchemaError>
  /** Runs the handler with decoded arguments. */
  readonly run: (params: unknown, callId: string) => Effect.Effect<unknown, unknown>
  /** Describes a call from its arguments as the model wrote them. Throws what the display function of its policy throws. */
  readonly display: (params: unknown, context: TurnContext) => CallDisplay | undefined
  /** Returns the call of another tool that these arguments mean. Throws what the redirect function of its policy throws. */
  readonly redirect: (params: unknown) => Redirection | undefined
  /** Returns whether the tool itself asks for approval of a call, whatever its policy allows. */
  readonly asks: ((params: unknown, callId: string, items: ReadonlyArray<Item>) => Effect.Effect<boolean>) | undefined
  readonly encodeSuccess: (value: unknown) => Effect.Effect<unknown, Schema.SchemaError>
  readonly encodeFailure: (error: unknown) => Effect.Effect<unknown, Schema.SchemaError>
}

/** Tools by name, and as they are described to a model. A table never changes: other tools are another table. */
export interface ToolTable {
  readonly specs: ReadonlyArray<ToolSpec>
  readonly byName: ReadonlyMap<string, ToolEntry>
}

/** A source of tools. `R` is what its effect needs; it appears in the type of the agent. */
export interface ToolSource<out R = never> {
  /** The name in warnings. */
  readonly name: string
  /**
   * Returns the table for the next request, or an effect that returns it. The same table as before means that nothing
   * has changed: it costs nothing, and no fiber runs if the table itself is returned.
   *
   * **Interruption**: the effect is interrupted with its turn.
   */
  readonly table: () => ToolTable | Effect.Effect<ToolTable, unknown, R>
  /** How long a request waits for the effect. The default is ten seconds; a turn waits once at most. */
  readonly deadline?: Duration.Input | undefined
  /**
   * Returns the names of the tools of its table that the next request offers, or undefined for all of them, which is the
   * default. It depends on nothing but its arguments, the second of which are the items of the turn (`Turn.items`), so
   * what one turn has selected is never offered by another (contract M4). A tool that is not offered still runs if it is
   * called. If it throws, all tools are offered, and the session emits one `Warning` until it works again.
   */
  readonly offer?: ((table: ToolTable, items: ReadonlyArray<Item>) => ReadonlySet<string> | undefined) | undefined
}
