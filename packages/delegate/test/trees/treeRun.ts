/** Runs a tree of delegates under hits, and returns everything that it did. */
import * as Journal from "@spindle/core/Journal"
import { Model } from "@spindle/core/Model"
import { IdGenerator, type QuestionId, sequential, type SessionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import { isTerminal, type SessionEvent } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as Delegate from "@spindle/delegate/Delegate"
import * as Limits from "@spindle/delegate/Limits"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { NodeSpec, Step, TreeSpec } from "./treeSpec.ts"
import { aroundAppends } from "../../../core/test/fixtures/journals.ts"

/** What a run did. */
export interface TreeHistory {
  readonly rootId: SessionId
  /** The events of all sessions, in order. */
  readonly log: ReadonlyArray<{ readonly sessionId: SessionId; readonly event: SessionEvent }>
  /** The events of each session, in order. */
  readonly told: ReadonlyMap<SessionId, ReadonlyArray<SessionEvent>>
  /** The delegates that were started, with their status at the end. */
  readonly delegates: ReadonlyArray<{ readonly delegateId: SessionId; readonly status: string }>
  /** Answers of the model that are still being streamed. */
  readonly streaming: number
  /** Handlers of tools that have not ended. */
  readonly working: number
  /** The starts that were refused, with the limit, or that failed, with the tag, and when. */
  readonly refused: ReadonlyArray<{ readonly why: string; readonly at: number }>
  /** How many delegates may work at the same time. */
  readonly concurrent: number
  /** How long the delegates of each name may live, in milliseconds, if they have a deadline. */
  readonly deadlines: ReadonlyMap<string, number>
  /** The answers that were given to each question. */
  readonly given: ReadonlyMap<QuestionId, ReadonlyArray<Op.Decision>>
  /** The sessions whose turns were aborted by name. */
  readonly aborted: ReadonlySet<SessionId>
  /** The delegates that were ended by name. */
  readonly ended: ReadonlySet<SessionId>
  /** The delegates that were idle when the tree was at rest, and had not settled. */
  readonly unsettled: ReadonlyArray<SessionId>
}

interface World {
  readonly log: Array<TreeHistory["log"][number]>
  readonly specs: Map<string, NodeSpec>
  readonly handles: Array<Delegate.Delegate>
  readonly interactive: Map<SessionId, Delegate.Interactive>
  readonly refused: Array<TreeHistory["refused"][number]>
  readonly given: Map<QuestionId, Array<Op.Decision>>
  readonly aborted: Set<SessionId>
  readonly ended: Set<SessionId>
  working: number
}

/** Calls `act` for the node that the input names, then says how the call ended. */
const script: ScriptedModel.Script = ({ items }) => {
  const last = items.at(-1)
  if (last?._tag === "ToolResult") return [ScriptedModel.text(String(last.output))]
  const input = items.findLast((item) => item._tag === "UserMessage" && item.fragment === undefined)
  const name = input?._tag === "UserMessage" ? Input.textOf(input.content) : ""
  // a notice of a detached delegate, which woke its parent
  if (!/^n\d+$/.test(name)) return [ScriptedModel.text("noted")]
  return [ScriptedModel.text("on it"), ScriptedModel.call("act", { node: name }, `act ${items.length}`)]
}

type Services = Turn | Model | Journal.Journal

/** The steps of one session, in its turn. */
const act = (world: World, agent: () => Delegate.DelegateOptions<never>["agent"]) => {
  const perform = (step: Step): Effect.Effect<void, unknown, Services> => {
    switch (step._tag) {
      case "Sleep":
        return Effect.sleep(step.millis)
      case "Ask":
        return Effect.flatMap(Turn, (turn) =>
          Effect.asVoid(turn.ask({ kind: step.question ? "question" : "permissions", payload: null }))
        )
      case "Deaf":
        return Effect.uninterruptible(Effect.sleep(step.millis))
      case "Fail":
        return Effect.fail("failed")
      case "Die":
        return Effect.die("died")
      case "Hang":
        return Effect.never
      case "Spawn":
        return Effect.forEach(step.children, (child) => spawn(child, step.wait), {
          concurrency: "unbounded",
          discard: true
        })
    }
  }
  const spawn = (spec: NodeSpec, wait: boolean): Effect.Effect<void, unknown, Services> => {
    world.specs.set(spec.name, spec)
    const options = {
      agent: agent(),
      name: spec.name,
      deadline: spec.deadline === undefined ? Duration.infinity : spec.deadline
    }
    const run =
      spec.kind === "once"
        ? Effect.asVoid(Delegate.runOnce({ ...options, input: Input.text(spec.name) }))
        : Effect.flatMap(Delegate.start({ ...options, detached: spec.kind === "detached" }), (child) => {
            world.handles.push(child)
            world.interactive.set(child.delegateId, child)
            return Effect.andThen(child.submit(Op.userInput(spec.name)), wait ? child.settled : Effect.void)
          })
    return Effect.catch(
      run as Effect.Effect<void, { readonly _tag: string; readonly limit?: string }, Services>,
      (error) =>
        Effect.map(Clock.currentTimeMillis, (at) => void world.refused.push({ why: error.limit ?? error._tag, at }))
    )
  }
  return (steps: ReadonlyArray<Step>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => void world.working++),
      () => Effect.forEach(steps, perform, { discard: true }),
      () => Effect.sync(() => void world.working--)
    )
}

