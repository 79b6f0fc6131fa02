/** Cases of the delegates of one root. */
import type { SessionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import * as Input from "@spindle/core/Input"
import type { Journal } from "@spindle/core/Journal"
import { isTerminal } from "@spindle/core/SessionEvent"
import { JournalFailed } from "@spindle/core/SessionError"
import { Turn } from "@spindle/core/Turn"
import * as Delegate from "@spindle/delegate/Delegate"
import { DelegateRefused } from "@spindle/delegate/DelegateError"
import * as Limits from "@spindle/delegate/Limits"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Tracer from "effect/Tracer"
import * as Option from "effect/Option"
import * as Family from "../fixtures/family.ts"
import { type Case, explored, found, node, shows, spawn } from "./exploring.ts"
import { keepSpans } from "../../../core/test/fixtures/spans.ts"
import { aroundAppends } from "../../../core/test/fixtures/journals.ts"

const within =
  (limits: Partial<Limits.Limits>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provideService(effect, Limits.Limits, { ...Limits.defaults, ...limits })

/** Returns how a start or an input was refused. */
const refusal = (error: unknown): string => (error instanceof DelegateRefused ? error.limit : String(error))
const tried = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.match(effect, { onFailure: refusal, onSuccess: () => "started" })

const work = (text = "work") => Op.userInput(text)
const done = (child: Delegate.Interactive, text?: string) => Effect.andThen(child.submit(work(text)), child.settled)
const start = (options: Partial<Delegate.DelegateOptions<never>> = {}) =>
  Delegate.start({ ...Family.endless, ...options })

/** Makes a journal that takes this long to open. */
const slowJournal = (millis: number) =>
  Effect.map(SessionHarness.memoryJournal, (journal): Journal => ({
    ...journal,
    open: (sessionId, mode) => Effect.andThen(Effect.sleep(millis), journal.open(sessionId, mode))
  }))

type Write = Effect.Effect<void, JournalFailed>

/** A journal in memory whose writes can be changed. */
const changeable = Effect.map(SessionHarness.memoryJournal, (memory) => {
  let changed = (write: Write, _sessionId: SessionId): Write => write
  const journal = aroundAppends(memory, (write, _, sessionId) => Effect.suspend(() => changed(write, sessionId)))
  return { journal, change: (to: typeof changed) => void (changed = to) }
})

/** Makes an agent with a tool that asks after this time. */
const askers = (millis: number) =>
  Family.withTools({
    ask: {
      run: () =>
        Effect.andThen(
          Effect.sleep(millis),
          Effect.flatMap(Turn, (turn) => turn.ask({ kind: "permissions", payload: null }))
        )
    }
  })

/** Returns how many delegates of a session have not ended, according to its records. */
const openOf = (family: Family.Family): number => {
  const { events } = family.root
  const count = (tag: string) => events.filter(({ _tag }) => _tag === tag).length
  return count("DelegateStarted") - count("DelegateEnded")
}

/** Returns when the last delegate of a session ended, according to its records. */
const endOf = (family: Family.Family): number =>
  family.root.events.findLast((event) => event._tag === "DelegateEnded")?.at ?? Infinity

/** A start that cannot be interrupted, in a turn that is aborted at any step (D1, I3). */
const startingDeaf: Case = {
  ...shows((stage) =>
    Effect.gen(function* () {
      // longer than the grace
      const slow = yield* slowJournal(200)
      let openedAt = 0
      const journal: Journal = {
        ...slow,
        open: (sessionId, mode) =>
          Effect.tap(slow.open(sessionId, mode), () =>
            Effect.map(Clock.currentTimeMillis, (millis) => void (openedAt = millis))
          )
      }
      const family = yield* Family.make({ journal })
      const { session } = family.root
      yield* stage.arm({ abort: session.abort() })
      const children: Array<Delegate.Delegate> = []
      const starting = Effect.map(start(), (child) => void children.push(child))
      const { outcome } = yield* family.start(Effect.uninterruptible(starting))
      yield* outcome
      yield* stage.disarm
      yield* Effect.sleep("1 second")
      for (const child of children) {
        if ((yield* child.status)._tag !== "Shutdown") return "D1 a delegate survives the turn that started it"
      }
      if (openOf(family) > 0) return "D6 a delegate that was announced has no end"
      if (endOf(family) < openedAt) return "D1 a delegate ends while it is opened"
      const isLate = family
        .sessions()
        .slice(1)
        .some((id) => family.told(id).some((event) => "at" in event && event.at > endOf(family)))
      if (isLate) return "D1 a delegate emits an event after its end"
      const announced = family.root.events.filter(({ _tag }) => _tag === "DelegateStarted").length
      return found(family.sessions().length - 1 > announced, "I3 a delegate was made that was not announced")
    })
  ),
  actions: [["abort"]],
  maxRuns: 150
}

/** Starts a delegate of a turn with some slow members. */
const startUnder = (slow: (turn: Turn) => Partial<Turn>, options?: Parameters<typeof start>[0]) =>
  Effect.flatMap(Turn, (turn) => Effect.provideService(start(options), Turn, { ...turn, ...slow(turn) }))

/** Aborts a turn during a slow start, and returns what the root recorded. */
const stoppedWhileStarting = (slow: Parameters<typeof startUnder>[0]) =>
  Effect.gen(function* () {
    const family = yield* Family.make()
    yield* family.start(startUnder(slow))
    yield* Effect.sleep(10)
    yield* family.root.session.abort()
    yield* Effect.sleep("1 second")
    const { events } = family.root
    return {
      aborted: events.find((event) => event._tag === "TurnAborted")!,
      started: events.find((event) => event._tag === "DelegateStarted")
    }
  })

/** A start that is delayed before its announcement (I2). */
const registeringSlowly: Case = shows(
  Effect.gen(function* () {
    const { aborted, started } = yield* stoppedWhileStarting((turn) => ({
      delegate: (child) => Effect.delay(turn.delegate(child), 50)
    }))
    const isLate = started !== undefined && started.at > aborted.requestedAt
    return found(isLate, "I2 a delegate is announced after the abort")
  })
)

/** A delegate that asks while its parent is stopping, before its own abort (A2). */
const askingAParentThatStops: Case = shows(
  Effect.gen(function* () {
    const asking = askers(20)
    const family = yield* Family.make({ script: () => [ScriptedModel.call("ask", {}, "ask")] })
    yield* family.start(
      asking.provide(
        Effect.tap(
          startUnder(
            (turn) => ({
              delegate: (child) => turn.delegate({ ...child, end: (reason) => Effect.delay(child.end!(reason), 50) })
            }),
            { agent: asking.agent }
          ),
          (child) => Effect.andThen(child.submit(work()), Effect.never)
        )
      )
    )
    yield* Effect.sleep(10)
    yield* family.root.session.abort()
    yield* Effect.sleep("1 second")
    const settled = family.told(family.sessions()[1]!).find((event) => event._tag === "QuestionSettled")
    const isAbort = settled?.decision._tag === "Cancelled" && settled.decision.by === "abort"
    return found(!isAbort, `A2 an asker learned of the end of its parent as ${JSON.stringify(settled)}`)
  })
)

/** A question of a delegate that is answered twice at the root (A1). */
const answeringTwice: Case = shows(
  Effect.gen(function* () {
    const asking = askers(1)
    const family = yield* Family.make({
      script: (request) =>
        Family.isAnswered(request) ? [ScriptedModel.text("done")] : [ScriptedModel.call("ask", {}, "ask")]
    })
    yield* family.start(asking.provide(Effect.flatMap(start({ agent: asking.agent }), (child) => done(child))))
    const isRoot = (id: SessionId) => id === family.root.session.sessionId
    yield* family.awaitTold((event, id) => isRoot(id) && event._tag === "QuestionOpened")
    const [questionId] = family.root.events.flatMap((event) =>
      event._tag === "QuestionOpened" ? [event.questionId] : []
    )
    const first = yield* family.root.session.submit(Op.answer(questionId!, { _tag: "Denied" }))
    const second = yield* family.root.session.submit(Op.answer(questionId!, { _tag: "Approved", scope: "once" }))
    yield* family.root.session.awaitIdle
    const isRefused = second._tag === "Rejected" && second.reason._tag === "UnknownQuestion"
    return found(first._tag !== "Accepted" || !isRefused, "A1 a second answer is not refused")
  })
)

/** A turn that starts a delegate while it is stopping (D6). */
const startingLate: Case = shows(
  Effect.gen(function* () {
    const family = yield* Family.make()
    const late = yield* Deferred.make<string>()
    yield* family.start(
      Effect.onInterrupt(Effect.never, () =>
        Effect.flatMap(Effect.exit(tried(start())), (exit) =>
          Deferred.succeed(late, exit._tag === "Success" ? exit.value : "interrupted")
        )
      )
    )
    yield* family.root.session.abort()
    const how = yield* Deferred.await(late)
    return found(how !== "aborted", `D6 a start after the abort was ${how}`)
  })
)

/** A start that is interrupted at any step. It leaves no slot, no open journal and no delegate (D6). */
const failingStart: Case = {
  ...shows((stage) =>
    Effect.gen(function* () {
      const journal = yield* slowJournal(1)
      const family = yield* Family.make({ journal })
      const limited = within({ concurrent: 1 })
      yield* family.run(limited(stage.attack(start())))
      yield* Effect.sleep("1 second")
      if (openOf(family) > 0) return "D6 a delegate that was announced has no end"
      for (const id of family.sessions().slice(1)) {
        const opened = yield* Effect.exit(Effect.scoped(journal.open(id, "existing")))
        if (opened._tag === "Failure") return `D6 a start that failed holds its journal: ${opened.cause}`
      }
      const next = yield* family.run(limited(tried(start())))
      return found(next !== "started", `D6 a start that failed left its slot: ${next}`)
    })
  ),
  actions: [["interrupt"]]
}

/** A caller that ends a delegate is interrupted at any step, and another one ends it again (D1). */
const endingADelegate: Case = {
  ...shows((stage) =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      yield* family.run(
        Effect.gen(function* () {
          const child = yield* start()
          yield* stage.attack(child.end())
          yield* child.end()
        })
      )
      return undefined
    })
  ),
  actions: [["interrupt"]]
}

