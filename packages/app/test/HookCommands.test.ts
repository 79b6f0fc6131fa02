/** Hooks as real processes, in sessions of the application. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import type { SessionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import type { Session } from "@spindle/core/Session"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type { Script } from "@spindle/testing/ResponsesScript"
import { Deferred, Effect, Fiber, Option } from "effect"
import * as Exec from "../src/Exec.ts"
import * as HookCommands from "../src/HookCommands.ts"
import { platform, world } from "./fixtures/world.ts"
import { warningsOf } from "../../core/test/fixtures/turns.ts"

interface Declared {
  readonly event: string
  readonly command: string
  readonly matcher?: string
  readonly timeout?: number
  readonly failure?: "open" | "closed"
}

const said = (text: string) => ({ events: [{ text }] })
const touch = { call: "exec_command", args: { cmd: "touch made", login: false } }

/** A world whose home has these hooks, and how to run a prompt in it. */
const withHooks = Effect.fnUntraced(function* (declared: ReadonlyArray<Declared>, script: Script) {
  const at = yield* world(script, [
    ["approval_policy", "untrusted"],
    // what the tests look for is written with or without a sandbox on this machine
    ["sandbox_mode", "danger-full-access"],
    ["features.multi_agent", "true"]
  ])
  const hooks: { [event: string]: Array<object> } = {}
  for (const { command, event, failure = "open", matcher = "", timeout = 60 } of declared) {
    hooks[event] ??= []
    hooks[event].push({ matcher, hooks: [{ type: "command", command, timeout, failure }] })
  }
  mkdirSync(at.settings.configDirectory, { recursive: true })
  writeFileSync(join(at.settings.configDirectory, "hooks.json"), JSON.stringify({ hooks }))
  const events: Array<SessionEvent> = []
  const opened = yield* Deferred.make<Session>()
  let asked = 0
  const run = (resume?: SessionId) =>
    Effect.scoped(
      Exec.run({
        ...at,
        input: Input.text("go"),
        resume,
        meta: {},
        face: () =>
          Effect.succeed({
            approvals: {
              decide: () => Effect.sync(() => (asked++, { _tag: "Approved" as const, scope: "once" as const }))
            },
            onOpen: ({ session }) => Deferred.succeed(opened, session),
            show: (event) => Effect.sync(() => void events.push(event))
          })
      })
    ).pipe(Effect.provide(at.layer))
  const notes = <A>(kind: { readonly decode: (note: never) => Option.Option<A> }) =>
    events.flatMap((event) => (event._tag === "TaskNote" ? Option.toArray(kind.decode(event as never)) : []))
  return {
    ...at,
    events,
    opened,
    run,
    asked: () => asked,
    started: () => notes(HookCommands.HookStarted),
    ended: () => notes(HookCommands.HookCompleted).map(({ command, reason, status }) => [command, status, reason]),
    sent: (index: number) => JSON.stringify(at.server.requests[index]?.body.input)
  }
})

const scoped = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.scoped(effect).pipe(Effect.provide(platform))

