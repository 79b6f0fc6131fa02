/** Commands at every event of a session that runs tools, starts an agent, compacts and is aborted. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Op from "@spindle/core/Op"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type { Script } from "@spindle/testing/ResponsesScript"
import { Deferred, Effect, Option } from "effect"
import * as HookCommands from "../../src/HookCommands.ts"
import * as HookSettings from "../../src/hooks/HookSettings.ts"
import { openSession, platform, world } from "../fixtures/world.ts"

const said = (text: string) => ({ events: [{ text }] })
const touch = { call: "exec_command", args: { cmd: "touch made", login: false } }
const wait = {
  call: "wait_agent",
  args: { targets: ['${output:"agent_id":"([^"]+)"}'], timeout_ms: 600_000 }
}
// what a compaction frees
const long = "word ".repeat(40_000)

const script: Script = {
  turns: [
    { match: { lastUser: "^child$" }, ...said("the child") },
    { match: { lastUser: "^go$" }, events: [touch] },
    { match: { lastUser: "^go$" }, events: [{ call: "spawn_agent", args: { message: "child" } }] },
    { match: { lastUser: "^go$" }, events: [wait] },
    { match: { lastUser: "^go$" }, ...said(long) },
    { match: { lastUser: "^again$" }, events: [touch] }
  ],
  fallback: said("short")
}

/** Handlers by event. */
interface Declared {
  readonly [event: string]: ReadonlyArray<{
    readonly matcher?: string
    readonly command: string
    readonly timeout?: number
  }>
}

/** Runs everything with these commands, and returns what the hooks reported. */
const runWith = Effect.fnUntraced(function* (declared: Declared) {
  const own = yield* world(script, [
    ["approval_policy", "untrusted"],
    // what the tests look for is written with or without a sandbox on this machine
    ["sandbox_mode", "danger-full-access"],
    ["features.multi_agent", "true"]
  ])
  const hooks = Object.fromEntries(
    Object.entries(declared).map(([event, handlers]) => [
      event,
      // a limit that a slow machine keeps
      handlers.map(({ command, matcher = "", timeout = 60 }) => ({
        matcher,
        hooks: [{ type: "command", command, timeout }]
      }))
    ])
  )
  mkdirSync(own.settings.configDirectory, { recursive: true })
  writeFileSync(join(own.settings.configDirectory, "hooks.json"), JSON.stringify({ hooks }))
  const seen: Array<SessionEvent> = []
  const notes = () =>
    seen.flatMap((event) => (event._tag === "TaskNote" ? Option.toArray(HookCommands.HookCompleted.decode(event)) : []))
  const [notified, secondQuestion] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
  let questions = 0
  const ends: Array<string> = []
  yield* Effect.gen(function* () {
    const { session } = yield* openSession(own, {
      approvals: {
        decide: () =>
          Effect.suspend(() => {
            questions++
            const approved = Effect.as(Deferred.await(notified), { _tag: "Approved", scope: "once" } as const)
            return questions === 1
              ? approved
              : Effect.andThen(Deferred.succeed(secondQuestion, undefined), Effect.never)
          })
      },
      observer: {
        onEvent: (_, event) => {
          seen.push(event)
          const isNotified =
            declared["Notification"] === undefined || notes().some((one) => one.event === "Notification")
          if (isNotified) Deferred.doneUnsafe(notified, Effect.void)
          if (event._tag === "TurnCompleted" || event._tag === "TurnFailed" || event._tag === "TurnAborted") {
            ends.push(event._tag)
          }
        }
      }
    })
    yield* session.submit(Op.userInput("go"))
    yield* session.awaitIdle
    yield* session.submit(Op.startTask("compact"))
    yield* session.awaitIdle
    yield* session.submit(Op.userInput("again"))
    yield* Deferred.await(secondQuestion)
    yield* session.abort()
    yield* session.awaitIdle
  }).pipe(Effect.scoped, Effect.provide(own.layer))
  return { ...own, ends, notes: notes() }
})

const scoped = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.scoped(effect).pipe(Effect.provide(platform))

const ends = ["TurnCompleted", "TurnCompleted", "TurnCompleted", "TurnAborted"]
const minutes = 600_000