/** A caller that runs a delegate is interrupted at any step, while the turn continues (D5). */
const stoppingTheCaller: Case = {
  ...shows((stage) =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: () => [ScriptedModel.hang] })
      return yield* family.run(
        Effect.gen(function* () {
          yield* stage.attack(
            Effect.timeoutOption(Delegate.runOnce({ ...Family.endless, input: Input.text("hang") }), 20)
          )
          yield* Effect.sleep("1 second")
          return found(openOf(family) > 0, "D5 a one-shot delegate survives its caller")
        })
      )
    })
  ),
  actions: [["interrupt"]]
}

/** Input that the session of a one-shot delegate rejects (D5). */
const refusedOnce: Case = shows(
  Effect.gen(function* () {
    const family = yield* Family.make()
    const run = tried(Delegate.runOnce({ ...Family.endless, input: Input.text(" ") }))
    const ended = yield* family.run(Effect.timeoutOption(run, "1 hour"))
    return found(ended._tag === "None", "D5 a caller waits for input that was rejected")
  })
)

/** A one-shot delegate whose journal hangs: its turn waits no longer than the drain deadline (D1). */
const hangingJournal: Case = shows(
  Effect.gen(function* () {
    const { change, journal } = yield* changeable
    const { awaitTold, root, start: begin } = yield* Family.make({ journal, script: () => [ScriptedModel.hang] })
    const { sessionId } = root.session
    yield* begin(Delegate.runOnce({ ...Family.endless, input: Input.text("hang") }))
    yield* awaitTold((event, id) => event._tag === "ModelRequested" && id !== sessionId)
    change((write, id) => (id === sessionId ? write : Effect.sleep("1 hour")))
    yield* root.session.abort()
    yield* Effect.sleep("2 hours")
    const aborted = root.events.find(isTerminal)!
    const ended = root.events.find((event) => event._tag === "DelegateEnded")
    const late = ended === undefined ? Infinity : ended.at - aborted.at
    return found(late > 500, `D1 a delegate ended ${late} ms after its turn`)
  })
)

