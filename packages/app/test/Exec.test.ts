import { existsSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import type { Question } from "@spindle/core/Approvals"
import type { SessionId } from "@spindle/core/Ids"
import type * as Op from "@spindle/core/Op"
import * as Input from "@spindle/core/Input"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import { Effect } from "effect"
import * as Exec from "../src/Exec.ts"
import { platform, world } from "./fixtures/world.ts"

/** A face that keeps what it is given, and approves everything. */
const witness = () => {
  const seen = {
    made: [] as Array<SessionId>,
    opened: [] as Array<SessionId>,
    events: [] as Array<SessionEvent>,
    observed: [] as Array<SessionId>,
    questions: [] as Array<Question>
  }
  const face = (sessionId: SessionId) =>
    Effect.sync((): Exec.Face => {
      seen.made.push(sessionId)
      return {
        approvals: {
          decide: (question) =>
            Effect.sync(() => {
              seen.questions.push(question)
              return { _tag: "Approved", scope: "once" }
            })
        },
        observer: { onEvent: (from) => void seen.observed.push(from) },
        onOpen: ({ session }) => Effect.sync(() => void seen.opened.push(session.sessionId)),
        show: (event) => Effect.sync(() => void seen.events.push(event))
      }
    })
  return { ...seen, face }
}
const tags = (events: ReadonlyArray<SessionEvent>) => events.map(({ _tag }) => _tag)
/** Asks about everything, on a machine with a sandbox and on one without. */
const asking = [
  ["approval_policy", "untrusted"],
  ["sandbox_mode", "danger-full-access"]
] as const
const input = "*** Begin Patch\n*** Add File: made\n+made\n*** End Patch\n"
const patch = { custom: "apply_patch", input, callId: "c1" }
const touch = { call: "exec_command", args: { cmd: "touch made", login: false } }

describe("run", () => {
  it.live("makes the face with the id, then the session with the face, and returns how the prompt ended", () =>
    Effect.gen(function* () {
      const { cwd, layer, settings } = yield* world(
        { turns: [{ events: [touch] }, { events: [{ text: "done" }] }] },
        asking
      )
      const { events, face, made, observed, opened, questions } = witness()
      const { decisions, ...end } = yield* Effect.scoped(
        Exec.run({ settings, cwd, input: Input.text("go"), resume: undefined, meta: { program: "test" }, face })
      ).pipe(Effect.provide(layer))
      assert.deepStrictEqual(end, { isCompleted: true, lastMessage: "done", failure: undefined, notes: [] })
      assert.deepStrictEqual(
        decisions.map((one) => one._tag === "QuestionSettled" && one.decision),
        [{ _tag: "Approved", scope: "once" }]
      )
      assert.lengthOf(made, 1)
      assert.deepStrictEqual(opened, made)
      assert.deepStrictEqual(
        questions.map(({ kind, sessionId }) => [kind, sessionId]),
        [["command", made[0]]]
      )
      assert.isTrue(existsSync(join(cwd, "made")))
      const [first] = events
      assert.deepInclude(first, { _tag: "SessionStarted", sessionId: made[0]! })
      assert.deepInclude((first as Extract<SessionEvent, { _tag: "SessionStarted" }>).meta, { program: "test", cwd })
      const [context, ...others] = events.flatMap((event) =>
        event._tag === "TurnContextChanged" ? [event.context] : []
      )
      const { date, ...circumstances } = context!
      assert.match(date!, /^\d{4}-\d{2}-\d{2}$/)
      assert.deepStrictEqual(circumstances, {
        provider: "openai",
        model: settings.model,
        approvalPolicy: "untrusted",
        sandbox: "danger-full-access",
        cwd
      })
      assert.deepStrictEqual(others, [])
      assert.strictEqual(events.at(-1)!._tag, "TurnCompleted")
      assert.deepStrictEqual([...new Set(observed)], made)
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("shows of a resumed session only what happens from then onwards", () =>
    Effect.gen(function* () {
      const { cwd, layer, settings } = yield* world({
        turns: [{ events: [{ text: "one" }] }, { events: [{ text: "two" }] }]
      })
      const run = (resume: SessionId | undefined, { face }: ReturnType<typeof witness>) =>
        Effect.scoped(Exec.run({ settings, cwd, input: Input.text("go"), resume, meta: {}, face })).pipe(
          Effect.provide(layer)
        )
      const [first, second] = [witness(), witness()]
      yield* run(undefined, first)
      const end = yield* run(first.made[0]!, second)
      assert.strictEqual(end.lastMessage, "two")
      assert.deepStrictEqual(second.made, first.made)
      assert.strictEqual(tags(second.events)[0], "SessionResumed")
      assert.lengthOf(
        second.events.filter(({ _tag }) => _tag === "TurnStarted"),
        1
      )
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("compacts the conversation for the prompt /compact, and before a prompt that reaches the limit", () =>
    Effect.gen(function* () {
      const long = "x".repeat(4_000)
      const { cwd, layer, server, settings } = yield* world(
        {
          turns: [long, "a summary", long, long, "another summary", "done"].map((text) => ({
            events: [{ text }],
            usage: { input: 100, output: text.length / 4 }
          }))
        },
        [
          ["model_auto_compact_token_limit", "900"],
          ["features.remote_compaction", "false"]
        ]
      )
      const run = (text: string, resume: SessionId | undefined) => {
        const seen = witness()
        return Effect.map(
          Effect.scoped(Exec.run({ settings, cwd, input: Input.text(text), resume, meta: {}, face: seen.face })).pipe(
            Effect.provide(layer)
          ),
          (end) => ({ ...seen, end })
        )
      }
      const first = yield* run("one", undefined)
      const [id] = first.made
      const compacted = yield* run(" /compact\n", id)
      assert.isTrue(compacted.end.isCompleted)
      assert.include(tags(compacted.events), "HistoryReplaced")
      const again = yield* run("/compact", id)
      assert.match(again.end.failure ?? "", /^cannot compact the conversation: /)
      yield* run("two", id)
      const last = yield* run("three", id)
      assert.include(tags(last.events), "HistoryReplaced")
      assert.strictEqual(last.end.lastMessage, "done")
      const sent = JSON.stringify(server.requests.at(-1)!.body)
      assert.deepStrictEqual(
        ["one", "two", "three", "another summary", long].map((text) => sent.includes(text)),
        [true, true, true, true, false]
      )
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("asks no question if the approval policy is never", () =>
    Effect.gen(function* () {
      const { cwd, layer, server, settings } = yield* world(
        { turns: [{ events: [patch] }, { events: [{ text: "done" }] }] },
        [["approval_policy", "never"]]
      )
      const { face, questions } = witness()
      yield* Effect.scoped(
        Exec.run({ settings, cwd, input: Input.text("go"), resume: undefined, meta: {}, face })
      ).pipe(Effect.provide(layer))
      assert.deepStrictEqual(questions, [])
      assert.isFalse(existsSync(join(cwd, "made")))
      assert.include(JSON.stringify(server.requests.at(-1)!.body), "the approval policy is never")
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("writes the rule that an answer allows, and asks about such a command no more", () =>
    Effect.gen(function* () {
      const again = { call: "exec_command", args: { cmd: "touch made again", login: false } }
      const { cwd, layer, settings } = yield* world(
        { turns: [{ events: [touch] }, { events: [again] }, { events: [{ text: "done" }] }] },
        asking
      )
      const { events, face, questions } = witness()
      const amending = (sessionId: SessionId) =>
        Effect.map(face(sessionId), (made): Exec.Face => ({
          ...made,
          approvals: {
            decide: (question) =>
              Effect.map(made.approvals.decide(question), (decision) => {
                const { amendment } = question.payload as { readonly amendment: unknown }
                return { ...decision, scope: "once", amendment } as Op.Approved
              })
          }
        }))
      yield* Effect.scoped(
        Exec.run({ settings, cwd, input: Input.text("go"), resume: undefined, meta: {}, face: amending })
      ).pipe(Effect.provide(layer))
      assert.deepStrictEqual(
        questions.map(({ payload }) => payload),
        [
          {
            command: "touch made",
            cwd,
            reason: "it may do more than read",
            amendment: [["touch", "made"]]
          }
        ]
      )
      assert.isTrue(existsSync(join(cwd, "again")))
      const sources = events.flatMap((event) =>
        event._tag === "QuestionSettled" || event._tag === "CallDecided" ? [event.source] : []
      )
      assert.deepStrictEqual(sources, ["user", "rule"])
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("fails with the size and the limit of a prompt that is too large", () =>
    Effect.gen(function* () {
      const { cwd, layer, server, settings } = yield* world({})
      const { face } = witness()
      const input = Input.text("x".repeat(1_048_577))
      const error = yield* Effect.flip(
        Effect.scoped(Exec.run({ settings, cwd, input, resume: undefined, meta: {}, face })).pipe(Effect.provide(layer))
      )
      assert.strictEqual(error._tag, "PromptRejected")
      assert.strictEqual(error.message, "the prompt has 1,048,577 characters; the limit is 1,048,576")
      assert.lengthOf(server.requests, 0)
    }).pipe(Effect.scoped, Effect.provide(platform))
  )
})
