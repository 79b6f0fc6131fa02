/** Limits of a tree: which ones hold, and what counts after a resume. */
import { assert, describe, it } from "@effect/vitest"
import * as Input from "@spindle/core/Input"
import type { Journal } from "@spindle/core/Journal"
import type { SessionId } from "@spindle/core/Ids"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as Delegate from "@spindle/delegate/Delegate"
import type { DelegateRefused } from "@spindle/delegate/DelegateError"
import * as Limits from "@spindle/delegate/Limits"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Config, ConfigProvider, Effect } from "effect"
import * as Family from "./fixtures/family.ts"

const once = (options: Partial<Delegate.OneShotOptions<never, never>> = {}) =>
  Delegate.runOnce({ ...Family.endless, ...options, input: Input.text("one") } as never) as Effect.Effect<
    string | undefined,
    Delegate.StartError,
    Family.Services
  >

const within = (limits: Partial<Limits.Limits>) => Effect.provide(Limits.layer(limits))

const refusal = (error: unknown) => {
  const { allowed, limit } = error as DelegateRefused
  return { limit, allowed }
}

describe("layerConfig", () => {
  it.effect("D6 reads limits from the configuration", () =>
    Effect.gen(function* () {
      const limits = yield* Effect.service(Limits.Limits).pipe(
        Effect.provide(Limits.layerConfig({ depth: Config.Int("DEPTH"), tokens: Config.Int("TOKENS") })),
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromEnv({ env: { DEPTH: "2", TOKENS: "10" } })
        )
      )
      assert.deepStrictEqual(limits, { ...Limits.defaults, depth: 2, tokens: 10 })
    })
  )
})

describe("the limits of a session", () => {
  it.effect("D6 are raised while it is open", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const { change, limits } = yield* Limits.adjustable({ lifetime: 1 })
      const start = Effect.provideService(once(), Limits.Limits, limits)
      yield* family.run(start)
      assert.deepStrictEqual(refusal(yield* Effect.flip(family.run(start))), { limit: "lifetime", allowed: 1 })
      yield* change({ lifetime: 2 })
      yield* family.run(start)
      assert.deepStrictEqual(refusal(yield* Effect.flip(family.run(start))), { limit: "lifetime", allowed: 2 })
      yield* change({ lifetime: 3, depth: 0 })
      assert.deepStrictEqual(refusal(yield* Effect.flip(family.run(start))), { limit: "depth", allowed: 0 })
    })
  )

  it.effect("D6 are those of the turn that starts a delegate, and not those of the first start", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      yield* family.run(once().pipe(within({ lifetime: 1 })))
      const refused = yield* Effect.flip(family.run(once().pipe(within({ lifetime: 1 }))))
      assert.deepStrictEqual(refusal(refused), { limit: "lifetime", allowed: 1 })
      yield* family.run(once().pipe(within({ lifetime: 2 })))
    })
  )

  it.effect("D6 do not end delegation after 256 delegates", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      for (let count = 0; count < 260; count++) yield* family.run(once())
      assert.strictEqual(yield* family.run(once()), "echo one")
    })
  )

  it.effect("D6 of every session above hold for a delegate, and an own limit that is not a number allows none", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({
        script: (request) =>
          Family.asked(request) === "down" && !Family.isAnswered(request)
            ? [ScriptedModel.call("down", {}, "d")]
            : [ScriptedModel.text("done")]
      })
      for (const [root, own, expected] of [
        [{ depth: 1 }, { depth: 9 }, { limit: "depth", allowed: 1 }],
        [{ depth: 9 }, { depth: 0 }, { limit: "depth", allowed: 0 }],
        [{}, { lifetime: 0 }, { limit: "lifetime", allowed: 0 }],
        [{}, { concurrent: Number.NaN }, { limit: "concurrent", allowed: 0 }],
        [{ concurrent: 1 }, {}, { limit: "concurrent", allowed: 1 }]
      ] as const) {
        const refused: Array<unknown> = []
        const below = Effect.flatMap(Effect.flip(once()), (error) => Effect.sync(() => void refused.push(error)))
        const tools = Family.withTools({ down: { run: () => below as Effect.Effect<unknown> } })
        const start = Delegate.runOnce({
          agent: tools.agent,
          deadline: "1 minute",
          input: Input.text("down"),
          limits: own
        })
        yield* family.run(tools.provide(start).pipe(within(root)) as Effect.Effect<unknown, unknown, Family.Services>)
        assert.deepStrictEqual(refused.map(refusal), [expected])
      }
    })
  )
})

/** Runs one delegate in a new session, and closes it. */
const firstProcess = Effect.fnUntraced(function* (journal: Journal) {
  const family = yield* Family.make({ journal })
  yield* family.run(once())
  return family.root.session.sessionId
}, Effect.scoped)

const endOf = (records: ReadonlyArray<JournalRecord>) =>
  records.find((record): record is Extract<JournalRecord, { _tag: "DelegateEnded" }> => record._tag === "DelegateEnded")

describe("what was used before a resume", () => {
  const check = Effect.fnUntraced(function* (journal: Journal, sessionId: SessionId, tokens: number) {
    const family = yield* Family.make({ journal, resume: sessionId })
    for (const [limits, expected] of [
      [{ lifetime: 1 }, { limit: "lifetime", allowed: 1 }],
      [{ tokens }, { limit: "tokens", allowed: tokens }]
    ] as const) {
      const refused = yield* Effect.flip(family.run(once().pipe(within(limits))))
      assert.deepStrictEqual(refusal(refused), expected)
    }
    yield* family.run(once().pipe(within({ lifetime: 2, tokens: tokens + 1 })))
    const refused = yield* Effect.flip(family.run(once().pipe(within({ lifetime: 2 }))))
    assert.deepStrictEqual(refusal(refused), { limit: "lifetime", allowed: 2 })
  }, Effect.scoped)

  it.effect("D6 counts, from the records of the session", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const sessionId = yield* firstProcess(journal)
      const spent = endOf((yield* journal.load(sessionId)).records)?.spent
      assert.isAbove(spent!.tokens, 0)
      assert.strictEqual(spent!.started, 0)
      yield* check(journal, sessionId, spent!.tokens)
    })
  )

  it.effect("D6 counts, from the journal of a delegate that ran when the process died", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const sessionId = yield* firstProcess(journal)
      const { records } = yield* journal.load(sessionId)
      const { delegateId, spent } = endOf(records)!
      // what a process leaves that dies while the delegate runs
      const died = yield* SessionHarness.memoryJournal
      const copy = (id: SessionId, kept: ReadonlyArray<JournalRecord>) =>
        Effect.scoped(Effect.flatMap(died.open(id, "create"), ({ append }) => append(kept)))
      yield* copy(
        sessionId,
        records.slice(
          0,
          records.findIndex((record) => record._tag === "DelegateEnded")
        )
      )
      yield* copy(delegateId, (yield* journal.load(delegateId)).records)
      yield* check(died, sessionId, spent!.tokens)
    })
  )
})