/** One slot, and everything that takes and releases it (D6). */
const oneSlot: Case = shows(
  Effect.gen(function* () {
    const family = yield* Family.make()
    return yield* family.run(
      Effect.gen(function* () {
        const idle = yield* start()
        const waiting = yield* Effect.forkChild(Effect.timeoutOption(idle.settled, "1 hour"))
        yield* Effect.yieldNow
        yield* idle.end()
        if ((yield* Fiber.join(waiting))._tag === "None") return "D6 no caller learns of the end of a delegate"
        const first = yield* Effect.result(start())
        if (Result.isFailure(first)) return `D6 a delegate that has ended keeps its slot: ${refusal(first.failure)}`
        yield* done(first.success)
        const second = yield* Effect.result(start())
        if (Result.isFailure(second)) return `D6 a delegate that has settled keeps its slot: ${refusal(second.failure)}`
        const again = yield* tried(first.success.submit(work()))
        if (again !== "concurrent") return `D6 a delegate that had settled works without a slot: ${again}`
        yield* done(second.success)
        yield* first.success.submit(work(" "))
        const third = yield* tried(start())
        return found(third !== "started", `D6 input that was rejected keeps a slot: ${third}`)
      }).pipe(within({ concurrent: 1 }))
    )
  })
)

/** Input that arrives while the end of a turn is written (D6). */
const handedAtTheEnd: Case = shows(
  Effect.gen(function* () {
    const { change, journal } = yield* changeable
    const family = yield* Family.make({
      journal,
      script: Family.hangOr(ScriptedModel.gate("ready"), ScriptedModel.text("done"))
    })
    return yield* family.run(
      Effect.gen(function* () {
        const child = yield* start()
        yield* child.submit(work())
        change((write, id) => (id === child.delegateId ? Effect.andThen(Effect.sleep(50), write) : write))
        yield* family.model.open("ready")
        yield* Effect.sleep(10)
        yield* Effect.forkChild(child.submit(work("hang")))
        const settled = yield* Effect.timeoutOption(child.settled, "1 hour")
        return found(settled._tag === "Some", "D6 a delegate has settled while its session has input")
      })
    )
  })
)