/** Returns the questions that are open at a session now. */
const openRequests = (events: ReadonlyArray<SessionEvent>): ReadonlyArray<QuestionId> => {
  const open = new Set<QuestionId>()
  for (const event of events) {
    if (event._tag === "QuestionOpened") open.add(event.questionId)
    else if (event._tag === "QuestionSettled") open.delete(event.questionId)
  }
  return [...open]
}

const decisions: ReadonlyArray<Op.Decision> = [
  { _tag: "Approved", scope: "once" },
  { _tag: "Approved", scope: "turn" },
  { _tag: "Approved", scope: "session" },
  { _tag: "Denied" },
  { _tag: "Answered", answers: {} },
  { _tag: "Abort" }
]

/** Returns the delegates that have not settled although their sessions have been idle for some time. */
const unsettled = (world: World, told: ReadonlyMap<SessionId, ReadonlyArray<SessionEvent>>) =>
  Effect.gen(function* () {
    yield* Effect.sleep(20)
    const stuck: Array<SessionId> = []
    for (const handle of world.handles) {
      const last = told.get(handle.delegateId)?.findLast((event) => event._tag === "TurnStarted" || isTerminal(event))
      if (last === undefined || !isTerminal(last) || (yield* handle.status)._tag === "Shutdown") continue
      if ((yield* handle.snapshot).status !== "idle") continue
      if ((yield* Effect.timeoutOption(handle.settled, "10 seconds"))._tag === "None") stuck.push(handle.delegateId)
    }
    return stuck
  })

/** How long a tree may work before the program stops it. */
const patience = "1 minute"

/** Where the points of an exploration begin and end, and which actions it may run there. */
export interface Stage {
  readonly arm: (actions: { readonly [name: string]: Effect.Effect<unknown, unknown> }) => Effect.Effect<void>
  readonly disarm: Effect.Effect<void>
}

