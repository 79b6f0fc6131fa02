/** Hooks that take long, at each of their points, in turns that end at any step meanwhile (contract P5, I3, A1, X1). */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as CompactTask from "@spindle/core/CompactTask"
import * as Fragments from "@spindle/core/Fragments"
import type * as Hooks from "@spindle/core/Hooks"
import * as Input from "@spindle/core/Input"
import * as NoteKind from "@spindle/core/NoteKind"
import { Processes } from "@spindle/core/Processes"
import * as Session from "@spindle/core/Session"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import type * as Laws from "@spindle/testing/Laws"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Schema from "effect/Schema"
import { isAside, long, reporting } from "../../fixtures/compactions.ts"
import {
  conversation,
  type Counts,
  type Exploration,
  logged,
  session,
  starting,
  startingEffect,
  threeRounds
} from "../scenario.ts"

type OwnHooks = Partial<Hooks.Hooks<Hooks.HookFailed, Turn>>

/** The hooks that ran in some exploration of {@link everyHook}. */
export const visited = new Set<string>()

/** All hooks, each of which runs an effect first and decides nothing. */
const allHooks = (run: Effect.Effect<void, never, Turn>): OwnHooks => {
  const at = <A>(name: keyof Hooks.Hooks, verdict: A) =>
    Effect.suspend(() => {
      visited.add(name)
      return Effect.as(run, verdict)
    })
  return {
    sessionStart: () => at("sessionStart", { contexts: ["started"] }),
    userPromptSubmit: (_, text) => at("userPromptSubmit", { block: text === "queue", contexts: ["context"] }),
    preToolUse: () => at("preToolUse", { deny: false }),
    permissionRequest: () => at("permissionRequest", { decision: "ask" }),
    postToolUse: () => at("postToolUse", ["after a tool"]),
    preCompact: () => at("preCompact", { deny: false }),
    postCompact: () => at("postCompact", undefined),
    stop: (_, { continuations }) => at("stop", continuations === 0 ? { continueWith: "continue" } : {}),
    interrupt: () => at("interrupt", undefined),
    notification: () => at("notification", undefined)
  }
}

const Noted = NoteKind.make("noted", { data: Schema.Struct({}) })

/** A hook that holds a resource for some time, and records what it does. */
const holding = (counts: Counts, millis: number): Effect.Effect<void, never, Turn> =>
  Effect.flatMap(Turn, (turn) =>
    Effect.andThen(
      turn.note(Noted, {}),
      Effect.acquireUseRelease(
        Effect.sync(() => void counts.opened++),
        () => Effect.sleep(millis),
        () => Effect.sync(() => void counts.closed++)
      )
    )
  )

/** The conversation of the explorer under all hooks. It compacts by itself, so that these hooks run as well. */
const withHooks =
  (runOf: (counts: Counts) => Effect.Effect<void, never, Turn>) =>
  (counts: Counts): SessionHarness.HarnessOptions => {
    const options = conversation(counts)
    return {
      ...options,
      tasks: [...(options.tasks ?? []), CompactTask.kind],
      config: { compactFromTokens: 1_000 },
      hooks: allHooks(runOf(counts)),
      script: (request, index) =>
        isAside(request.items)
          ? [ScriptedModel.text("a summary")]
          : [...ScriptedModel.text(long), ...threeRounds(request, index), reporting(request.items, 1_000)]
    }
  }

/** A session under hooks at every point, by what the hooks do. */
export const everyHook: { readonly [name: string]: Exploration } = {
  "that take some time": session({ harness: withHooks((counts) => holding(counts, 1)) }),
  "that cannot be interrupted": session({
    harness: withHooks((counts) => Effect.uninterruptible(holding(counts, 1)))
  }),
  "that outlive their turn": session({
    harness: withHooks((counts) => Effect.uninterruptible(holding(counts, 150)))
  }),
  "that die": session({ harness: withHooks(() => Effect.andThen(Effect.sleep(1), Effect.die("a bug"))) })
}

