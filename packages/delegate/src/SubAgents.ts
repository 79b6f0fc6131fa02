/**
 * Agents that a model starts and steers: delegates with a role and a nickname, named by id. `SubAgentTools` offers
 * these functions as tools; custom tasks may call them directly.
 *
 * A session controls its descendants only. An agent is linked to the turn that started it, unless it was started as
 * detached. An agent that ended with its turn can be resumed in a later one.
 */
import type { SessionId, SubmissionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import type { Journal } from "@spindle/core/Journal"
import { Model } from "@spindle/core/Model"
import { Turn, type TurnSession } from "@spindle/core/Turn"
import { CurrentTurnContext, type TurnContext } from "@spindle/core/TurnContext"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Struct from "effect/Struct"
import type * as Delegate from "./Delegate.ts"
import { DelegateClosed, DelegateNotFound } from "./DelegateError.ts"
import * as Choosing from "./internal/choosing.ts"
import { launch, type Restore } from "./internal/launching.ts"
import * as Nicknames from "./internal/nicknames.ts"
import * as Recorded from "./internal/recorded.ts"
import { type Node, nodeOf } from "./internal/tree.ts"
import type { Role, Settings, Wish } from "./Roles.ts"
import * as Status from "./Status.ts"

export type { NamedModel, Role, Settings } from "./Roles.ts"

/** The agent to start. */
export interface SpawnOptions {
  readonly input: Input.Input
  /** The name of its role. Default: `default`. */
  readonly role?: string | undefined
  /** The name of its model. Default: that of the role, or of the session. */
  readonly model?: string | undefined
  /** The reasoning effort of the model. Default: that of the model. */
  readonly effort?: string | undefined
  /** Starts it with a copy of the history of the session that starts it. Default: false. */
  readonly fork?: boolean | undefined
  /** Keeps it running when the turn that starts it ends. Default: false. */
  readonly detached?: boolean | undefined
  /** Lets a notice of a detached agent start a turn of an idle parent. Default: false. */
  readonly wake?: boolean | undefined
}

/** An agent, as its session names it. */
export interface SubAgent {
  readonly agentId: SessionId
  readonly nickname: string
  readonly role: string
}

/**
 * Starts an agent on an input. **Errors**: `SubAgentFailed` for an unknown role, model or effort, and when the input is
 * empty or rejected; the agent is then closed again. Else as `Delegate.start`. **Interruption** leaves no agent without
 * input.
 */
export const spawn = <R>(settings: Settings<R>, options: SpawnOptions) =>
  // mutant hands-over-in-its-region (D6: an agent whose start is interrupted gets its input or is closed):
  //   replace: spawnIn(settings, options, (effect) => effect)
  Effect.uninterruptibleMask((restore) => spawnIn(settings, options, restore))

const spawnIn = Effect.fnUntraced(function* <R>(settings: Settings<R>, options: SpawnOptions, restore: Restore) {
  const { session } = yield* Turn
  if (Input.isEmpty(options.input)) return yield* Choosing.fail("the input is empty: give a message")
  const name = options.role ?? "default"
  const role = yield* Choosing.roleOf(settings, name)
  const wakes = options.wake === true
  const wish: Wish = { model: options.model, effort: options.effort }
  const model = yield* restore(Choosing.modelOf(settings, role, wish))
  const node = yield* nodeOf(session)
  const names = node.namesOfTree
  const nickname = Nicknames.draw(role.nicknames ?? settings.nicknames ?? Nicknames.defaultNames, names)
  // taken before any wait, so that agents that start at the same time or below each other have different names
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
    // an agent without input would be waited for without end
    Effect.tap((started) => Effect.onError(restore(hand(started, options.input)), () => started.end())),
    Effect.onError(() => Effect.sync(() => names.delete(nickname)))
  )
  const agentId = delegate.delegateId
  node.keepAgent({ agentId, nickname, role: name, wish, wakes, delegate })
  const agent: SubAgent = { agentId, nickname, role: name }
  return agent
})

/**
 * Hands an agent more input, and with `interrupt` stops its turn first. Returns the id of the submission.
 * **Interruption** stops only the wait. **Errors**: `DelegateNotFound`; `DelegateClosed` when it has ended, in this
 * process or in an earlier one; `DelegateRefused` when no slot of the tree is free; `SubAgentFailed` when the input is
 * empty or rejected; `JournalFailed` when the journal of an agent of an earlier process cannot be read.
 */
export const sendInput = Effect.fnUntraced(function* (
  agentId: SessionId,
  input: Input.Input,
  options?: { readonly interrupt?: boolean | undefined }
) {
  if (Input.isEmpty(input)) return yield* Choosing.fail("the input is empty: give a message")
  const delegate = yield* Effect.catchTag(find(agentId), "DelegateNotFound", (missing) =>
    Effect.flatMap(findEarlier(missing), ({ path }) => Effect.fail(new DelegateClosed({ path, delegateId: agentId })))
  )
  // input that is queued while a turn is aborted is kept, but starts no turn
  if (options?.interrupt === true && (yield* delegate.abort())) yield* delegate.settled
  return yield* hand(delegate, input)
})

