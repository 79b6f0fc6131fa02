import { spawnSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"

const root = join(import.meta.dirname, "../../../..")
const folder = join(root, "build/type-errors")

const prelude = `
import { Agent, Approvals, Session } from "@spindle/core"
import { Context, Effect, Schema, type Scope } from "effect"
import { Tool, Toolkit } from "effect/ai"
import type { Journal } from "@spindle/core/Journal"
import type { Model } from "@spindle/core/Model"
class Files extends Context.Service<Files, { readonly read: (path: string) => string }>()("Files") {}
const read = Tool.make("read", { success: Schema.String, dependencies: [Files] })
const toolkit = Toolkit.make(read)
const agent = Agent.make({ toolkit, approvals: { read: { approval: "allow" } } })
const handlers = toolkit.toLayer({ read: () => Effect.map(Files, ({ read }) => read("notes")) })
type Given = Model | Journal | Scope.Scope
`

/** Programs that forget something, and how the last line of the compiler's error begins. */
const programs: { readonly [forgotten: string]: readonly [code: string, lastLine: string] } = {
  policy: [
    "export const made = Agent.make({ toolkit, approvals: {} })",
    `Property 'read' is missing in type '{}' but required in type 'Policies<{ readonly read: Tool<"read", `
  ],
  handler: [
    "export const made: Effect.Effect<unknown, unknown, Given | Files> = Session.make(agent)",
    `Type 'Handler<"read">' is not assignable to type 'Files | Given'.`
  ],
  service: [
    "export const made: Effect.Effect<unknown, unknown, Given> = Session.make(agent).pipe(Effect.provide(handlers))",
    `Type 'Files' is not assignable to type 'Given'.`
  ],
  journal: [
    "export const made: Effect.Effect<unknown, unknown, Model | Scope.Scope> = Session.make(Agent.make({}))",
    `Type 'Journal' is not assignable to type 'Model | Scope'.`
  ],
  decider: [
    "export const made: Effect.Effect<unknown, unknown, Given> = Session.make(Agent.requireDecider(Agent.make({})))",
    `Type 'Decider' is not assignable to type 'Given'.`
  ]
}

describe("the compiler", () => {
  it("names what was forgotten in the last line of its error: a policy, a handler, a service, a journal, a decider", () => {
    mkdirSync(folder, { recursive: true })
    for (const [name, [code]] of Object.entries(programs)) writeFileSync(join(folder, `${name}.ts`), prelude + code)
    const compilerOptions = {
      composite: false,
      incremental: false,
      declarationMap: false,
      sourceMap: false,
      noEmit: true,
      noUnusedLocals: false,
      rootDir: "../..",
      customConditions: ["spindle-source"]
    }
    const include = Object.keys(programs).map((name) => `${name}.ts`)
    const config = { extends: "../../tsconfig.base.json", include, compilerOptions }
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
    const compiler = join(root, "node_modules/typescript/bin/tsc")
    const { stdout } = spawnSync(process.execPath, [compiler, "-p", folder, "--pretty", "false"], { encoding: "utf8" })
    const errors = stdout.split(/^(?=\S+\(\d+,\d+\): error)/m)
    for (const [name, [, lastLine]] of Object.entries(programs)) {
      const error = errors.filter((one) => one.includes(`${name}.ts(`))
      assert.lengthOf(error, 1, stdout)
      assert.isTrue(error[0]!.trimEnd().split("\n").at(-1)!.trimStart().startsWith(lastLine), error[0])
    }
  })
})
