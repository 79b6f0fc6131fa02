import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Input from "@spindle/core/Input"
import { Effect } from "effect"
import * as CustomPrompts from "../src/CustomPrompts.ts"
import * as Exec from "../src/Exec.ts"
import { frontMatterOf } from "../src/settings/frontMatter.ts"
import * as SkillSettings from "../src/settings/skills.ts"
import * as Table from "../src/settings/table.ts"
import * as Skills from "../src/Skills.ts"
import { platform, world } from "./fixtures/world.ts"

const scoped = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.scoped(effect).pipe(Effect.provide(platform))

const withFiles = Effect.fnUntraced(function* (files: { readonly [path: string]: string | Uint8Array }) {
  const at = yield* world({ turns: [{ events: [{ text: "one" }] }, { events: [{ text: "two" }] }] })
  const root = dirname(at.cwd)
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  const { configDirectory, disabledSkills, projectDoc } = at.settings
  const places = { home: configDirectory, cwd: at.cwd, disabledSkills, ...projectDoc }
  const run = (text: string) => runInput(Input.text(text))
  const runInput = (input: Input.Input) =>
    Effect.scoped(
      Exec.run({
        ...at,
        input,
        resume: undefined,
        meta: {},
        face: () =>
          Effect.succeed({
            approvals: { decide: () => Effect.never },
            onOpen: () => Effect.void,
            show: () => Effect.void
          })
      })
    ).pipe(Effect.provide(at.layer))
  return { ...at, root, places, run, runInput }
})

const skill = (description: string, body: string, name?: string) =>
  `---\n${name === undefined ? "" : `name: ${name}\n`}description: ${description}\n---\n${body}\n`

describe("skills", () => {
  it.live("are those of the home and the project, the closest of a name; what cannot be used is named", () =>
    scoped(
      Effect.gen(function* () {
        const { places, root } = yield* withFiles({
          "home/skills/deploy/SKILL.md": skill("Deploys.", "of the home"),
          "home/skills/test/SKILL.md": skill("Tests.", "of the home", "run-tests"),
          "home/skills/empty/SKILL.md": "no head",
          "home/skills/binary/SKILL.md": new Uint8Array([0xff]),
          "home/skills/odd/SKILL.md": skill("Odd.", "", "two words"),
          "home/skills/large/SKILL.md": "x".repeat(300_000),
          "home/skills/file": "",
          "work/.agents/skills/deploy/SKILL.md": skill("Deploys here.", "of the project")
        })
        const found = yield* Skills.read(places)
        assert.deepStrictEqual(
          found.skills.map(({ body, description, name }) => [name, description, body.trim()]),
          [
            ["deploy", "Deploys here.", "of the project"],
            ["run-tests", "Tests.", "of the home"]
          ]
        )
        assert.deepStrictEqual(
          found.problems.map((problem) => problem.replace(`${root}/home/skills/`, "")),
          [
            "binary/SKILL.md is not used: it is not UTF-8 text",
            "empty/SKILL.md is not used: it has no description",
            "large/SKILL.md is not used: a skill may have 262144 bytes",
            "odd/SKILL.md is not used: two words is not a name of a skill"
          ]
        )
      })
    )
  )

  it.live("are listed to the model, and read when the prompt names them", () =>
    scoped(
      Effect.gen(function* () {
        const at = yield* withFiles({ "home/skills/deploy/SKILL.md": skill("Deploys.", "Push the button.") })
        yield* at.run("hello")
        const [first] = at.server.requests
        assert.include(JSON.stringify(first!.body.input), "- deploy: Deploys. (file: ")
        assert.notInclude(JSON.stringify(first!.body.input), "Push the button.")
        yield* at.run("use $deploy, and pay $5 to $unknown")
        assert.include(JSON.stringify(at.server.requests[1]!.body.input), "Push the button.")
      })
    )
  )
})

