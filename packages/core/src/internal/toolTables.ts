/** The tools of an agent in one session. Before each model request the tables of its sources are joined. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Agent } from "../Agent.ts"
import * as Local from "../Local.ts"
import type { ToolSpec } from "../ports/Model.ts"
import type { ToolSource, ToolTable } from "../ports/ToolSource.ts"
import { messageOf } from "../protocol/AgentError.ts"
import type { Item } from "../protocol/Item.ts"
import type { TurnContext } from "../protocol/TurnContext.ts"
import type { ToolAuthority } from "../ToolAuthority.ts"
import { textOf } from "./foreign.ts"
import * as Tools from "./tools.ts"

/** The tools of the turns of one session. */
export interface ToolTables {
  /**
   * Returns the authority of a turn with this context, with the tools of the last request. It is the same value for the
   * same context.
   */
  readonly authorityIn: (context: TurnContext) => ToolAuthority
  /** Returns the tools of a turn. `warn` reports sources that fail and names that clash. */
  readonly forTurn: (warn: (message: string) => Effect.Effect<void>) => TurnTables
}

/** The tools of one turn. */
export interface TurnTables {
  /** The table of the last request. */
  readonly current: ToolTable
  /** Returns whether a tool that is not in the table was in an earlier one of the session. */
  readonly isGone: (name: string) => boolean
  /**
   * Returns the table for the next request, or an effect that returns it, if a source has to be waited for or there is
   * something to report.
   */
  readonly next: () => ToolTable | Effect.Effect<ToolTable>
  /** True if a source offers a choice of its tools; see `ToolSource.offer`. */
  readonly hasChoice: boolean
  /** Returns the tools of the last table that the next request offers, for the items of the turn. */
  readonly offer: (items: ReadonlyArray<Item>) => ReadonlyArray<ToolSpec>
  /** Interrupts the sources that are still running. */
  readonly release: () => void
}

/**
 * Returns a function that returns the tools of an agent in a session. All sessions of an agent without sources share
 * them.
 */
export const make = <R>(agent: Agent<R>): ((session: Local.Owner) => ToolTables) => {
  if (agent.sources.length === 0) {
    const tables = constantTables(agent)
    return () => tables
  }
  const tables = Local.make(() => new SourceTables(agent))
  return (session) => Local.get(tables, session)
}

const constantTables = <R>({ defaultPolicy, tools }: Agent<R>): ToolTables => {
  const turn: TurnTables = {
    get current() {
      return tools()
    },
    isGone: () => false,
    next: tools,
    hasChoice: false,
    offer: () => tools().specs,
    release: () => {}
  }
  return {
    authorityIn: memo((context) => Tools.authorityOf(tools, defaultPolicy, context)),
    forTurn: () => turn
  }
}

/** Remembers the result of a function for each context. */
const memo = <A>(make: (context: TurnContext) => A): ((context: TurnContext) => A) => {
  const made = new WeakMap<TurnContext, A>()
  return (context) => {
    let known = made.get(context)
    if (known === undefined) made.set(context, (known = make(context)))
    return known
  }
}

const defaultDeadline = Duration.seconds(10)

/** The state of one source. */
interface SourceState {
  readonly source: ToolSource<any>
  /** The last table that it returned. */
  table: ToolTable
  /** True if its last attempt failed, which was reported. */
  isFailing: boolean
  /** True if the last choice of its tools failed, which was reported. */
  isChoiceFailing: boolean
}

/** Returns whether a source has returned a table. A program without types may return anything. */
const isTable = (table: Partial<ToolTable> | undefined): table is ToolTable => typeof table?.byName?.get === "function"

class SourceTables implements ToolTables {
  readonly authorityIn: ToolTables["authorityIn"]
  /** The joined table. */
  private current: ToolTable = Tools.noTools
  private readonly agent: Agent<any>
  private readonly states: ReadonlyArray<SourceState>
  /** The sources of the tools in the joined table, by the names of the tools. */
  private readonly owners = new Map<string, SourceState>()
  private readonly gone = new Set<string>()
  private readonly clashes = new Set<string>()
  /** The reports for the next request. */
  private reports: Array<string> = []
  private isStale = true

  constructor(agent: Agent<any>) {
    this.agent = agent
    this.states = agent.sources.map((source) => ({
      source,
      table: Tools.noTools,
      isFailing: false,
      isChoiceFailing: false
    }))
    this.authorityIn = memo((context) => Tools.authorityOf(() => this.current, agent.defaultPolicy, context))
  }

  forTurn(warn: (message: string) => Effect.Effect<void>): TurnTables {
    // the table belongs to this turn, so that a straggler cannot change the tools of the next turn
    let current = this.current
    const running = new Map<SourceState, Fiber.Fiber<ToolTable, unknown>>()
    const report = Effect.suspend(() => {
      current = this.join()
      const reports = this.reports
      this.reports = []
      return Effect.as(Effect.forEach(reports, warn, { discard: true }), current)
    })
    return {
      get current() {
        return current
      },
      isGone: (name) => this.gone.has(name),
      next: () => {
        let waits: Array<Effect.Effect<void>> | undefined
        for (const state of this.states) {
          const wait = this.ask(state, running)
          if (wait !== undefined) (waits ??= []).push(wait)
        }
        if (waits !== undefined) return Effect.andThen(Effect.all(waits, allAtOnce), report)
        current = this.join()
        return this.reports.length === 0 ? current : report
      },
      hasChoice: this.states.some(({ source }) => source.offer !== undefined),
      offer: (items) => this.offer(current, items),
      release: () => {
        for (const fiber of running.values()) fiber.interruptUnsafe()
        running.clear()
      }
    }
  }

