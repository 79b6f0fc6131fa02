import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as HookSettings from "../../src/hooks/HookSettings.ts"
import { platform, world } from "../fixtures/world.ts"

/** What is loaded with these files below the directory of the test, which is left out of the problems. */
const load = Effect.fnUntraced(function* (files: { readonly [path: string]: unknown }, hooks?: object) {
  const { cwd, settings } = yield* world({})
  const root = dirname(cwd)
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), typeof content === "string" ? content : JSON.stringify(content))
  }
  const places = { ...settings, hooks: hooks && { source: "config.toml", table: hooks } }
  const again = Effect.map(HookSettings.load(places, cwd), (found) => ({
    ...found,
    problems: found.problems.map((problem) => problem.replaceAll(`${root}/`, ""))
  }))
  return { found: yield* again, again, places }
})

const run = (command: string, more: object = {}) => ({ type: "command", command, ...more })

describe("load", () => {
  it.live("takes the handlers of the home in the order of their declaration, duplicates too", () =>
    Effect.gen(function* () {
      const { found } = yield* load(
        {
          "home/hooks.json": {
            hooks: { Stop: [{ hooks: [run("a"), run("a", { timeout: 0, failure: "closed", statusMessage: "busy" })] }] }
          }
        },
        { Stop: [{ hooks: [run("b", { timeout: 5 })] }] }
      )
      assert.deepStrictEqual(found.problems, [])
      assert.deepStrictEqual(
        found.handlers.map(({ command, isClosed, order, statusMessage, timeoutMillis }) => [
          order,
          command,
          timeoutMillis,
          isClosed,
          statusMessage
        ]),
        [
          [0, "a", 600_000, false, undefined],
          [1, "a", 1_000, true, "busy"],
          [2, "b", 5_000, false, undefined]
        ]
      )
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("names what is wrong with its place, and the others hold", () =>
    Effect.gen(function* () {
      const { found } = yield* load({
        "home/hooks.json": [
          '{ "hooks": {',
          '  "Stopp": [{ "hooks": [] }],',
          '  "PreToolUse": [{ "matcher": "(", "hooks": [{ "type": "command", "command": "x" }] }, 7],',
          '  "UserPromptSubmit": [{ "matcher": "(", "hooks": [{ "type": "command", "command": "held" }] }],',
          '  "Stop": [{ "hooks": [{ "type": "prompt", "prompt": "x" }, { "type": "command", "command": "too" }] }]',
          "} }"
        ].join("\n")
      })
      assert.deepStrictEqual(
        found.handlers.map(({ command }) => command),
        ["held", "too"]
      )
      const known = HookSettings.events.join(", ")
      assert.deepStrictEqual(found.problems, [
        `home/hooks.json:2:3: unknown hook event Stopp; there are: ${known}`,
        "home/hooks.json:3:3: the matcher ( of PreToolUse is not a regular expression",
        'home/hooks.json:3:3: each entry of PreToolUse needs hooks, a list of { type = "command", command, timeout }',
        'home/hooks.json:5:3: Stop has a hook that is no command; only type "command" with a command runs'
      ])
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("survives files that are not JSON, not UTF-8 or of another shape", () =>
    Effect.gen(function* () {
      const first = yield* load({ "home/hooks.json": "{" })
      assert.match(first.found.problems.join(), /^home\/hooks.json: cannot read the hooks: /)
      const second = yield* load({ "home/hooks.json": [1] })
      assert.deepStrictEqual(second.found.problems, [`home/hooks.json: hooks must be a table of events`])
      const third = yield* load({ "home/hooks.json": { hooks: { Stop: 1 } } })
      assert.deepStrictEqual(third.found.problems, ["home/hooks.json:1:11: Stop must be a list"])
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("runs the hooks of a project only as they were when they were trusted", () =>
    Effect.gen(function* () {
      const file = ".spindle/hooks.json"
      const hooks = { hooks: { Stop: [{ hooks: [run("own")] }] } }
      const { again, found, places } = yield* load({ [`work/${file}`]: hooks })
      assert.deepStrictEqual(found.handlers, [])
      assert.deepStrictEqual(found.problems, [
        `work/${file}: these hooks run only after they were trusted: spindle hooks trust`
      ])
      yield* HookSettings.trust(places, found.project!)
      const trusted = yield* again
      assert.deepStrictEqual([trusted.problems, trusted.handlers.map(({ command }) => command)], [[], ["own"]])
      writeFileSync(found.project!.file, `${JSON.stringify(hooks)} `)
      assert.deepStrictEqual((yield* again).handlers, [])
    }).pipe(Effect.scoped, Effect.provide(platform))
  )
})

describe("select", () => {
  it.live("compares the matcher with the subject, where the event has one", () =>
    Effect.gen(function* () {
      const group = (matcher: string, command: string) => ({ matcher, hooks: [run(command)] })
      const { found } = yield* load({
        "home/hooks.json": {
          hooks: {
            PreToolUse: [group("^exec", "exec"), group("patch|exec", "both"), group("*", "all"), group("^x$", "none")],
            Stop: [group("never", "stop")]
          }
        }
      })
      const selected = (event: HookSettings.HookEvent, subject?: string) =>
        HookSettings.select(found.handlers, event, subject).map(({ command }) => command)
      assert.deepStrictEqual(selected("PreToolUse", "exec_command"), ["exec", "both", "all"])
      assert.deepStrictEqual(selected("PreToolUse", "apply_patch"), ["both", "all"])
      assert.deepStrictEqual(selected("Stop"), ["stop"])
    }).pipe(Effect.scoped, Effect.provide(platform))
  )
})
