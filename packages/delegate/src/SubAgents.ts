/**
 * Agents that a model starts and steers: delegates with a role and a nickname, which it names by id. What `SubAgentTools`
 * offers as tools, for tasks of one's own.
 *
 * A session controls its descendants and nobody else. An agent is linked to the turn that started it unless it was asked
 * for as detached; one that ended with its turn can be resumed in a later one.
 */
import type { Agent } from "@spindle/core/Agent"
import type { Journal } from "@spindle/core/Journal"
import { Model } from "@spindle/core/Model"
import type { SessionId, SubmissionId } from "@spindle/core/Ids"
import type { Input } from "@spindle/core/Input"
import * as InputParts from "@spindle/core/Input"
import { Turn, type TurnSession } from "@spindle/core/Turn"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Delegate from "./Delegate.ts"
import { DelegateClosed, DelegateNotFound } from "./DelegateError.ts"
import * as Choosing from "./internal/choosing.ts"
import { Handle } from "./internal/handle.ts"
import { launch, type Restore } from "./internal/launching.ts"
import * as Nicknames from "./internal/nicknames.ts"
import * as Recorded from "./internal/recorded.ts"
import { nodeOf } from "./internal/tree.ts"
import type { Limits } from "./Limits.ts"
import * as Status from "./Status.ts"

/** What an agent may be. */
export interface Role<out R = never> {
  /** What it is for, for the model that chooses. */
  readonly description: string
  readonly agent: Agent<R>
  /** Its model, unless another is asked for; by default that of the session that starts it. */
  readonly model?: Model
  /** Its nicknames; by default those of the settings. */
  readonly nicknames?: ReadonlyArray<string>
}

/** A model that may be asked for by name. */
export interface NamedModel {
  /** The reasoning efforts that it supports; empty if none can be chosen. */
  readonly efforts: ReadonlyArray<string>
  /** Makes the model, with one of these efforts or its own. */
  readonly make: (effort: string | undefined) => Effect.Effect<Model>
}

/** How agents are started. */
export interface Settings<out R = never> {
  /** The roles by name. `default` is taken when none is named. */
  readonly roles: { readonly default: Role<R>; readonly [name: string]: Role<R> }
  /** What may be asked for at a start, by the name of the model. Default: nothing but what the role has. */
  readonly models?: { readonly [name: string]: NamedModel }
  /** How long an agent may live; `Duration.infinity` has to be written. */
  readonly deadline: Duration.Input
  /** Limits of what is below an agent. */
  readonly limits?: Partial<Limits>
  /** The names that agents get, in this order, and then again with a number. Default: a list of first names. */
  readonly nicknames?: ReadonlyArray<string>
}

/** What to start. */
export interface SpawnOptions {
  readonly input: Input
  /** The name of its role. Default: `default`. */
  readonly role?: string
  /** Another model than that of the role or of the session, by name. */
  readonly model?: string
  /** How much the model thinks: one of its efforts. */
  readonly effort?: string
  /** Whether it begins with a copy of the history of whoever starts it. */
  readonly fork?: boolean
  /** Whether it goes on when the turn that starts it ends. Default: it ends with it. */
  readonly detached?: boolean
  /** Whether the notice of a detached agent starts a turn of its parent. */
  readonly wake?: boolean
}

/** An agent, as its session names it. */
export interface SubAgent {
  readonly agentId: SessionId
  readonly nickname: string
  readonly role: string
}

interface Entry extends SubAgent {
  /** What was asked for when it was started, and is asked for again when it is resumed. */
  readonly wish: Choosing.Wish
  /** Whether its notices start a turn. */
  readonly wakes: boolean
  readonly delegate: Delegate.Interactive
}

/**
 * The agents of one session, those that have ended included: as many as were started in its life, which the limits bound.
 */
type Registry = Map<SessionId, Entry>

/** The role of each agent, for sessions further up, which did not start it. */
const roles = new WeakMap<Delegate.Delegate, string>()

const registries = new WeakMap<TurnSession, Registry>()

const registryOf = (session: TurnSession): Registry => {
  let found = registries.get(session)
  if (found === undefined) registries.set(session, (found = new Map()))
  return found
}

const enter = (session: TurnSession, entry: Entry): void => {
  registryOf(session).set(entry.agentId, entry)
  roles.set(entry.delegate, entry.role)
}