  /**
   * Returns the tools of a table, without those that their source does not offer. Returns the same array if all are
   * offered.
   */
  private offer(current: ToolTable, items: ReadonlyArray<Item>): ReadonlyArray<ToolSpec> {
    const hidden = new Set<string>()
    for (const state of this.states) {
      const names = this.choiceOf(state, items)
      if (names === undefined) continue
      for (const name of state.table.byName.keys()) {
        if (!names.has(name) && this.owners.get(name) === state) hidden.add(name)
      }
    }
    return hidden.size === 0 ? current.specs : current.specs.filter(({ name }) => !hidden.has(name))
  }

  private choiceOf(state: SourceState, items: ReadonlyArray<Item>): ReadonlySet<string> | undefined {
    const { source, table } = state
    try {
      const names = source.offer?.(table, items)
      state.isChoiceFailing = false
      return names
    } catch (error) {
      if (state.isChoiceFailing) return undefined
      state.isChoiceFailing = true
      this.reports.push(`the choice among the tools of ${source.name} failed: ${messageOf(error)}; all are offered`)
      return undefined
    }
  }

  /** Asks a source for its table, and returns the wait for it, if there is one. */
  private ask(
    state: SourceState,
    running: Map<SourceState, Fiber.Fiber<ToolTable, unknown>>
  ): Effect.Effect<void> | undefined {
    const late = running.get(state)
    if (late !== undefined) {
      // a source is waited for once; until it returns, requests use its last table
      const exit = late.pollUnsafe()
      if (exit === undefined) return undefined
      running.delete(state)
      this.take(state, exit)
    }
    let table: ReturnType<ToolSource<any>["table"]>
    try {
      table = state.source.table()
    } catch (error) {
      return this.fail(state, messageOf(error))
    }
    if (!Effect.isEffect(table)) return this.accept(state, table)
    // its requirements are in the context of the session, because they are in the type of the agent
    return this.awaitTable(state, table as Effect.Effect<ToolTable, unknown>, running)
  }

  private awaitTable(
    state: SourceState,
    table: Effect.Effect<ToolTable, unknown>,
    running: Map<SourceState, Fiber.Fiber<ToolTable, unknown>>
  ): Effect.Effect<void> {
    const deadline = Duration.fromInputUnsafe(state.source.deadline ?? defaultDeadline)
    return Effect.contextWith((context: Context.Context<never>) => {
      // in its own fiber, so that a source that cannot be interrupted blocks nothing
      const fiber = Effect.runForkWith(context)(table)
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return Effect.sync(() => this.take(state, exit))
      running.set(state, fiber)
      return Effect.map(Effect.timeoutOption(Fiber.await(fiber), deadline), (ended) => {
        if (Option.isNone(ended)) {
          return this.fail(state, `it did not return its tools within ${Duration.format(deadline)}`)
        }
        running.delete(state)
        this.take(state, ended.value)
      })
    })
  }

  private take(state: SourceState, exit: Exit.Exit<ToolTable, unknown>): void {
    if (exit._tag === "Success") return this.accept(state, exit.value)
    const { cause } = exit
    this.fail(state, Cause.hasInterruptsOnly(cause) ? "it was interrupted" : messageOf(Cause.squash(cause)))
  }

  private accept(state: SourceState, table: ToolTable): undefined {
    if (!isTable(table)) return this.fail(state, `it returned ${textOf(table)}`)
    state.isFailing = false
    if (state.table === table) return
    state.table = table
    this.isStale = true
  }

  private fail(state: SourceState, reason: string): undefined {
    if (state.isFailing) return
    state.isFailing = true
    this.reports.push(`the tools of ${state.source.name} could not be read: ${reason}; the last known ones are used`)
  }

  /**
   * Returns the joined table. It is the same table while no source has changed. Of two tools with the same name the
   * first is used.
   */
  private join(): ToolTable {
    if (!this.isStale) return this.current
    this.isStale = false
    const byName = new Map(this.agent.tools().byName)
    this.owners.clear()
    for (const state of this.states) {
      const { source, table } = state
      for (const [name, entry] of table.byName) {
        if (byName.has(name)) {
          this.reportClash(name, source.name, this.owners.get(name)?.source.name ?? "the agent")
          continue
        }
        this.owners.set(name, state)
        byName.set(name, Tools.withDefault(entry, this.agent.defaultPolicy))
      }
    }
    for (const name of this.current.byName.keys()) if (!byName.has(name)) this.gone.add(name)
    for (const name of byName.keys()) this.gone.delete(name)
    return (this.current = Tools.tableOf(byName))
  }

  private reportClash(name: string, source: string, owner: string): void {
    const key = `${name} ${source} ${owner}`
    if (this.clashes.has(key)) return
    this.clashes.add(key)
    this.reports.push(`the tool ${name} of ${source} is not used: ${owner} has a tool of that name`)
  }
}

// each wait has its own deadline
const allAtOnce = { concurrency: "unbounded", discard: true } as const
