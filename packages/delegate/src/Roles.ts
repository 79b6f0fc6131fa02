/** The roles and the models of agents that a model starts: settings of `SubAgents` and `SubAgentTools`. */
import type { Agent } from "@spindle/core/Agent"
import type { Model } from "@spindle/core/Model"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { Limits } from "./Limits.ts"

/** A kind of agent. */
export interface Role<out R = never> {
  /** The purpose of the role. The model that chooses a role reads it. */
  readonly description: string
  readonly agent: Agent<R>
  /** Its model, unless the caller asks for another one. Default: the model of the session that starts it. */
  readonly model?: Model | undefined
  /**
   * Narrows what its sessions may do, such as the sandbox of their commands: wraps the start of a session, which keeps
   * the context that it is started in. The agents that such a session starts are in that context, too (contract A4).
   */
  readonly narrow?: (<A, E, R>(start: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) | undefined
  /** Its nicknames. Default: those of the settings. */
  readonly nicknames?: ReadonlyArray<string> | undefined
}

/** A model that a caller may ask for by name. */
export interface NamedModel {
  /** The reasoning efforts that it supports; empty if none can be chosen. */
  readonly efforts: ReadonlyArray<string>
  /** Makes the model, with one of these efforts or with its own. */
  readonly make: (effort: string | undefined) => Effect.Effect<Model>
}

/** The settings of the agents that a model starts. */
export interface Settings<out R = never> {
  /** The roles by name. `default` is the role of an agent for which none is named. */
  readonly roles: { readonly default: Role<R>; readonly [name: string]: Role<R> }
  /** The models that may be asked for, by name. Default: none. */
  readonly models?: { readonly [name: string]: NamedModel } | undefined
  /** The time after which an agent is ended. `Duration.infinity` has to be written. */
  readonly deadline: Duration.Input
  /** Limits for everything below an agent. */
  readonly limits?: Partial<Limits> | undefined
  /** The nicknames of agents, in this order, and then again with a number. Default: a list of first names. */
  readonly nicknames?: ReadonlyArray<string> | undefined
}

/** The model and the effort that a caller asks for. Undefined means that of the role. */
export interface Wish {
  readonly model?: string | undefined
  readonly effort?: string | undefined
}