/** A delegate that has completed the first of two inputs (D6). */
const twoInputs: Case = shows(
  Effect.gen(function* () {
    const family = yield* Family.make({
      script: Family.hangOr(ScriptedModel.gate("both"), ScriptedModel.text("done"))
    })
    return yield* family.run(
      Effect.gen(function* () {
        const child = yield* start()
        yield* child.submit(work())
        yield* child.submit(Op.userInput("hang", { delivery: "queue" }))
        yield* family.model.open("both")
        const settled = yield* Effect.timeoutOption(child.settled, "1 hour")
        return found(settled._tag === "Some", "D6 a delegate has settled while its input waits")
      })
    )
  })
)

/** A delegate whose journal fails while it works (D6). */
const failingJournal: Case = shows(
  Effect.gen(function* () {
    const { change, journal } = yield* changeable
    const family = yield* Family.make({
      journal,
      script: () => [ScriptedModel.gate("ready"), ScriptedModel.text("done")]
    })
    const failed = (sessionId: SessionId) =>
      new JournalFailed({ sessionId, operation: "append", cause: "the disk is full" })
    return yield* family.run(
      Effect.gen(function* () {
        const child = yield* start()
        yield* child.submit(work())
        change((write, id) => (id === child.delegateId ? Effect.fail(failed(id)) : write))
        yield* family.model.open("ready")
        const settled = yield* Effect.timeoutOption(child.settled, "1 hour")
        return found(settled._tag === "None", "D6 a caller waits for a delegate whose session has failed")
      })
    )
  })
)

