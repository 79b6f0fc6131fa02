import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import type { Fragment } from "@spindle/core/Fragments"
import type { SessionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import { Effect } from "effect"
import * as Exec from "../src/Exec.ts"
import * as Instructions from "../src/Instructions.ts"
import { platform, world } from "./fixtures/world.ts"

/** A directory with these files. */
const scratch = (files: { readonly [path: string]: string | Uint8Array }) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const root = realpathSync(mkdtempSync(join(tmpdir(), "spindle-instructions-")))
      for (const [path, content] of Object.entries(files)) {
        mkdirSync(dirname(join(root, path)), { recursive: true })
        writeFileSync(join(root, path), content)
      }
      return root
    }),
    (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
  )

const placesIn = (root: string, cwd: string): Instructions.Places => ({
  home: join(root, "home"),
  cwd: join(root, cwd),
  fallbackNames: [],
  maxBytes: 32_768,
  rootMarkers: [".git"]
})

/** What is read of these files, with the root left out of the problems. */
const read = Effect.fnUntraced(function* (
  files: { readonly [path: string]: string | Uint8Array },
  cwd: string,
  options: Partial<Instructions.Places> = {}
) {
  const root = yield* scratch(files)
  const { problems, text } = yield* Instructions.read({ ...placesIn(root, cwd), ...options })
  return { text, problems: problems.map((problem) => ({ ...problem, path: problem.path.replace(`${root}/`, "") })) }
})

