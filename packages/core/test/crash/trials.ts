/**
 * Trials with SIGKILL: a child process runs turns with tool calls on a file journal until it dies, at a boundary of
 * its file system or at a random moment.
 * Then this process checks that everything acknowledged is in the journal, and opens the session for one more turn.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Journal } from "@spindle/core/Journal"
import * as JournalFile from "@spindle/core/JournalFile"
import { type SessionId, uuidV7 } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import * as RecordCodec from "@spindle/core/RecordCodec"
import { isTerminal, type JournalRecord } from "@spindle/core/SessionEvent"
import * as Session from "@spindle/core/Session"
import * as Laws from "@spindle/testing/Laws"
import { Effect, Layer } from "effect"
import { build } from "esbuild"
import { bundleOptions } from "../fixtures/bundleOptions.ts"
import * as Conversation from "./conversation.ts"
import type { Death } from "./dyingFileSystem.ts"

/** The results of the trials. Each line of `problems` is one fault. */
export interface Figures {
  readonly trials: number
  /**
   * Deaths at a boundary of the file system, and how many boundaries were distinct: new or existing journal, number
   * and name of the operation, and whether before, within or after it.
   */
  readonly atBoundaries: number
  readonly boundaries: number
  readonly atRandom: number
  /** Records and inputs that were acknowledged before a death. */
  readonly records: number
  readonly inputs: number
  /** Tool calls whose handlers had started. */
  readonly calls: number
  /** Acknowledged records and inputs that are not in the journal as they were acknowledged. Must be 0. */
  readonly lost: number
  /** Journals that could not be loaded or opened. Must be 0. */
  readonly refused: number
  /** Sessions whose next turn did not complete. Must be 0. */
  readonly nextTurnFailed: number
  /** Calls that were started twice, or before they were recorded. Must be 0. */
  readonly replayed: number
  /** Journals on which a law of `Laws` is broken. Must be 0. */
  readonly lawsBroken: number
  readonly seconds: number
  readonly problems: ReadonlyArray<string>
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

/** Runs this number of trials, two at a time. */
export const run = (trials: number): Effect.Effect<Figures> =>
  Effect.gen(function* () {
    const startedAt = performance.now()
    const folder = mkdtempSync(join(tmpdir(), "spindle-crash-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
    const runner = new Trials(folder, yield* Effect.promise(() => bundle(folder)))
    const chains = Array.from({ length: Math.ceil(trials / deathsOfSession) }, (_, index) =>
      runner.chain(index, Math.min(deathsOfSession, trials - index * deathsOfSession))
    )
    yield* Effect.all(chains, { concurrency: 2, discard: true })
    return { ...runner.figures, boundaries: runner.boundaries.size, seconds: (performance.now() - startedAt) / 1000 }
  }).pipe(Effect.scoped)

/** A line with its fields in the order of the schema, as it is after it was read. */
const normal = (line: string): string => {
  const record = RecordCodec.decodeLine(line)
  return record === undefined ? line : RecordCodec.encode(record)
}

/** How often one session dies. */
const deathsOfSession = 4
/** Enough operations for three turns and an opening. */
const operationCount = 24

/** Makes the program of the children. */
const bundle = async (folder: string): Promise<string> => {
  const outfile = join(folder, "child.mjs")
  await build({ ...bundleOptions(join(import.meta.dirname, "child.ts")), outfile })
  return outfile
}

/** What the children of one session have acknowledged. */
interface Known {
  readonly directory: string
  readonly sessionId: SessionId
  readonly records: Map<number, string>
  readonly inputs: Set<string>
  readonly calls: Set<string>
}

type Line =
  | { readonly seq: number; readonly text: string }
  | { readonly input: string }
  | { readonly call: string }
  | { readonly boundary: string }

class Trials {
  readonly figures: Mutable<Figures> & { readonly problems: Array<string> } = {
    trials: 0,
    atBoundaries: 0,
    boundaries: 0,
    atRandom: 0,
    records: 0,
    inputs: 0,
    calls: 0,
    lost: 0,
    refused: 0,
    nextTurnFailed: 0,
    replayed: 0,
    lawsBroken: 0,
    seconds: 0,
    problems: []
  }
  readonly boundaries = new Set<string>()
  private readonly folder: string
  private readonly child: string
  private readonly planned = { create: 0, existing: 0 }

  constructor(folder: string, child: string) {
    this.folder = folder
    this.child = child
  }

  /** Runs the trials of one session, one death after the other. */
  chain(index: number, deaths: number): Effect.Effect<void> {
    const known: Known = {
      directory: join(this.folder, `${index}`),
      sessionId: uuidV7(Date.now()) as SessionId,
      records: new Map(),
      inputs: new Set(),
      calls: new Set()
    }
    const trial = (death: number) =>
      Effect.gen({ self: this }, function* () {
        const mode = (yield* exists(known)) ? "existing" : "create"
        const printed = yield* this.runChild(known, mode, `c${death}`)
        this.figures.trials++
        for (const line of printed) this.note(known, line)
        yield* this.judge(known, `session ${index}, death ${death}, ${JSON.stringify(printed.at(-1))}`)
      })
    return Effect.forEach(
      Array.from({ length: deaths }, (_, death) => death),
      trial,
      { discard: true }
    )
  }

  /** Returns the next death: every fourth is at a random moment, the others go through the boundaries in order. */
  private plan(mode: "create" | "existing"): Death | undefined {
    const index = this.planned[mode]++
    if (index % 4 === 3) return undefined
    const place = Math.floor(index / 4) * 3 + (index % 4)
    const when = (["before", "within", "after"] as const)[place % 3]!
    return { nth: 1 + (Math.floor(place / 3) % operationCount), when, share: Math.random() }
  }

  /** Runs a child until it dies; returns what it printed. */
  private runChild(known: Known, mode: "create" | "existing", name: string): Effect.Effect<ReadonlyArray<Line>> {
    const death = this.plan(mode)
    const { directory, sessionId } = known
    return Effect.callback<ReadonlyArray<Line>>((resume) => {
      const args = [this.child, directory, sessionId, mode, name, ...(death ? [JSON.stringify(death)] : [])]
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] })
      let printed = ""
      let complaints = ""
      // counted in lines, so that the load of this process does not matter
      let left = death === undefined ? Math.random() * 150 : Infinity
      const kill = () => void child.kill("SIGKILL")
      const limit = setTimeout(kill, 30_000)
      child.stderr.on("data", (bytes) => (complaints += bytes))
      child.stdout.on("data", (bytes) => {
        printed += bytes
        left -= `${bytes}`.split("\n").length - 1
        if (left <= 0) setTimeout(kill, Math.random() * 3)
      })
      child.on("close", (_, signal) => {
        clearTimeout(limit)
        // an incomplete line was not acknowledged
        const lines = printed
          .split("\n")
          .slice(0, -1)
          .map((line): Line => JSON.parse(line))
        const boundary = lines.findLast((line) => "boundary" in line)
        if (signal !== "SIGKILL" || (death !== undefined && boundary === undefined)) {
          this.problem(`a child ended otherwise, by ${signal}: ${complaints}`)
        } else if (boundary === undefined) this.figures.atRandom++
        else {
          this.figures.atBoundaries++
          this.boundaries.add(`${mode} ${death?.nth} ${boundary.boundary}`)
        }
        resume(Effect.succeed(lines))
      })
      return Effect.sync(kill)
    })
  }