/** Runs a tree from its start to the end of its root's scope. */
export const run = (spec: TreeSpec, stage?: Stage): Effect.Effect<TreeHistory, unknown> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const told = new Map<SessionId, Array<SessionEvent>>()
    const world: World = {
      log: [],
      specs: new Map(),
      handles: [],
      interactive: new Map(),
      refused: [],
      given: new Map(),
      aborted: new Set(),
      ended: new Set(),
      working: 0
    }
    const memory = Context.get(yield* Layer.buildWithScope(Journal.layerMemory(), scope), Journal.Journal)
    const journal = aroundAppends(memory, (append) =>
      spec.journalMillis === 0 ? append : Effect.andThen(Effect.sleep(spec.journalMillis), append)
    )
    const model = ScriptedModel.make(script)
    const agents = SessionHarness.agentOf({
      act: {
        run: ({ node }) =>
          Effect.as(perform(world.specs.get(String(node))!.steps), "done") as Effect.Effect<unknown, unknown, Turn>
      }
    })
    const perform = act(world, () => agents.agent)
    const handlers = yield* Layer.buildWithScope(agents.handlers, scope)
    const root = yield* SessionHarness.make({
      journal,
      model,
      observer: (sessionId, event) => {
        world.log.push({ sessionId, event })
        const events = told.get(sessionId)
        if (events === undefined) told.set(sessionId, [event])
        else events.push(event)
      }
    }).pipe(Effect.provideService(Scope.Scope, scope))
    const { session } = root
    const context = Context.make(Model, model.model).pipe(
      Context.add(Journal.Journal, journal),
      Context.merge(handlers)
    )
    const closing = yield* Effect.cached(Scope.close(scope, Exit.void))
    const hit = (action: TreeSpec["hits"][number]["action"], pick: number): Effect.Effect<unknown, unknown> => {
      const handle = world.handles[pick % Math.max(1, world.handles.length)]
      switch (action) {
        case "abort root":
          return session.abort()
        case "replace":
          return session.start(Task.make("other", Effect.sleep(5)))
        case "close":
          return closing
        case "abort":
          if (handle === undefined) return Effect.void
          world.aborted.add(handle.delegateId)
          return handle.abort()
        case "end":
          if (handle === undefined) return Effect.void
          world.ended.add(handle.delegateId)
          return handle.end()
        case "answer": {
          const asking = [...told].filter(([, events]) => openRequests(events).length > 0)
          const at = asking[pick % Math.max(1, asking.length)]
          if (at === undefined) return Effect.void
          const questionId = openRequests(at[1])[0]!
          const decision = decisions[Math.floor(pick / 7) % decisions.length]!
          world.given.set(questionId, [...(world.given.get(questionId) ?? []), decision])
          const to = at[0] === session.sessionId ? session : world.interactive.get(at[0])
          return to?.submit(Op.answer(questionId, decision)) ?? Effect.void
        }
      }
    }
    if (stage !== undefined) {
      yield* stage.arm({
        abort: hit("abort root", 0),
        replace: hit("replace", 0),
        close: hit("close", 0),
        "abort child": hit("abort", 0),
        "end child": hit("end", 0),
        approve: hit("answer", 0)
      })
    }
    const starting = session.start(Task.make("root", perform(spec.root))).pipe(
      Effect.provideContext(context),
      // delegates whose notices start turns that start delegates must come to an end
      Effect.provideService(Limits.Limits, {
        ...Limits.defaults,
        concurrent: spec.concurrent,
        depth: 5,
        lifetime: 256
      })
    )
    // a session that was closed before it began starts nothing
    const running = yield* Effect.catch(starting, () => Effect.succeed({ outcome: Effect.void }))
    const hits = yield* Effect.forkChild(
      Effect.forEach(
        spec.hits,
        ({ action, at, pick }, index) =>
          Effect.andThen(Effect.sleep(at - (spec.hits[index - 1]?.at ?? 0)), Effect.ignore(hit(action, pick))),
        { discard: true }
      )
    )
    // a root that has returned is idle, while detached delegates keep running and ask it
    const resting = Effect.suspend(() => Effect.forEach(world.handles, ({ settled }) => settled, { discard: true }))
    yield* Effect.timeoutOption(Effect.andThen(running.outcome, resting), patience)
    if (stage !== undefined) yield* stage.disarm
    const stuck = yield* unsettled(world, told)
    yield* session.abort()
    yield* session.awaitIdle
    yield* hits.pipe((fiber) => Effect.sync(() => fiber.interruptUnsafe()))
    yield* closing
    // lets deaf steps end
    yield* Effect.sleep("2 hours")
    const delegates = yield* Effect.forEach(world.handles, (handle) =>
      Effect.map(handle.status, ({ _tag }) => ({ delegateId: handle.delegateId, status: _tag }))
    )
    return {
      rootId: session.sessionId,
      log: world.log,
      told,
      delegates,
      streaming: model.openCount(),
      working: world.working,
      refused: world.refused,
      concurrent: spec.concurrent,
      deadlines: new Map(
        [...world.specs.values()].flatMap(({ deadline, name }) => (deadline === undefined ? [] : [[name, deadline]]))
      ),
      given: world.given,
      aborted: world.aborted.add(session.sessionId),
      ended: world.ended,
      unsettled: stuck
    }
  }).pipe(Effect.provideService(IdGenerator, sequential("id")))
