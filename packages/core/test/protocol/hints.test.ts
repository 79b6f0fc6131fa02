/** What an editor shows for the words of a session: their names, not their members. */
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"

const root = join(import.meta.dirname, "../../../..")
const folder = join(root, "build/hints")

/** Expressions whose types the compiler infers, and how it writes them. */
const hints: { readonly [expression: string]: string } = {
  "session.events()": "Stream.Stream<SessionEvent.SessionEvent, JournalFailed, never>",
  "Stream.filter(session.events(), SessionEvent.isRecord)":
    "Stream.Stream<SessionEvent.JournalRecord, JournalFailed, never>",
  "session.submit(Op.interrupt)": "Effect.Effect<Op.Receipt, JournalFailed, never>",
  "Effect.map(session.snapshot, ({ items }) => items)": "Effect.Effect<readonly Item.Item[], never, never>",
  "Effect.map(session.snapshot, (snapshot) => [snapshot])": "Effect.Effect<Session.Snapshot[], never, never>",
  "Schema.decodeUnknownEffect(SessionEvent.SessionEvent)(0)":
    "Effect.Effect<SessionEvent.SessionEvent, Schema.SchemaError, never>",
  "Schema.decodeUnknownSync(Op.Submission)(0)": "Op.Submission",
  "Schema.decodeUnknownSync(Schema.Array(Question.Question))(0)": "readonly Question.Question[]",
  "Schema.decodeUnknownSync(JournalEntry.JournalPage)(0)": "JournalEntry.JournalPage",
  "Schema.Struct({ event: SessionEvent.SessionEvent, op: Op.Op, receipt: Op.Receipt })":
    "Schema.Struct<{ readonly event: SessionEvent.SessionEventSchema; readonly op: Op.OpSchema; readonly receipt: Op.ReceiptSchema; }>"
}

const prelude = `
import { Item, JournalEntry, Op, Question, type Session, SessionEvent } from "@spindle/core"
import type { JournalFailed } from "@spindle/core/SessionError"
import { Effect, Schema, Stream } from "effect"
declare const session: Session.Session
export { Item, type JournalFailed }
`

describe("the compiler", () => {
  it("names an event, an operation, a receipt, an item and a snapshot, and does not list what they consist of", () => {
    mkdirSync(folder, { recursive: true })
    const lines = Object.keys(hints).map((expression, index) => `export const hint${index} = ${expression}\n`)
    writeFileSync(join(folder, "hints.ts"), prelude + lines.join(""))
    const compilerOptions = {
      composite: false,
      incremental: false,
      declarationMap: false,
      sourceMap: false,
      declaration: true,
      emitDeclarationOnly: true,
      isolatedDeclarations: false,
      noUnusedLocals: false,
      rootDir: "../..",
      outDir: "out",
      customConditions: ["spindle-source"]
    }
    const config = { extends: "../../tsconfig.base.json", include: ["hints.ts"], compilerOptions }
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
    const compiler = join(root, "node_modules/typescript/bin/tsc")
    const { status, stdout } = spawnSync(process.execPath, [compiler, "-p", folder, "--pretty", "false"], {
      encoding: "utf8"
    })
    assert.strictEqual(status, 0, stdout)
    const written = readFileSync(join(folder, "out/build/hints/hints.d.ts"), "utf8").replaceAll(/\s+/g, " ")
    const shown = Object.keys(hints).map((_, index) => written.split(`hint${index}: `)[1]?.split(/; (?:export|$)/)[0])
    assert.deepStrictEqual(shown, Object.values(hints))
  })
})