/** A delegate that works while another one spends the tokens (D6). */
const spending: Case = shows(
  Effect.gen(function* () {
    const family = yield* Family.make({
      script: Family.hangOr(ScriptedModel.text("paid"), ScriptedModel.finish({ total: 100 }))
    })
    return yield* family.run(
      Effect.gen(function* () {
        const working = yield* start()
        yield* working.submit(work("hang"))
        yield* family.awaitTold((event) => event._tag === "ModelRequested")
        yield* done(yield* start(), "pay")
        const status = yield* Effect.timeoutOption(working.settled, "1 hour")
        return found(status._tag === "None", "D6 a delegate keeps working when the tokens are spent")
      }).pipe(within({ tokens: 100 }))
    )
  })
)

/** A delegate that is done when it spends the tokens, and has more input (D6). */
const spendingAgain: Case = shows(
  Effect.gen(function* () {
    const again = Family.withTools({ again: { run: () => Effect.succeed("again") } })
    let asked = 0
    const family = yield* Family.make({
      script: (request) => {
        const paid = [ScriptedModel.gate("both"), ScriptedModel.text("paid"), ScriptedModel.finish({ total: 100 })]
        return Family.asked(request) === "pay" || asked > 3 ? paid : [ScriptedModel.call("again", {}, `${asked++}`)]
      }
    })
    return yield* family.run(
      Effect.gen(function* () {
        const child = yield* start({ agent: again.agent })
        yield* child.submit(work("pay"))
        yield* child.submit(Op.userInput("go on", { delivery: "queue" }))
        yield* family.model.open("both")
        yield* child.settled
        return found(asked > 1, "D6 a delegate continues when the tokens are spent")
      }).pipe(within({ tokens: 100 }), again.provide)
    )
  })
)

/** A notice that arrives at the end of a turn, and starts no other turn (D6, D7). */
const noticeAtTheEnd: Case = {
  ...explored([
    spawn({
      ...node("n0", "linked", {
        _tag: "Spawn",
        wait: false,
        children: [
          node("n1", "detached", { _tag: "Sleep", millis: 50 }),
          node("n2", "linked", { _tag: "Deaf", millis: 200 })
        ]
      }),
      deadline: undefined
    })
  ]),
  actions: []
}

/** A detached delegate that settles often, while the journal of its parent is slow to take the notices (D7). */
const reporting: Case = shows(
  Effect.gen(function* () {
    const { change, journal } = yield* changeable
    const family = yield* Family.make({ journal })
    const { sessionId } = family.root.session
    change((write, id) => (id === sessionId ? Effect.andThen(Effect.sleep(50), write) : write))
    const notices = () => family.root.events.filter(({ _tag }) => _tag === "InputAccepted")
    const child = yield* family.run(
      Effect.tap(start({ detached: true }), (child) =>
        Effect.gen(function* () {
          yield* done(child, "one")
          // while the first notice is sent
          yield* Effect.sleep(10)
          yield* done(child, "two")
        })
      )
    )
    yield* Effect.sleep("1 second")
    const both = JSON.stringify(notices())
    if (!both.includes("echo one") || !both.includes("echo two")) return "D7 the parent got no notice of each time"
    const count = notices().length
    yield* child.submit(work(" "))
    yield* Effect.sleep("1 second")
    if (count !== 2 || notices().length !== count) return `D7 the parent got ${notices().length} notices of 2`
    yield* child.end()
    return undefined
  })
)

/** A detached delegate that gets more input, at any step of its first turn (D7). */
const continuingAtOnce: Case = {
  ...shows((stage) =>
    Effect.gen(function* () {
      const family = yield* Family.make({
        script: Family.hangOr(ScriptedModel.text("done"))
      })
      const child = yield* family.run(start({ detached: true }))
      yield* stage.arm({ more: child.submit(Op.userInput("hang", { delivery: "queue" })) })
      yield* child.submit(work())
      yield* Effect.sleep("1 second")
      yield* stage.disarm
      const told = JSON.stringify(family.root.events.filter(({ _tag }) => _tag === "InputAccepted"))
      return found(told.includes("running"), `D7 a notice says that a running delegate has settled: ${told}`)
    })
  ),
  actions: [["more"]],
  maxRuns: 700
}