/** Hands an agent its input and returns the id of the submission. Fails when the input is rejected. */
const hand = Effect.fnUntraced(function* (delegate: Delegate.Interactive, input: Input.Input) {
  const receipt = yield* delegate.submit({ _tag: "UserInput", input })
  if (receipt._tag === "Rejected") return yield* Choosing.fail(`the input was rejected: ${receipt.reason._tag}`)
  return receipt.submissionId satisfies SubmissionId
})

/** The shortest, the longest and the default timeout of `wait`. */
export const waitTimeout = {
  least: Duration.seconds(10),
  most: Duration.hours(1),
  default: Duration.seconds(30)
} as const

/**
 * Waits until one of the agents has settled, and returns the status of all that have; none after the timeout, which is
 * kept within {@link waitTimeout}. Unknown agents and agents of an earlier process count as settled. **Interruption**
 * stops only the wait. **Errors**: `SubAgentFailed` without ids, for a timeout that is not above 0, and for this agent
 * or one above it, which wait for this one; `JournalFailed` as for `sendInput`.
 */
export const wait = Effect.fnUntraced(function* (
  agentIds: ReadonlyArray<SessionId>,
  timeout: Duration.Input = waitTimeout.default
) {
  const { session } = yield* Turn
  if (agentIds.length === 0) return yield* Choosing.fail("name at least one agent to wait for")
  if (!Duration.isPositive(Duration.fromInputUnsafe(timeout)))
    return yield* Choosing.fail("timeout_ms must be greater than zero")
  // mutant no-cycle-of-waits (D6: an agent does not wait for an agent that waits for it):
  //   replace: const above = undefined
  const above = agentIds.find((id) => session.path.includes(id))
  if (above !== undefined)
    return yield* Choosing.fail(`agent ${above} waits for this agent: waiting for it would never end`)
  const known = new Map<SessionId, Delegate.Interactive | Status.Status>()
  for (const id of agentIds) {
    const statusBefore = (missing: DelegateNotFound) => Effect.map(findEarlier(missing), ({ status }) => status)
    const found = Effect.catchTag(find(id), "DelegateNotFound", statusBefore)
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
  const bounded = Duration.clamp(Duration.fromInputUnsafe(timeout), {
    minimum: waitTimeout.least,
    maximum: waitTimeout.most
  })
  const first = yield* Effect.timeoutOption(Effect.raceAllFirst(waiting), bounded)
  if (first._tag === "None") return { status: now, timedOut: true }
  // includes the first one even if it has continued in the meantime
  // mutant returns-how-it-settled (D6: a caller that waits for an agent learns how it settled, even if it continues at
  //   once):
  //   replace: return { status: yield* settled, timedOut: false }
  return { status: new Map([first.value, ...(yield* settled)]), timedOut: false }
})

/**
 * Ends an agent with everything below it, and returns the status that it had. For an agent of an earlier process that
 * is the end of its last turn. **Interruption**: an end that has begun is completed. **Errors**: `DelegateNotFound`;
 * `JournalFailed` as for `sendInput`.
 */
export const close = Effect.fnUntraced(function* (agentId: SessionId) {
  const found = yield* Effect.catchTag(find(agentId), "DelegateNotFound", findEarlier)
  if ("wish" in found) return found.status
  const previous = yield* statusOf(found)
  yield* found.end("Interrupted")
  return previous
})

/**
 * Reopens an agent that has ended, in this turn, with the role and the model that it was started with. An agent that
 * has not ended stays as it is. Returns its status. **Errors**: `DelegateNotFound` when this session did not start it;
 * `SubAgentFailed` when the settings no longer have its role, its model or its effort; else as `Delegate.start`.
 * **Interruption** leaves it ended, or open and known.
 */
export const resume = <R>(settings: Settings<R>, agentId: SessionId) =>
  Effect.uninterruptibleMask((restore) => resumeIn(settings, agentId, restore))

const resumeIn = Effect.fnUntraced(function* <R>(settings: Settings<R>, agentId: SessionId, restore: Restore) {
  const node = yield* nodeOf((yield* Turn).session)
  const known = node.agents.get(agentId)
  if (known !== undefined && (yield* known.delegate.status)._tag !== "Shutdown") return yield* known.delegate.status
  const { nickname, role: name, wish } = known ?? (yield* restore(Recorded.find(agentId)))
  const wakes = known?.wakes ?? false
  const role = yield* Choosing.roleOf(settings, name)
  const delegate = yield* startAs(settings, role, {
    model: yield* restore(Choosing.modelOf(settings, role, wish)),
    name: nickname,
    begin: { _tag: "Resumed", delegateId: agentId },
    detached: known?.delegate.isDetached ?? false,
    wake: wakes,
    restore
  })
  node.namesOfTree.add(nickname)
  node.keepAgent({ agentId, nickname, role: name, wish, wakes, delegate })
  return yield* delegate.status
})

/**
 * Lists the agents of this session, including those of an earlier process, and the agents below them, each with its
 * status. **Errors**: `JournalFailed` when the journal of the session cannot be read.
 */
export const list = Effect.gen(function* () {
  const { session } = yield* Turn
  const node = yield* nodeOf(session)
  const agents: Array<SubAgent & { readonly status: Status.Status; readonly depth: number }> = []
  const add = (path: TurnSession["path"], { agentId, nickname, role }: SubAgent, status: Status.Status) =>
    agents.push({ agentId, nickname, role, status, depth: path.length - session.path.length })
  for (const entry of node.agents.values()) {
    add(entry.delegate.path, entry, yield* statusOf(entry.delegate))
  }
  for (const one of node.descendants()) {
    if (agents.some(({ agentId }) => agentId === one.delegateId)) continue
    add(one.path, { agentId: one.delegateId, nickname: one.name, role: roleOf(one.node) }, yield* one.status)
  }
  const isListed = (id: SessionId) => agents.some(({ agentId }) => agentId === id)
  for (const one of yield* Recorded.all(isListed)) add([...session.path, one.agentId], one, one.status)
  return agents
})

/** Returns the role of a delegate, which its parent keeps. A delegate that is no agent has the default role. */
const roleOf = ({ parent, sessionId }: Node): string => parent?.agents.get(sessionId)?.role ?? "default"

/** Returns the status of an agent. For an agent that has ended, that is the end of its last turn. */
const statusOf = (delegate: Delegate.Delegate): Effect.Effect<Status.Status> =>
  Effect.flatMap(delegate.status, (status) =>
    status._tag !== "Shutdown"
      ? Effect.succeed(status)
      : Effect.map(delegate.outcome, (outcome) =>
          outcome._tag === "Completed" || outcome._tag === "Errored" ? outcome : Status.shutdown
        )
  )

/** Starts a delegate like `Delegate.start`, in the uninterruptible region of its caller. */
const startAs = <R>(
  { deadline, limits }: Settings<R>,
  { agent, narrow }: Role<R>,
  { model, restore, ...options }: StartAs<R>
): Effect.Effect<Delegate.Interactive, Delegate.StartError, Turn | Model | Journal | R> => {
  const wanted = { ...options, agent, deadline, limits, isOneShot: false }
  // mutant hands-over-in-its-region (D6):
  //   replace: const started = Effect.uninterruptibleMask((restore) => launch(wanted, restore))
  const started = launch(wanted, restore)
  const narrowed = narrow === undefined ? started : narrow(started)
  return model === undefined ? narrowed : withModel(narrowed, model)
}

/**
 * Provides the model of an agent, and a turn context that names it. The effort of the session is not that of this
 * model.
 */
const withModel = <A, E, R>(effect: Effect.Effect<A, E, R>, model: Model) =>
  Effect.flatMap(CurrentTurnContext, (current) =>
    effect.pipe(
      Effect.provideService(Model, model),
      Effect.provideService(CurrentTurnContext, current && (() => contextOf(current(), model)))
    )
  )

const contextOf = (context: TurnContext, { model }: Model): TurnContext => ({
  ...Struct.omit(context, ["effort"]),
  model
})

interface StartAs<out R> extends Pick<Delegate.DelegateOptions<R>, "name" | "meta" | "begin" | "detached" | "wake"> {
  readonly model: Model | undefined
  readonly restore: Restore
}

/** Returns an agent of this session, or an open one anywhere below it. */
const find = Effect.fnUntraced(function* (agentId: SessionId) {
  const { session } = yield* Turn
  const node = yield* nodeOf(session)
  const entry = node.agents.get(agentId)
  if (entry !== undefined) return entry.delegate
  // mutant descendants-only (D6: an agent controls its descendants only):
  //   replace: `node.find` => `node.upward.at(-1).find`
  const below = node.find(agentId)
  // a one-shot delegate takes no input (D5)
  if (below !== undefined && !below.isOneShot) return below
  return yield* new DelegateNotFound({ path: session.path, delegateId: agentId })
})

/** Returns an agent of an earlier process, which has ended. **Errors**: as `Recorded.find`. */
const findEarlier = ({ delegateId, path }: DelegateNotFound) =>
  Effect.map(Recorded.find(delegateId), (agent) => ({ ...agent, path: [...path, delegateId] }))