  private problem(text: string): void {
    this.figures.problems.push(text)
  }

  private note(known: Known, printed: Line): void {
    if ("seq" in printed) {
      this.figures.records++
      known.records.set(printed.seq, normal(printed.text))
    } else if ("input" in printed) {
      this.figures.inputs++
      known.inputs.add(printed.input)
    } else if ("call" in printed) {
      this.figures.calls++
      if (known.calls.has(printed.call)) this.replays(`call ${printed.call} was started twice`)
      known.calls.add(printed.call)
    }
  }

  private replays(text: string): void {
    this.figures.replayed++
    this.problem(text)
  }

  /**
   * Checks that everything acknowledged is there, opens the session for one more turn, and checks the laws on its
   * journal.
   */
  private judge(known: Known, where: string): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const { load } = yield* Journal
      const found = yield* Effect.exit(load(known.sessionId))
      if (found._tag === "Failure" && (known.records.size > 0 || !isAbsent(found.cause))) {
        this.figures.refused++
        return this.problem(`${where}: the journal was not loaded: ${found.cause}`)
      }
      const mode = found._tag === "Failure" ? "create" : "existing"
      if (found._tag === "Success") this.compare(known, found.value.records, where)
      const ended = yield* Effect.exit(oneMoreTurn(known, mode))
      if (ended._tag === "Failure") {
        this.figures.refused++
        return this.problem(`${where}: the session was not opened: ${ended.cause}`)
      }
      if (ended.value !== "TurnCompleted") {
        this.figures.nextTurnFailed++
        this.problem(`${where}: the next turn ended as ${ended.value}`)
      }
      const { records } = yield* Effect.orDie(load(known.sessionId))
      this.compare(known, records, `${where}, after the next turn`)
      for (const record of records) known.records.set(record.seq, RecordCodec.encode(record))
      const broken = Laws.session({ events: records, journal: records })
      if (broken === undefined) return
      this.figures.lawsBroken++
      this.problem(`${where}: ${broken}`)
    }).pipe(Effect.provide(journals(known)))
  }

  private compare(known: Known, records: ReadonlyArray<JournalRecord>, where: string): void {
    const lose = (text: string) => {
      this.figures.lost++
      this.problem(`${where}: ${text} is lost`)
    }
    for (const [seq, text] of known.records) {
      const record = records[seq]
      if (record === undefined || RecordCodec.encode(record) !== text) lose(`record ${seq}`)
    }
    const inputs = new Set<string>()
    const calls = new Set<string>()
    for (const record of records) {
      if (record._tag === "InputAccepted") inputs.add(record.submissionId)
      if (record._tag === "ItemRecorded" && record.item._tag === "ToolCall") calls.add(record.item.callId)
    }
    for (const input of known.inputs) if (!inputs.has(input)) lose(`input ${input}`)
    for (const call of known.calls) if (!calls.has(call)) this.replays(`call ${call} was started and not recorded`)
  }
}