describe("commands at every event", () => {
  it.live(
    "P5 X1 that hang, print garbage or die are reported at each and change nothing, and what they fork ends",
    () =>
      scoped(
        Effect.gen(function* () {
          const fork = "sleep 1000 & echo $! >> pids; setsid sleep 1000 & echo $! >> pids"
          const handlers = [
            { command: "sleep 1000", timeout: 1 },
            { command: "head -c 2000000 /dev/zero" },
            { command: "kill -9 $$" },
            { command: fork }
          ]
          // each event once or twice
          const matchers: { readonly [event: string]: string } = {
            PreToolUse: "exec_command",
            PostToolUse: "exec_command",
            Notification: "approval-requested"
          }
          const declared = HookSettings.events.map((event) => [
            event,
            handlers.map((handler) => ({ ...handler, matcher: matchers[event] ?? "" }))
          ])
          const ran = yield* runWith(Object.fromEntries(declared))
          const ended = Map.groupBy(ran.notes, ({ event }) => event)
          assert.deepStrictEqual([...ended.keys()].sort(), [...HookSettings.events].sort())
          for (const [event, notes] of ended) {
            assert.deepStrictEqual(
              notes.slice(0, 4).map(({ reason, status }) => [status, reason]),
              [
                ["failed", "it did not end within 1000 ms"],
                ["failed", "it printed more than 1048576 bytes"],
                ["failed", "a signal ended it"],
                ["completed", undefined]
              ],
              event
            )
          }
          assert.deepStrictEqual(ran.ends, ends)
          const pids = readFileSync(join(ran.cwd, "pids"), "utf8").trim().split("\n")
          assert.isAtLeast(pids.length, 2 * HookSettings.events.length)
          for (const pid of pids) assert.isFalse(isAlive(Number(pid)), `process ${pid} is alive`)
        })
      ),
    minutes
  )
})

describe("a command of an interrupt or a notification", () => {
  it.live(
    "reads what happened, its matcher selects, and it blocks and stops nothing",
    () =>
      scoped(
        Effect.gen(function* () {
          const to = (file: string) => `cat >> ${file}; echo >> ${file}`
          const block = { command: "echo no >&2; exit 2" }
          const stop = { command: `echo '{"continue":false,"stopReason":"no"}'` }
          const ran = yield* runWith({
            Interrupt: [
              { matcher: "^Interrupted$", command: to("interrupted") },
              { matcher: "Replaced", command: to("replaced") },
              block,
              stop
            ],
            Notification: [
              { matcher: "approval-requested", command: to("approval") },
              { matcher: "agent-turn-complete", command: to("complete") },
              { matcher: "user-input-requested", command: to("words") },
              block,
              stop
            ]
          })
          const inputsIn = (file: string) =>
            existsSync(join(ran.cwd, file))
              ? readFileSync(join(ran.cwd, file), "utf8")
                  .trim()
                  .split("\n")
                  .map((line) => JSON.parse(line))
              : []
          const [interrupted] = inputsIn("interrupted")
          assert.deepInclude(interrupted, { hook_event_name: "Interrupt", reason: "Interrupted", cwd: ran.cwd })
          assert.isString(interrupted.turn_id)
          assert.deepStrictEqual(inputsIn("replaced"), [])
          assert.deepInclude(inputsIn("approval")[0], {
            hook_event_name: "Notification",
            notification_type: "approval-requested",
            message: "the agent waits for approval: exec_command",
            tool_name: "exec_command"
          })
          assert.deepStrictEqual(inputsIn("words"), [])
          const complete = inputsIn("complete")
          assert.deepStrictEqual(
            complete.map((input) => input.notification_type),
            ["agent-turn-complete", "agent-turn-complete"]
          )
          assert.strictEqual(complete[0].last_assistant_message, long)
          assert.deepStrictEqual(ran.ends, ends)
          assert.includeMembers(
            ran.notes.map(({ event, status }) => `${event} ${status}`),
            ["Interrupt failed", "Notification failed", "Interrupt stopped", "Notification stopped"]
          )
        })
      ),
    minutes
  )
})

const isAlive = (pid: number): boolean => {
  try {
    // a process that has ended and was not reaped yet is not alive
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ")
  } catch {
    return false
  }
}
