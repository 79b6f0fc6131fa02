/**
 * A program that runs turns on a file journal until it dies: `child.ts <directory> <session id> <create | existing>
 * <name> [death as JSON]`.
 * It prints one JSON object a line: each acknowledged record with its text, each acknowledged input, and each tool
 * call whose handler starts.
 */
import { writeSync } from "node:fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Journal } from "@spindle/core/Journal"
import * as JournalFile from "@spindle/core/JournalFile"
import type { SessionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import * as RecordCodec from "@spindle/core/RecordCodec"
import * as Session from "@spindle/core/Session"
import { Effect, FileSystem, Layer } from "effect"
import * as Conversation from "./conversation.ts"
import * as DyingFileSystem from "./dyingFileSystem.ts"

const [directory = "", sessionId = "", mode = "create", name = "", death] = process.argv.slice(2)
const id = sessionId as SessionId

const print = (line: object) => void writeSync(1, `${JSON.stringify(line)}\n`)

const dying = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, (fs) =>
    DyingFileSystem.make(fs, death === undefined ? undefined : JSON.parse(death))
  )
).pipe(Layer.provide(NodeFileSystem.layer))

/** Journals that print what they acknowledged. */
const telling = Layer.effect(
  Journal,
  Effect.map(Journal, (journal) => ({
    ...journal,
    open: (opened: SessionId, how: "create" | "existing") =>
      Effect.map(journal.open(opened, how), (writer) => ({
        ...writer,
        append: (records: Parameters<typeof writer.append>[0]) =>
          Effect.map(writer.append(records), () => {
            for (const record of records) print({ seq: record.seq, text: RecordCodec.encode(record) })
          })
      }))
  }))
).pipe(Layer.provide(JournalFile.layer({ directory })), Layer.provide(dying))

const program = Effect.gen(function* () {
  const session = yield* Session.make(Conversation.agent, mode === "create" ? { sessionId: id } : { resume: id })
  // three turns pass more boundaries than any trial names; a kill at a random moment may come late
  for (let turn = 0; turn < 12; turn++) {
    const receipt = yield* session.submit(Op.userInput(`${name} turn ${turn}`))
    if (receipt._tag !== "Rejected") print({ input: receipt.submissionId })
    // a second input arrives during or after the turn: it steers, or starts the next one
    if (turn % 2 === 1) yield* session.submit(Op.userInput(`${name} more ${turn}`))
    yield* session.awaitIdle
  }
  return yield* Effect.sleep("1 minute")
})

const services = Layer.mergeAll(
  telling,
  Conversation.model(name).layer,
  Conversation.handlers((_, callId) => print({ call: callId ?? "" }))
)
await Effect.runPromise(Effect.provide(Effect.scoped(program), services))