/** A hook that returns after its turn has ended: what it has decided is not recorded (I3). */
const late = (options: {
  readonly hooks: OwnHooks
  readonly run: Effect.Effect<unknown, never, Turn>
  readonly input?: string
  readonly factory?: SessionHarness.SessionFactory
}): Exploration => ({
  ...session({
    harness: (counts) => ({
      ...conversation(counts),
      hooks: options.hooks,
      ...(options.factory === undefined ? {} : { factory: options.factory })
    }),
    begin: ({ session: running }) =>
      Effect.flatMap(
        running.start(
          Task.make("custom", Effect.uninterruptible(options.run)),
          options.input === undefined ? [] : Input.text(options.input)
        ),
        // until the hook has returned
        ({ outcome }) => Effect.andThen(outcome, Effect.sleep(400))
      )
  }),
  modes: ["before"],
  maxRuns: 20
})

const takeInput = Effect.flatMap(Turn, (turn) => turn.takeInput)
const ask = Effect.flatMap(Turn, (turn) => turn.ask({ kind: "command", payload: {} }))
const slowly = <A>(value: A) => Effect.as(Effect.sleep(300), value)

/** Fragments that the application makes slowly. */
const makingFragmentsLate = late({
  hooks: {},
  run: takeInput,
  factory: (agent, options) =>
    Effect.provideService(Session.make(agent, options), Fragments.Fragments, (known) =>
      known.length > 0
        ? Effect.succeed(Fragments.none)
        : slowly({ fragments: [{ name: "own", text: "late" }], warnings: [] })
    )
})

/** A notification that hangs, of a question that is settled at any step: it ends with the question (A1). */
const notifyingForTooLong: Exploration = {
  ...session({
    harness: (counts) => ({
      ...conversation(counts),
      hooks: {
        notification: (_, { _tag }) => (_tag === "TurnCompletes" ? Effect.void : holding(counts, 100_000))
      }
    }),
    begin: starting((counts) =>
      Task.make(
        "custom",
        Effect.gen(function* () {
          const turn = yield* Turn
          yield* Effect.timeoutOption(ask, 5)
          yield* Effect.sleep(2)
          if (counts.opened !== counts.closed) yield* turn.warn("A1 a settled question still notifies")
        })
      )
    ),
    law: ({ events }) => {
      const warning = events.find((event) => event._tag === "Warning" && event.message.startsWith("A1"))
      return warning?._tag === "Warning" ? warning.message : undefined
    }
  }),
  actions: [["approve"], ["deny"], []],
  modes: ["before"],
  maxRuns: 40
}

/** A notification that cannot be interrupted, and whose turn is aborted while it runs: it is named (I3). */
const notifyingAfterTheAbort: Exploration = {
  actions: [["abort"]],
  modes: ["before"],
  maxRuns: 40,
  ...session({
    harness: (counts) => ({
      ...conversation(counts),
      hooks: {
        notification: (_, { _tag }) =>
          _tag === "TurnCompletes" ? Effect.void : Effect.uninterruptible(holding(counts, 300))
      }
    }),
    begin: startingEffect(Effect.andThen(Effect.timeoutOption(ask, 1), Effect.sleep(5))),
    law: namesItsNotification
  })
}

/** An aborted turn that has started a notification of 300 ms names it. */
function namesItsNotification({ events }: Laws.History): string | undefined {
  let notes = 0
  for (const event of events) {
    if (event._tag === "TurnStarted") notes = 0
    if (event._tag === "TaskNote") notes++
    if (event._tag === "TurnAborted" && notes > 0 && !event.stragglers.some(({ kind }) => kind === "hook")) {
      return "I3 a notification outlives its turn without a name"
    }
  }
  return undefined
}

/** A turn that notifies at its end, and input that comes meanwhile: it does not join (P4). */
const notifyingAtTheEnd: Exploration = {
  law: logged((log) => (log.includes("Steered") ? "P4 input joined a turn that only notified" : undefined)),
  actions: [["steer"]],
  maxRuns: 20,
  program: (stage) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      let isNotifying = false
      const notification = () =>
        Effect.andThen(
          Effect.sync(() => void (isNotifying = true)),
          Effect.sleep(3)
        )
      const harness = yield* SessionHarness.make({ hooks: { notification } })
      const steer = Effect.map(harness.submit("steer"), ({ _tag }) => void log.push(_tag))
      yield* stage.arm({ steer: Effect.suspend(() => (isNotifying ? steer : Effect.void)) })
      const { outcome } = yield* harness.session.start(Task.make("custom", Effect.void, { steerable: true }))
      yield* outcome
      yield* harness.session.awaitIdle
      yield* stage.disarm
      return log
    }).pipe(Effect.scoped)
}