describe("a command hook", () => {
  it.live("reads the event from standard input", () =>
    scoped(
      Effect.gen(function* () {
        const names = ["SessionStart", "UserPromptSubmit", "PreToolUse", "PermissionRequest", "PostToolUse", "Stop"]
        const at = yield* withHooks(
          names.map((event) => ({ event, command: `cat > ${event}.json` })),
          { turns: [{ events: [touch] }, said("done")] }
        )
        yield* at.run()
        const session = yield* Deferred.await(at.opened)
        const inputs = names.map((name) => JSON.parse(readFileSync(join(at.cwd, `${name}.json`), "utf8")))
        for (const [index, input] of inputs.entries()) {
          assert.deepInclude(input, {
            session_id: session.sessionId,
            cwd: at.cwd,
            hook_event_name: names[index],
            model: at.settings.model,
            permission_mode: "default"
          })
          assert.isTrue(existsSync(input.transcript_path))
          assert.isString(input.turn_id)
        }
        const [start, prompt, before, permission, after, stop] = inputs
        assert.strictEqual(start.source, "startup")
        assert.strictEqual(prompt.prompt, "go")
        assert.deepInclude(before, { tool_name: "exec_command", tool_input: touch.args })
        assert.strictEqual(permission.tool_name, "exec_command")
        assert.strictEqual(after.tool_name, "exec_command")
        assert.deepInclude(stop, { stop_hook_active: false, last_assistant_message: "done" })
      })
    )
  )

  it.live("P5 that stops ends the turn without a request, and a turn that is about to stop without another round", () =>
    scoped(
      Effect.gen(function* () {
        const stop = `echo '{"continue":false,"stopReason":"enough"}'`
        const atPrompt = yield* withHooks([{ event: "UserPromptSubmit", command: stop }], { turns: [] })
        yield* atPrompt.run()
        assert.lengthOf(atPrompt.server.requests, 0)
        assert.deepStrictEqual(
          atPrompt.events.flatMap((event) => (event._tag === "InputBlocked" ? [event.reason] : [])),
          ["enough"]
        )
        const more = "echo and the tests? >&2; exit 2"
        const atEnd = yield* withHooks(
          [
            { event: "Stop", command: more },
            { event: "Stop", command: stop }
          ],
          { turns: [said("done")] }
        )
        assert.strictEqual((yield* atEnd.run()).lastMessage, "done")
        assert.lengthOf(atEnd.server.requests, 1)
      })
    )
  )

  it.live("P5 that blocks stops a prompt, and only its context is recorded", () =>
    scoped(
      Effect.gen(function* () {
        const block = JSON.stringify({
          decision: "block",
          reason: "not now",
          hookSpecificOutput: { additionalContext: "a context" }
        })
        const at = yield* withHooks([{ event: "UserPromptSubmit", command: `echo '${block}'` }], { turns: [] })
        yield* at.run()
        assert.lengthOf(at.server.requests, 0)
        assert.deepStrictEqual(
          at.events.flatMap((event) => (event._tag === "InputBlocked" ? [event.reason] : [])),
          ["not now"]
        )
        const contexts = at.events.flatMap((event) =>
          event._tag === "ItemRecorded" && event.item._tag === "DeveloperMessage" ? [event.item.text] : []
        )
        assert.deepStrictEqual(contexts, ["a context"])
      })
    )
  )

  it.live("are all run concurrently, and reported in the order of their declaration", () =>
    scoped(
      Effect.gen(function* () {
        // each waits for the other
        const meet = (own: string, other: string) =>
          `touch ${own}; until [ -e ${other} ]; do sleep 0.01; done; echo ${own}`
        const first = meet("a", "b")
        const second = meet("b", "a")
        const at = yield* withHooks(
          [
            { event: "UserPromptSubmit", command: first },
            { event: "UserPromptSubmit", command: second },
            { event: "UserPromptSubmit", command: second }
          ],
          { turns: [said("done")] }
        )
        yield* at.run()
        assert.deepStrictEqual(
          at.started().map(({ command, order }) => [order, command]),
          [
            [0, first],
            [1, second],
            [2, second]
          ]
        )
        assert.deepStrictEqual(
          at.ended(),
          [first, second, second].map((command) => [command, "completed", undefined])
        )
        const sent = at.sent(0)
        assert.isTrue(sent.indexOf('"text":"a"') < sent.indexOf('"text":"b"'))
      })
    )
  )

  it.live("denies and permits calls, and tells the model what it found after them", () =>
    scoped(
      Effect.gen(function* () {
        const allow = JSON.stringify({ hookSpecificOutput: { decision: { behavior: "allow" } } })
        const at = yield* withHooks(
          [
            {
              event: "PreToolUse",
              matcher: "exec",
              command: "if [ -e once ]; then exit 0; fi; touch once; echo no >&2; exit 2"
            },
            { event: "PermissionRequest", command: `echo '${allow}'` },
            { event: "PostToolUse", command: "echo look again >&2; exit 2" }
          ],
          { turns: [{ events: [touch] }, { events: [touch] }, said("done")] }
        )
        yield* at.run()
        assert.include(at.sent(1), "denied: no")
        assert.isTrue(existsSync(join(at.cwd, "made")))
        assert.strictEqual(at.asked(), 0)
        assert.include(at.sent(2), "look again")
      })
    )
  )

  it.live("continues a turn that is about to stop, and learns that it did", () =>
    scoped(
      Effect.gen(function* () {
        const command = `if grep -q '"stop_hook_active":true'; then exit 0; fi; echo and the tests? >&2; exit 2`
        const at = yield* withHooks([{ event: "Stop", command }], { turns: [said("one"), said("two")] })
        const end = yield* at.run()
        assert.strictEqual(end.lastMessage, "two")
        assert.include(at.sent(1), "and the tests?")
      })
    )
  )

  for (const [name, command, reason] of [
    ["hangs", "sleep 1000", "it did not end within 1000 ms"],
    ["hangs in what it has started", "sleep 1000 & wait", "it did not end within 1000 ms"],
    ["ends with an error", "exit 7", "it exited with code 7"],
    ["is stopped", "kill -STOP $$", "it did not end within 1000 ms"],
    ["dies", "kill -9 $$", "a signal ended it"],
    ["prints garbage", "head -c 2000000 /dev/zero", "it printed more than 1048576 bytes"],
    ["prints broken JSON", "echo '{'", "its output is not valid JSON of a hook"],
    ["does not exist", "/no/such/command", "it exited with code 127"]
  ] as const) {
    it.live(`that ${name} is reported and blocks nothing, unless it is declared closed`, () =>
      scoped(
        Effect.gen(function* () {
          const hook: Declared = { event: "UserPromptSubmit", command, timeout: 1 }
          const open = yield* withHooks([hook], { turns: [said("done")] })
          assert.isTrue((yield* open.run()).isCompleted)
          assert.deepStrictEqual(open.ended(), [[command, "failed", reason]])
          assert.lengthOf(open.server.requests, 1)
          const closed = yield* withHooks([{ ...hook, failure: "closed" }], { turns: [said("done")] })
          yield* closed.run()
          assert.lengthOf(closed.server.requests, 0)
        })
      )
    )
  }

  it.live("X1 that forks ends with everything that it has started, when it returns", () =>
    scoped(
      Effect.gen(function* () {
        const command = "(setsid sleep 1000 & echo $! > pid; sleep 1000 & echo $! >> pid); echo done"
        const at = yield* withHooks([{ event: "UserPromptSubmit", command }], { turns: [said("done")] })
        yield* at.run()
        assert.deepStrictEqual(at.ended(), [[command, "completed", undefined]])
        for (const pid of readFileSync(join(at.cwd, "pid"), "utf8").trim().split("\n")) {
          assert.isFalse(isAlive(Number(pid)), `process ${pid} is alive`)
        }
      })
    )
  )

  it.live("X1 X3 ends with the turn that is aborted, and was recorded before it started", () =>
    scoped(
      Effect.gen(function* () {
        const at = yield* withHooks([{ event: "UserPromptSubmit", command: "echo $$ > pid; sleep 1000" }], {
          turns: []
        })
        const running = yield* Effect.forkChild(at.run())
        const session = yield* Deferred.await(at.opened)
        yield* waitFor(join(at.cwd, "pid"))
        yield* session.abort()
        yield* session.awaitIdle
        yield* Fiber.await(running)
        assert.isFalse(isAlive(Number(readFileSync(join(at.cwd, "pid"), "utf8"))))
        const tags = at.events.map(({ _tag }) => _tag)
        assert.include(tags, "ProcessStarted")
        assert.include(tags, "TurnAborted")
        const [started] = at.events.flatMap((event) => (event._tag === "ProcessStarted" ? [event] : []))
        const directory = started!.command.find((word) => word.includes("spindle-hook-"))
        assert.isFalse(existsSync(directory!), "the directory with its streams is left")
      })
    )
  )

  it.live("names its problems in the first turn", () =>
    scoped(
      Effect.gen(function* () {
        const at = yield* withHooks([{ event: "Unheard", command: "true" }], { turns: [said("done")] })
        assert.isTrue((yield* at.run()).isCompleted)
        const warnings = warningsOf(at.events)
        assert.match(warnings.join(), /hooks\.json:1:11: unknown hook event Unheard; there are: /)
      })
    )
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

/** Waits until a file has content. */
const waitFor = (path: string): Effect.Effect<void> =>
  Effect.suspend(() =>
    existsSync(path) && readFileSync(path, "utf8").endsWith("\n")
      ? Effect.void
      : Effect.andThen(
          Effect.promise(() => new Promise((resolve) => setImmediate(resolve))),
          waitFor(path)
        )
  )