type Services<R> = Turn | Model | Journal | R

/**
 * Starts an agent on an input. **Errors**: `SubAgentFailed` for a role, a model or an effort that is not known, and for
 * input that is empty or refused, of which no agent is left; else as `Delegate.start`. **Interruption** leaves no agent
 * that was given nothing.
 */
export const spawn = <R>(settings: Settings<R>, options: SpawnOptions) =>
  // mutant hands-over-in-its-region (D6: an agent whose start is interrupted gets its input or is closed):
  //   replace: spawning(settings, options, (effect) => effect)
  Effect.uninterruptibleMask((restore) => spawning(settings, options, restore))

const spawning = Effect.fnUntraced(function* <R>(settings: Settings<R>, options: SpawnOptions, restore: Restore) {
  const { session } = yield* Turn
  if (InputParts.isEmpty(options.input)) return yield* Choosing.failed("there is nothing to do: give a message")
  const name = options.role ?? "default"
  const role = yield* Choosing.roleOf(settings, name)
  const wakes = options.wake === true
  const wish = {
    ...(options.model === undefined ? {} : { model: options.model }),
    ...(options.effort === undefined ? {} : { effort: options.effort })
  }
  const model = yield* restore(Choosing.modelOf(settings, role, wish))
  const names = (yield* nodeOf(session)).namesOfTree
  const nickname = Nicknames.draw(role.nicknames ?? settings.nicknames ?? Nicknames.defaultNames, names)
  // taken before anything is waited for: of two that start at once, and of one that starts another, each has its own
  // mutant own-name (D6: two agents that start at the same time have different names): swap-next
  names.add(nickname)
  const delegate = yield* startAs(settings, role, {
    model,
    name: nickname,
    meta: Recorded.metaOf(name, wish),
    begin: options.fork === true ? { _tag: "Forked" } : { _tag: "New" },
    detached: options.detached === true,
    wake: wakes,
    restore
  }).pipe(
    // one that has nothing to do is not left to be waited for
    Effect.tap((started) => Effect.onError(restore(hand(started, options.input)), () => started.end())),
    Effect.onError(() => Effect.sync(() => names.delete(nickname)))
  )
  const entry: Entry = { agentId: delegate.delegateId, nickname, role: name, wish, wakes, delegate }
  enter(session, entry)
  return { agentId: entry.agentId, nickname, role: name } satisfies SubAgent
})

/**
 * Hands an agent more input, or stops what it does first; answers the id of the submission. **Interruption** stops only
 * the wait: what was asked to stop stops, and what was handed over is taken. **Errors**: `DelegateNotFound`;
 * `DelegateClosed` when it has ended, also in an earlier life of the host; `DelegateRefused` when no slot of the tree is
 * free; `SubAgentFailed` for input that is empty or refused; `JournalFailed` when the journal of an agent of an earlier
 * life of the host cannot be read.
 */
export const sendInput = Effect.fnUntraced(function* (
  agentId: SessionId,
  input: Input,
  options?: { readonly interrupt?: boolean }
) {
  if (InputParts.isEmpty(input)) return yield* Choosing.failed("there is nothing to say: give a message")
  const delegate = yield* Effect.catchTag(find(agentId), "DelegateNotFound", (missing) =>
    Effect.flatMap(earlier(missing), ({ path }) => Effect.fail(new DelegateClosed({ path, delegateId: agentId })))
  )
  // what is queued at the abort of a turn is kept, and not started
  if (options?.interrupt === true && (yield* delegate.abort())) yield* delegate.settled
  return yield* hand(delegate, input)
})

/** Hands an agent its input; answers its id, and fails when it is refused. */
const hand = Effect.fnUntraced(function* (delegate: Delegate.Interactive, input: Input) {
  const receipt = yield* delegate.submit({ _tag: "UserInput", input })
  if (receipt._tag === "Rejected") return yield* Choosing.failed(`the input was not accepted: ${receipt.reason._tag}`)
  return receipt.submissionId satisfies SubmissionId
})

/** The shortest and the longest that `wait` waits, and how long it does unless it is told, in milliseconds. */
export const waitMillis = { least: 10_000, most: 3_600_000, default: 30_000 } as const