describe("a skill that is switched off", () => {
  it.live("is neither listed nor read, by its name, its file or its folder, also through a link", () =>
    scoped(
      Effect.gen(function* () {
        const { places, root } = yield* withFiles({
          "home/skills/deploy/SKILL.md": skill("Deploys.", ""),
          "home/skills/test/SKILL.md": skill("Tests.", ""),
          "home/skills/write/SKILL.md": skill("Writes.", ""),
          "home/skills/keep/SKILL.md": skill("Keeps.", "")
        })
        symlinkSync(join(root, "home"), join(root, "linked"))
        const paths = new Set([join(root, "home/skills/test/SKILL.md"), join(root, "linked/skills/write")])
        const disabledSkills = { names: new Set(["deploy"]), paths }
        const { skills } = yield* Skills.read({ ...places, disabledSkills })
        assert.deepStrictEqual(
          skills.map(({ name }) => name),
          ["keep"]
        )
      })
    )
  )

  it("is named in skills.config; of two tables the later one counts", () => {
    const read = (config: unknown) =>
      SkillSettings.disabledOf({
        table: Table.make([{ source: "file", table: { skills: { config } } }], () => assert.fail()),
        directory: "/config",
        homeDirectory: "/me",
        reject: (key, expected) => {
          throw new Error(`${key} must be ${expected}`)
        }
      })
    const off = (path: string) => ({ path, enabled: false })
    assert.deepStrictEqual(
      read([
        off("skills/a"),
        off("~/b/SKILL.md"),
        off("/c"),
        { path: "/c", enabled: true },
        { name: "d", enabled: false }
      ]),
      { paths: new Set(["/config/skills/a", "/me/b/SKILL.md"]), names: new Set(["d"]) }
    )
    for (const wrong of [{}, "x", [{ enabled: false }], [{ path: "a" }], [{ path: "a", name: "b", enabled: true }]]) {
      assert.throws(() => read(wrong), "skills.config must be tables")
    }
  })
})

describe("a mention of a skill", () => {
  it.live("selects the skill by its file, whose path may have spaces, and not by its name", () =>
    scoped(
      Effect.gen(function* () {
        const at = yield* withFiles({
          "home/skills/my deploy/SKILL.md": skill("Deploys.", "Push the button.", "deploy"),
          "home/skills/test/SKILL.md": skill("Tests.", "Run the tests.")
        })
        const path = join(at.root, "home/skills/my deploy/SKILL.md")
        yield* at.runInput([{ _tag: "Mention", name: "test", path }])
        const sent = JSON.stringify(at.server.requests[0]!.body.input)
        assert.include(sent, "Push the button.")
        assert.notInclude(sent, "Run the tests.")
      })
    )
  )
})

describe("custom prompts", () => {
  it.live("replace the prompt that names them, with its words", () =>
    scoped(
      Effect.gen(function* () {
        const at = yield* withFiles({
          "home/prompts/greet.md": "---\ndescription: Greets.\n---\nHello $1 from $WHO: $ARGUMENTS costs $$9, $HOME $2."
        })
        yield* at.run('/prompts:greet "Ann Lee" WHO=me')
        assert.include(
          JSON.stringify(at.server.requests[0]!.body.input),
          '"text":"Hello Ann Lee from me: Ann Lee WHO=me costs $9, $HOME ."'
        )
        assert.strictEqual(yield* CustomPrompts.expand(at.places.home, "see /prompts:greet"), "see /prompts:greet")
      })
    )
  )

  it.live("that do not exist or cannot be read are an error that names the others", () =>
    scoped(
      Effect.gen(function* () {
        const at = yield* withFiles({ "home/prompts/a.md": "A", "home/prompts/bad.md": new Uint8Array([0xff]) })
        const error = yield* Effect.flip(at.run("/prompts:nope"))
        assert.strictEqual(error.message, "cannot use the prompt nope: there are: a, bad")
        assert.include((yield* Effect.flip(at.run("/prompts:bad"))).message, "its file is not readable text")
        assert.include(
          (yield* Effect.flip(CustomPrompts.expand("/none", "/prompts:x"))).message,
          "there are no prompts"
        )
        assert.lengthOf(at.server.requests, 0)
      })
    )
  )
})

describe("frontMatterOf", () => {
  it.each([
    ["plain", "---\nname: a\ndescription: b: c\n---\nbody", { name: "a", description: "b: c" }, "body"],
    ["quoted", "---\nname: \"a b\"\nother: 'c'\n---\n", { name: "a b", other: "c" }, ""],
    ["folded", "---\nname: >-\n  a\n  b\nnext: c\n---\nx", { name: "a b", next: "c" }, "x"],
    ["literal, with CRLF", "---\r\nname: |\r\n  a\r\n  b\r\n---\r\nx", { name: "a\nb" }, "x"],
    ["lists and junk", "---\nlist:\n  - a\n?? !!\n---\nx", { list: "" }, "x"],
    ["no end", "---\nname: a\n", {}, "---\nname: a\n"],
    ["no head", "text", {}, "text"]
  ] as const)("%s", (_, text, fields, body) => {
    const read = frontMatterOf(text)
    assert.deepStrictEqual([{ ...read.fields }, read.body], [{ ...fields }, body])
  })
})