/** A detached delegate that wakes its parent (D7). */
const waking: Case = shows(
  Effect.gen(function* () {
    const family = yield* Family.make()
    yield* family.run(Effect.tap(start({ detached: true, wake: true }), (child) => child.submit(work())))
    yield* Effect.sleep("1 second")
    const turns = family.root.events.filter(isTerminal).length
    return found(turns !== 2, "D7 an idle parent is not woken")
  })
)

/** A delegate under a tracer (O1). */
const traced: Case = shows(
  Effect.gen(function* () {
    const { spans, tracer } = keepSpans()
    const parentOf = (span: Tracer.Span | undefined) => {
      const parent = span === undefined ? undefined : Option.getOrUndefined(span.parent)
      return spans.find(({ spanId }) => spanId === parent?.spanId)
    }
    const family = yield* Effect.provideService(Family.make(), Tracer.Tracer, tracer)
    yield* Effect.provideService(family.run(Effect.flatMap(start(), (child) => done(child))), Tracer.Tracer, tracer)
    const turn = spans.find(({ name }) => name === "session_task.turn")
    const isBelow = parentOf(parentOf(turn))?.name === "spindle.delegate"
    return found(!isBelow, "O1 the turn of a delegate has no trace parent")
  })
)

/** A root whose policy denies a tool, and a delegate whose own policy allows it (A4). */
const withoutPermission: Case = shows(
  Effect.gen(function* () {
    let runs = 0
    const child = Family.withTools({ reach: { run: () => Effect.sync(() => void runs++) } })
    const family = yield* Family.make({
      script: (request) => {
        if (Family.isAnswered(request)) return [ScriptedModel.text("done")]
        return [ScriptedModel.call(Family.asked(request) === "delegate" ? "start" : "reach", {}, Family.asked(request))]
      },
      tools: {
        start: {
          run: () =>
            Effect.scoped(
              child.provide(Delegate.runOnce({ ...Family.endless, agent: child.agent, input: Input.text("one") }))
            ) as Effect.Effect<unknown, unknown, Turn>
        },
        reach: { run: () => Effect.succeed("no"), policy: { approval: "deny" } }
      }
    })
    yield* family.root.run("delegate")
    return found(runs > 0, "A4 a delegate does what its parent may not")
  })
)

/** A detached delegate asks while a turn of its parent ends, while its parent is idle, or in the next turn (A3). */
const askingBetweenTurns: Case = {
  ...shows((stage) =>
    Effect.gen(function* () {
      const asking = askers(0)
      const family = yield* Family.make({
        script: (request) =>
          Family.isAnswered(request) ? [ScriptedModel.text("done")] : [ScriptedModel.call("ask", {}, "ask")]
      })
      const { events, session } = family.root
      const child = yield* family.run(asking.provide(start({ agent: asking.agent, detached: true })))
      const settled = () => events.some(({ _tag }) => _tag === "QuestionSettled")
      yield* stage.arm({ work: Effect.ignore(child.submit(work())) })
      yield* family.run(Effect.sleep(5))
      yield* session.awaitIdle
      yield* stage.disarm
      yield* child.submit(work())
      yield* Effect.sleep(10)
      yield* family.run(Effect.sleep(5))
      const opened = events.find((event) => event._tag === "QuestionOpened")
      if (opened === undefined) return "A3 a question of a detached delegate is not shown at its parent"
      if (settled()) return "A3 the end of a turn settled a question of the session"
      const answer = Op.answer(opened.questionId, { _tag: "Approved", scope: "once" })
      const { _tag } = yield* session.submit(answer)
      yield* child.settled
      return found(_tag !== "Accepted", "A3 a question of a detached delegate cannot be answered")
    })
  ),
  actions: [["work"]],
  maxRuns: 120
}

export const casesOfDelegates = {
  startingDeaf,
  registeringSlowly,
  startingLate,
  askingAParentThatStops,
  answeringTwice,
  failingStart,
  endingADelegate,
  stoppingTheCaller,
  refusedOnce,
  hangingJournal,
  oneSlot,
  twoInputs,
  handedAtTheEnd,
  failingJournal,
  spending,
  spendingAgain,
  noticeAtTheEnd,
  reporting,
  continuingAtOnce,
  waking,
  traced,
  withoutPermission,
  askingBetweenTurns
}