/**
 * Waits until one of the agents has settled, and answers where all of those stand that have; none at the timeout, in
 * milliseconds. An id that nobody knows counts as settled, and so does an agent of an earlier life of the host. What is
 * below or above the bounds of {@link waitMillis} is taken as the bound. **Interruption** stops only the wait. **Errors**:
 * `SubAgentFailed` for no id, for a timeout that is not above 0, and for an agent that waits for this one: itself and those
 * above it; `JournalFailed` as for `sendInput`.
 */
export const wait = Effect.fnUntraced(function* (agentIds: ReadonlyArray<SessionId>, timeoutMillis?: number) {
  const { session } = yield* Turn
  const timeout = timeoutMillis ?? waitMillis.default
  if (agentIds.length === 0) return yield* Choosing.failed("name at least one agent to wait for")
  if (!(timeout > 0)) return yield* Choosing.failed("timeout_ms must be greater than zero")
  // mutant no-cycle-of-waits (D6: an agent does not wait for an agent that waits for it):
  //   replace: const above = undefined
  const above = agentIds.find((id) => session.path.includes(id))
  if (above !== undefined)
    return yield* Choosing.failed(`agent ${above} waits for this one: to wait for it would never end`)
  const known = new Map<SessionId, Delegate.Interactive | Status.Status>()
  for (const id of agentIds) {
    const ended = (missing: DelegateNotFound) => Effect.map(earlier(missing), ({ status }) => status)
    const found = Effect.catchTag(find(id), "DelegateNotFound", ended)
    known.set(id, yield* Effect.catchTag(found, "DelegateNotFound", () => Effect.succeed(Status.notFound)))
  }
  const settled = Effect.gen(function* () {
    const status = new Map<SessionId, Status.Status>()
    for (const [id, agent] of known) {
      const one = "_tag" in agent ? agent : yield* statusOf(agent)
      if (Status.isSettled(one)) status.set(id, one)
    }
    return status
  })
  const now = yield* settled
  if (now.size > 0) return { status: now, timedOut: false }
  const waiting = Array.from(known).flatMap(([id, agent]) =>
    "_tag" in agent ? [] : [Effect.map(agent.settled, (status) => [id, status] as const)]
  )
  const bounded = Math.min(waitMillis.most, Math.max(waitMillis.least, timeout))
  const first = yield* Effect.timeoutOption(Effect.raceAllFirst(waiting), bounded)
  if (first._tag === "None") return { status: now, timedOut: true }
  // the first one is among them also when it has gone on since
  // mutant answers-how-it-settled (D6: a caller that waits for an agent learns how it settled, even if it continues at
  //   once):
  //   replace: return { status: yield* settled, timedOut: false }
  return { status: new Map([first.value, ...(yield* settled)]), timedOut: false }
})

/**
 * Ends an agent with all that is below it, and answers where it stood; of one that ended in an earlier life of the host,
 * how its last turn ended. **Interruption**: an end that has begun comes about. **Errors**: `DelegateNotFound`;
 * `JournalFailed` as for `sendInput`.
 */
export const close = Effect.fnUntraced(function* (agentId: SessionId) {
  const found = yield* Effect.catchTag(find(agentId), "DelegateNotFound", earlier)
  if ("wish" in found) return found.status
  const previous = yield* statusOf(found)
  yield* found.end("Interrupted")
  return previous
})

/**
 * Opens an agent again that has ended, in this turn, with the role and the model that it was started with; one that has not
 * stays as it is. Answers where it stands. **Errors**: `DelegateNotFound` when it was not started by this session;
 * `SubAgentFailed` when the settings have its role, its model or its effort no more; else as `Delegate.start`.
 * **Interruption** leaves it ended, or open and known.
 */
export const resume = <R>(settings: Settings<R>, agentId: SessionId) =>
  Effect.uninterruptibleMask((restore) => resuming(settings, agentId, restore))