/** A hook on an abort that takes longer than its limit, and records then (S2). */
const interruptingLate: Exploration = {
  ...session({
    harness: (counts) => ({
      ...conversation(counts),
      config: { interruptHookLimit: 2 },
      hooks: {
        interrupt: () =>
          Effect.uninterruptible(
            Effect.flatMap(Turn, (turn) => Effect.andThen(Effect.sleep(50), Effect.asVoid(turn.say("late"))))
          )
      }
    }),
    begin: ({ session: running }) =>
      Effect.andThen(
        running.start(Task.make("custom", Effect.sleep(5))),
        Effect.andThen(running.awaitIdle, Effect.sleep(100))
      )
  }),
  modes: ["before"],
  maxRuns: 20
}

/** Processes that start slowly and live until they are ended; `running` are those that live. */
const makeHost = (startMillis: number) => {
  const running = new Map<string, Deferred.Deferred<{ readonly exitCode: number }>>()
  const processes: Processes = {
    start: ({ processId }) =>
      Effect.uninterruptible(
        Effect.map(Effect.sleep(startMillis), () => {
          const exit = Deferred.makeUnsafe<{ readonly exitCode: number }>()
          running.set(processId, exit)
          const exited = Deferred.await(exit)
          return { processId, pid: 1, output: Stream.empty, exit: exited, gone: Effect.asVoid(exited) }
        })
      ),
    end: (processId) =>
      Effect.suspend(() => {
        const exit = running.get(processId)
        running.delete(processId)
        return exit === undefined ? Effect.void : Effect.asVoid(Deferred.succeed(exit, { exitCode: 0 }))
      })
  }
  return { processes, running }
}

/** A hook on an abort whose process outlives its limit: none is alive afterwards (X1). */
const withProcess = (startMillis: number, after: Effect.Effect<void>): Exploration => ({
  law: logged(([found]) => found),
  actions: [["abort"]],
  modes: ["before"],
  maxRuns: 20,
  program: (stage) =>
    Effect.gen(function* () {
      const { processes, running } = makeHost(startMillis)
      const startProcess = Effect.flatMap(Turn, (turn) => turn.process({ command: ["true"], cwd: "/" }))
      const hook = Effect.uninterruptible(Effect.orDie(Effect.andThen(startProcess, after)))
      const harness = yield* SessionHarness.make({
        config: { interruptHookLimit: 2 },
        hooks: { interrupt: () => Effect.provideService(hook, Processes, processes) }
      })
      yield* stage.arm({ abort: harness.session.abort() })
      const { outcome } = yield* harness.session.start(Task.make("custom", Effect.sleep(5)))
      yield* outcome
      yield* stage.disarm
      yield* Effect.sleep(1_000)
      return running.size === 0 ? [] : [`X1 ${running.size} processes of a hook are alive`]
    }).pipe(Effect.scoped)
})

/** The explorations by name. */
export const ofHooks = {
  startingLate: late({ hooks: { sessionStart: () => slowly({ contexts: ["late"] }) }, run: takeInput }),
  carryingOwnLate: late({
    hooks: { userPromptSubmit: () => slowly({ block: false, contexts: [] }) },
    run: takeInput,
    input: "own"
  }),
  permittingLate: late({ hooks: { permissionRequest: () => slowly({ decision: "allow" as const }) }, run: ask }),
  makingFragmentsLate,
  notifyingForTooLong,
  notifyingAfterTheAbort,
  notifyingAtTheEnd,
  interruptingLate,
  outlivingItsHook: withProcess(0, Effect.sleep(5_000)),
  startingWhileItSettles: withProcess(10, Effect.sleep(5_000))
}
