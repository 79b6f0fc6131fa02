/** Apps of a real MCP server, in sessions of the application. */
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type { Script } from "@spindle/testing/ResponsesScript"
import { Deferred, Effect, Option } from "effect"
import * as Connectors from "../src/connectors/Connectors.ts"
import { openSession, platform, world } from "./fixtures/world.ts"
import { warningsOf } from "../../core/test/fixtures/turns.ts"

const said = (text: string) => ({ events: [{ text }] })
const server = join(import.meta.dirname, "fixtures", "appsServer.mjs")

/** Runs prompts, one after the other, with a server of so many tools; returns the tools of each request. */
const runAll = Effect.fnUntraced(function* (
  toolsCount: number,
  script: Script,
  prompts: ReadonlyArray<string | Input.Input>
) {
  const at = yield* world(script, [
    ["approval_policy", "never"],
    ["sandbox_mode", "danger-full-access"],
    ["mcp_servers.apps.command", process.execPath],
    ["mcp_servers.apps.args", JSON.stringify([server, String(toolsCount)])],
    ["mcp_servers.apps.apps", "true"],
    ["mcp_servers.apps.startup_timeout_sec", "60"]
  ])
  const events: Array<SessionEvent> = []
  yield* Effect.gen(function* () {
    const observer = { onEvent: (_: unknown, event: SessionEvent) => void events.push(event) }
    const { session } = yield* openSession(at, { observer })
    for (const prompt of prompts) {
      const input = typeof prompt === "string" ? Input.text(prompt) : prompt
      yield* session.submit({ _tag: "UserInput", input })
      yield* session.awaitIdle
    }
  }).pipe(Effect.scoped, Effect.provide(at.layer))
  const namesOf = (tools: unknown) =>
    (tools as ReadonlyArray<{ readonly name: string }>)
      .map(({ name }) => name)
      .filter((name) => /^mcp__|search/.test(name))
  return {
    events,
    requests: at.server.requests.map(({ body }) => namesOf(body["tools"])),
    inputs: at.server.requests.map(({ body }) => JSON.stringify(body["input"]))
  }
})

const scoped = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.scoped(effect).pipe(Effect.provide(platform))
const range = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => `mcp__apps__tool_${from + index}`)

describe("tools of apps", () => {
  it.live("M4 are all offered as long as there are fewer than 100", () =>
    scoped(
      Effect.gen(function* () {
        const { requests } = yield* runAll(99, { turns: [said("done")] }, ["go"])
        assert.deepStrictEqual(requests, [range(0, 99)])
      })
    )
  )

  it.live("M4 are offered by turn from 100 onwards: those of an app that it mentions, and those that it finds", () =>
    scoped(
      Effect.gen(function* () {
        const search = { call: "tool_search", args: { query: "move an appointment", limit: 1 } }
        const script: Script = {
          turns: [
            { events: [{ call: "mcp__apps__tool_12", args: {} }] },
            said("one"),
            { events: [search] },
            { events: [{ call: "mcp__apps__tool_5", args: {} }] },
            said("two"),
            said("three")
          ]
        }
        const prompts = ["send it by $mail", "move my appointment", "[$c](app://app_2), and something else"]
        const { events, requests } = yield* runAll(100, script, prompts)
        const mail = ["tool_search", ...range(10, 20)]
        const found = ["tool_search", "mcp__apps__tool_5"]
        assert.deepStrictEqual(
          requests.map((names) => [...names].sort()),
          [mail, mail, ["tool_search"], found, found, ["tool_search", ...range(20, 30)]].map((names) =>
            [...names].sort()
          )
        )
        const outputs = events.flatMap((event) =>
          event._tag === "ItemRecorded" && event.item._tag === "ToolResult" ? [event.item.output] : []
        )
        assert.deepStrictEqual(outputs, [
          "ran tool_12",
          {
            tools: [
              {
                name: "mcp__apps__tool_5",
                description: "Moves an appointment to another day",
                app: "Google Calendar"
              }
            ]
          },
          "ran tool_5"
        ])
        const selected = events.flatMap((event) =>
          event._tag === "TaskNote" ? Option.toArray(Connectors.ConnectorsSelected.decode(event)) : []
        )
        assert.deepStrictEqual(
          selected.map(({ connectors }) => connectors),
          [[{ id: "app_1", name: "Mail" }], [{ id: "app_2", name: "Tickets" }]]
        )
      })
    )
  )

  it.live(
    "M4 are those of a structured mention; one of an unknown app or skill is a warning, and text for the model",
    () =>
      scoped(
        Effect.gen(function* () {
          const mention = (name: string, path: string): Input.InputPart => ({ _tag: "Mention", name, path })
          const script: Script = { turns: [said("one"), said("two"), said("three")] }
          const prompts: ReadonlyArray<Input.Input> = [
            [...Input.text("send it"), mention("Mail", "app://app_1")],
            [mention("mail", "app://nobody"), mention("mail", "/nowhere/SKILL.md")],
            Input.text("and now?")
          ]
          const { events, inputs, requests } = yield* runAll(100, script, prompts)
          const none = ["tool_search"]
          assert.deepStrictEqual(
            requests.map((names) => [...names].sort()),
            [[...range(10, 20), "tool_search"], none, none]
          )
          assert.include(inputs[0], "[$Mail](app://app_1)")
          assert.include(inputs[1], "[$mail](app://nobody)")
          assert.deepStrictEqual(warningsOf(events), [
            "the input mentions the skill /nowhere/SKILL.md, which does not exist or cannot be used",
            "the input mentions the app nobody, which does not exist"
          ])
          assert.strictEqual(events.filter(({ _tag }) => _tag === "TurnCompleted").length, 3)
        })
      )
  )

  it.live("M4 a prompt with a $ does not wait for a server of apps that never starts", () =>
    scoped(
      Effect.gen(function* () {
        const at = yield* world({ turns: [said("done")] }, [
          ["mcp_servers.apps.command", process.execPath],
          ["mcp_servers.apps.args", JSON.stringify(["-e", "process.stdin.resume()"])],
          ["mcp_servers.apps.apps", "true"],
          ["mcp_servers.apps.startup_timeout_sec", "3600"]
        ])
        const carried = yield* Deferred.make<void>()
        const onEvent = (_: unknown, event: SessionEvent) => {
          const isPrompt =
            event._tag === "ItemRecorded" && event.item._tag === "UserMessage" && event.item.fragment === undefined
          if (isPrompt) Deferred.doneUnsafe(carried, Effect.void)
        }
        yield* Effect.gen(function* () {
          const { session } = yield* openSession(at, { observer: { onEvent } })
          yield* session.submit(Op.userInput("$mail costs $5, see [$mail](app://mail)"))
          yield* Deferred.await(carried)
        }).pipe(Effect.scoped, Effect.provide(at.layer))
      })
    )
  )
})