const resuming = Effect.fnUntraced(function* <R>(settings: Settings<R>, agentId: SessionId, restore: Restore) {
  const { session } = yield* Turn
  const registry = registryOf(session)
  const known = registry.get(agentId)
  if (known !== undefined && (yield* known.delegate.status)._tag !== "Shutdown") return yield* known.delegate.status
  const before = known ?? (yield* restore(Recorded.find(agentId)))
  const wakes = known?.wakes ?? false
  const role = yield* Choosing.roleOf(settings, before.role)
  const delegate = yield* startAs(settings, role, {
    model: yield* restore(Choosing.modelOf(settings, role, before.wish)),
    name: before.nickname,
    begin: { _tag: "Resumed", delegateId: agentId },
    detached: known?.delegate.isDetached ?? false,
    wake: wakes,
    restore
  })
  ;(yield* nodeOf(session)).namesOfTree.add(before.nickname)
  enter(session, { agentId, nickname: before.nickname, role: before.role, wish: before.wish, wakes, delegate })
  return yield* delegate.status
})

/**
 * The agents of this session, those of an earlier life of the host included, and those below them, with where they stand.
 * **Errors**: `JournalFailed` when the journal of the session cannot be read.
 */
export const list = Effect.gen(function* () {
  const { session } = yield* Turn
  const agents: Array<SubAgent & { readonly status: Status.Status; readonly depth: number }> = []
  const add = (path: TurnSession["path"], { agentId, nickname, role }: SubAgent, status: Status.Status) =>
    agents.push({ agentId, nickname, role, status, depth: path.length - session.path.length })
  for (const entry of registryOf(session).values()) {
    add(entry.delegate.path, entry, yield* statusOf(entry.delegate))
  }
  for (const one of (yield* nodeOf(session)).descendants()) {
    if (agents.some(({ agentId }) => agentId === one.delegateId)) continue
    add(one.path, { agentId: one.delegateId, nickname: one.name, role: roles.get(one) ?? "default" }, yield* one.status)
  }
  const isListed = (id: SessionId) => agents.some(({ agentId }) => agentId === id)
  for (const one of yield* Recorded.all(isListed)) add([...session.path, one.agentId], one, one.status)
  return agents
})

/** The status of an agent that has ended with its turn is how that turn left it. */
const statusOf = (delegate: Delegate.Delegate): Effect.Effect<Status.Status> =>
  Effect.flatMap(delegate.status, (status) =>
    status._tag !== "Shutdown"
      ? Effect.succeed(status)
      : Effect.map(delegate.outcome, (outcome) =>
          outcome._tag === "Completed" || outcome._tag === "Errored" ? outcome : Status.shutdown
        )
  )

/** As `Delegate.start`, in the region of whoever takes note of what was started. */
const startAs = <R>(
  settings: Settings<R>,
  role: Role<R>,
  {
    model,
    restore,
    ...options
  }: Pick<Delegate.DelegateOptions<R>, "name" | "meta" | "begin" | "detached" | "wake"> & {
    readonly model: Role<R>["model"] | undefined
    readonly restore: Restore
  }
): Effect.Effect<Delegate.Interactive, Delegate.StartError, Services<R>> => {
  const { deadline, limits } = settings
  const wanted = { ...options, agent: role.agent, deadline, ...(limits === undefined ? {} : { limits }) }
  // mutant hands-over-in-its-region (D6):
  //   replace: const started = Effect.uninterruptibleMask((restore) => launch({ ...wanted, isOneShot: false },
  //   restore))
  const started = launch({ ...wanted, isOneShot: false }, restore)
  return model === undefined ? started : Effect.provideService(started, Model, model)
}

/** An agent of this session, or an open one anywhere below it: nobody else's (R52). */
const find = Effect.fnUntraced(function* (agentId: SessionId) {
  const { session } = yield* Turn
  const entry = registryOf(session).get(agentId)
  if (entry !== undefined) return entry.delegate
  // mutant descendants-only (D6: an agent controls its descendants only):
  //   replace: `(yield* nodeOf(session))` => `(yield* nodeOf(session)).upward.at(-1)`
  const below = (yield* nodeOf(session)).find(agentId)
  if (below !== undefined && isInteractive(below)) return below
  return yield* new DelegateNotFound({ path: session.path, delegateId: agentId })
})

/** An agent of an earlier life of the host, which has ended. **Errors**: as `Recorded.find`. */
const earlier = ({ delegateId, path }: DelegateNotFound) =>
  Effect.map(Recorded.find(delegateId), (agent) => ({ ...agent, path: [...path, delegateId] }))

// a one-shot delegate takes nothing (D5)
const isInteractive = (delegate: Delegate.Delegate): delegate is Handle =>
  delegate instanceof Handle && delegate.bridge !== undefined