const journals = ({ directory }: Known) => JournalFile.layer({ directory }).pipe(Layer.provide(NodeFileSystem.layer))

const exists = (known: Known): Effect.Effect<boolean> =>
  Effect.flatMap(Journal, ({ load }) =>
    Effect.match(load(known.sessionId), { onFailure: () => false, onSuccess: () => true })
  ).pipe(Effect.provide(journals(known)))

const isAbsent = (cause: unknown): boolean => String(cause).includes("SessionNotFound")

/** Opens the session and runs a turn; returns how the last turn ended. */
const oneMoreTurn = ({ records, sessionId }: Known, mode: "create" | "existing") =>
  Effect.gen(function* () {
    const options = mode === "create" ? { sessionId } : { resume: sessionId }
    const session = yield* Session.make(Conversation.agent, options)
    yield* session.submit(Op.userInput("after"))
    yield* session.awaitIdle
    if ((yield* session.snapshot).waiting.length > 0) return "input that waits"
    const journal = yield* Journal
    return (yield* journal.load(sessionId)).records.findLast(isTerminal)?._tag ?? "nothing"
  }).pipe(
    Effect.scoped,
    Effect.provide([Conversation.model(`after${records.size}`).layer, Conversation.handlers(() => {})])
  )

/** Formats the figures for people. */
export const format = (figures: Figures): string =>
  [
    ...figures.problems.slice(0, 20),
    `trials               ${figures.trials} (${figures.atBoundaries} at ${figures.boundaries} distinct boundaries, ${figures.atRandom} at random moments)`,
    `acknowledged         ${figures.records} records, ${figures.inputs} inputs; ${figures.calls} tool calls started`,
    `lost                 ${figures.lost}`,
    `refused loads        ${figures.refused}`,
    `next turn failed     ${figures.nextTurnFailed}`,
    `calls replayed       ${figures.replayed}`,
    `laws broken          ${figures.lawsBroken}`,
    `seconds              ${figures.seconds.toFixed(1)}`
  ].join("\n")