describe("read", () => {
  it.live("reads the person's file, then those from the root of the project down to the working directory", () =>
    Effect.gen(function* () {
      const files = {
        "AGENTS.md": "above the root",
        "home/AGENTS.md": "mine",
        "work/.git/HEAD": "",
        "work/AGENTS.md": "root",
        "work/a/AGENTS.md": "a",
        "work/a/b/x": "",
        "work/other/AGENTS.md": "other"
      }
      assert.deepStrictEqual(yield* read(files, "work/a/b"), {
        text: "mine\n\n--- project-doc ---\n\nroot\n\na",
        problems: []
      })
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("reads only the working directory if no marker of a root is above it", () =>
    Effect.gen(function* () {
      const files = { "work/AGENTS.md": "root", "work/a/AGENTS.md": "a" }
      assert.strictEqual((yield* read(files, "work/a", { rootMarkers: [] })).text, "a")
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("takes of each directory the first file that has text, the override file first", () =>
    Effect.gen(function* () {
      const files = {
        "home/AGENTS.override.md": " \n",
        "home/AGENTS.md": "mine",
        "work/.git": "gitdir: elsewhere",
        "work/AGENTS.override.md": "override",
        "work/AGENTS.md": "hidden",
        "work/a/TEAM.md": "fallback",
        "work/a/MORE.md": "hidden"
      }
      const { text } = yield* read(files, "work/a", { fallbackNames: ["TEAM.md", "MORE.md"] })
      assert.strictEqual(text, "mine\n\n--- project-doc ---\n\noverride\n\nfallback")
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("cuts the files of a project off at their limit, between characters, and says where", () =>
    Effect.gen(function* () {
      const files = { "work/.git/HEAD": "", "work/AGENTS.md": "12345", "work/a/AGENTS.md": "é".repeat(5) }
      assert.deepStrictEqual(yield* read(files, "work/a", { maxBytes: 10 }), {
        text: "12345\n\néé",
        problems: [{ _tag: "TooLarge", path: "work/a/AGENTS.md", limitBytes: 5 }]
      })
      assert.deepStrictEqual(yield* read(files, "work/a", { maxBytes: 5 }), { text: "12345", problems: [] })
      assert.deepStrictEqual(yield* read(files, "work/a", { maxBytes: 0 }), { text: "", problems: [] })
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("survives a file of 10 MB and one that is not UTF-8, and names them", () =>
    Effect.gen(function* () {
      const files = {
        "home/AGENTS.md": new Uint8Array([0x61, 0xff, 0xfe]),
        "work/AGENTS.md": "x".repeat(10_000_000)
      }
      const { problems, text } = yield* read(files, "work", { maxBytes: 100_000_000 })
      assert.strictEqual(text.length, 1 << 20)
      assert.deepStrictEqual(problems, [
        { _tag: "NotUtf8", path: "home/AGENTS.md" },
        { _tag: "TooLarge", path: "work/AGENTS.md", limitBytes: 1 << 20 }
      ])
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("does not open what is no file", () =>
    Effect.gen(function* () {
      const root = yield* scratch({ "home/AGENTS.md/x": "", "work/x": "" })
      execFileSync("mkfifo", [join(root, "work", "AGENTS.md")])
      assert.deepStrictEqual(yield* Instructions.read(placesIn(root, "work")), { text: "", problems: [] })
    }).pipe(Effect.scoped, Effect.provide(platform))
  )
})

describe("environmentFragment", () => {
  const { environmentFragment } = Instructions
  const texts = (...all: ReadonlyArray<string>): ReadonlyArray<Fragment> =>
    all.map((text) => ({ name: Instructions.environmentName, text }))

  it("has everything first, then only what has changed", () => {
    const first = environmentFragment(
      [
        ["cwd", "/a"],
        ["current_date", "2026-01-01"]
      ],
      []
    )!
    assert.strictEqual(
      first.text,
      "<environment_context>\n  <cwd>/a</cwd>\n  <current_date>2026-01-01</current_date>\n</environment_context>"
    )
    const next = [
      ["cwd", "/a"],
      ["current_date", "2026-01-02"]
    ] as const
    const second = environmentFragment(next, texts(first.text))!
    assert.strictEqual(
      second.text,
      "<environment_context>\n  <current_date>2026-01-02</current_date>\n</environment_context>"
    )
    assert.isUndefined(environmentFragment(next, texts(first.text, second.text)))
    assert.isDefined(environmentFragment(next, texts(second.text, first.text)))
  })

  it("keeps a value that looks like markup one line of text", () => {
    const value = "/a\n  <cwd>/b</cwd> & c"
    const fragment = environmentFragment([["cwd", value]], [])!
    assert.strictEqual(fragment.text.split("\n").length, 3)
    assert.isUndefined(environmentFragment([["cwd", value]], texts(fragment.text)))
  })
})

describe("a session", () => {
  it.live("gives its model the instructions and the environment, and again what has changed", () =>
    Effect.gen(function* () {
      const { cwd, layer, server, settings } = yield* world({
        turns: [{ events: [{ text: "one" }] }, { events: [{ text: "two" }] }]
      })
      const warnings: Array<string> = []
      let id: SessionId | undefined
      const face = (sessionId: SessionId) =>
        Effect.sync((): Exec.Face => {
          id = sessionId
          return {
            approvals: { decide: () => Effect.never },
            onOpen: () => Effect.void,
            show: (event) => Effect.sync(() => void (event._tag === "Warning" && warnings.push(event.message)))
          }
        })
      const run = () =>
        Effect.scoped(Exec.run({ settings, cwd, input: Input.text("go"), resume: id, meta: {}, face })).pipe(
          Effect.provide(layer)
        )
      writeFileSync(join(cwd, "AGENTS.md"), "Use tabs.")
      yield* run()
      const [first] = server.requests
      const texts = (body: unknown) => JSON.stringify(body)
      assert.include(texts(first!.body), "# AGENTS.md instructions for")
      assert.include(texts(first!.body), "Use tabs.")
      assert.include(texts(first!.body), `<cwd>${cwd}</cwd>`)
      assert.include(texts(first!.body), "<network_access>restricted</network_access>")
      assert.deepStrictEqual(warnings, [])
      writeFileSync(join(cwd, "AGENTS.md"), new Uint8Array([0xff]))
      yield* run()
      const second = texts(server.requests[1]!.body)
      assert.strictEqual(second.split("# AGENTS.md instructions for").length, 3)
      assert.strictEqual(second.split("<cwd>").length, 2)
      assert.deepStrictEqual(warnings, [`${join(cwd, "AGENTS.md")} is not used: it is not UTF-8 text`])
    }).pipe(Effect.scoped, Effect.provide(platform))
  )
})

describe("dayOf", () => {
  it("is the day of a time here", () => {
    // the locale of Sweden writes dates as ISO 8601 does
    const { format } = new Intl.DateTimeFormat("sv-SE")
    const hour = 3_600_000
    for (let hours = 0; hours < 20_000; hours += 5) {
      const time = Date.UTC(2024, 0, 1) + hours * hour
      assert.strictEqual(Instructions.dayOf(time), format(time))
    }
  })
})
