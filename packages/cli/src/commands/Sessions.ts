/**
 * `spindle sessions`: lists, shows, archives and deletes sessions. Listing and showing never open a journal for
 * writing.
 */
import * as StoredSessions from "@spindle/app/StoredSessions"
import { Journal } from "@spindle/core/Journal"
import type { SessionId } from "@spindle/core/Ids"
import type { JournalFailed, SessionBusy, SessionNotFound } from "@spindle/core/SessionError"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as RecordCodec from "@spindle/core/RecordCodec"
import * as Sessions from "@spindle/core/Sessions"
import * as SessionState from "@spindle/core/SessionState"
import * as Effect from "effect/Effect"
import type { ColorMode } from "../args/Flags.ts"
import * as Help from "../args/Help.ts"
import * as Ansi from "../output/Ansi.ts"
import * as Failures from "../output/failures.ts"
import * as Log from "../output/Log.ts"
import * as Transcript from "../output/TranscriptText.ts"
import { warnOfDamage } from "./damage.ts"
import * as Platform from "./Platform.ts"

/** The number of sessions that are listed without `--all`. For each one its journal has to be read. */
const listedCount = 50

/**
 * Lists sessions, the most recent first: those in use, or the archived ones. Sub-agents are listed only with `all`. A
 * journal that cannot be read is reported on stderr and makes the exit code 1; the others are listed.
 */
export const list = (options: {
  readonly home: string
  readonly archived: boolean
  readonly json: boolean
  readonly all: boolean
}): Effect.Effect<number, JournalFailed> =>
  Effect.gen(function* () {
    const journal = yield* Journal
    const entries = yield* options.archived ? journal.archived : journal.list
    let code: number = Help.exitCodes.ok
    let listed = 0
    for (const entry of entries) {
      if (!options.all && listed === listedCount) break
      const records = yield* Effect.matchEager(journal.load(entry.sessionId), {
        onSuccess: (opened) => opened.records,
        onFailure: (error) => {
          // it was moved since the list was read
          if (error._tag === "SessionNotFound") return undefined
          Log.say(Failures.textOf(error.message))
          listed++
          code = Help.exitCodes.failed
          return undefined
        }
      })
      if (records === undefined || (!options.all && StoredSessions.parentOf(records) !== undefined)) continue
      listed++
      const summary = StoredSessions.summaryOf(entry, records)
      process.stdout.write(options.json ? `${JSON.stringify(summary)}\n` : `${lineOf(summary)}\n`)
    }
    const left = options.all ? 0 : entries.length - listed
    if (left > 0)
      process.stdout.write(`${left} more: spindle sessions list ${options.archived ? "--archived " : ""}--all\n`)
    if (entries.length === 0 && !options.json) {
      process.stdout.write(options.archived ? "no archived sessions\n" : "no sessions yet\n")
    }
    return code
  }).pipe(Effect.provide(Platform.journals(options.home)))

const lineOf = ({ cwd, firstInput, id, name, parent, turns, updated }: StoredSessions.Summary): string => {
  const when = localTime(new Date(updated))
  const where = cwd ?? (parent === undefined ? "-" : `agent ${name ?? "of another session"}`)
  const count = turns === 1 ? " 1 turn " : `${String(turns).padStart(2)} turns`
  const input = Ansi.toVisible((firstInput ?? "").replace(/\s+/g, " "))
  const about = process.stdout.isTTY === true ? Ansi.fit(input, 60) : input
  return `${id}  ${when}  ${count}  ${Ansi.toVisible(where)}  ${about}`
}

/** Formats a time to the minute, in the time zone of this machine. */
const localTime = (at: Date): string => {
  const twoDigits = (value: number) => String(value).padStart(2, "0")
  const day = `${at.getFullYear()}-${twoDigits(at.getMonth() + 1)}-${twoDigits(at.getDate())}`
  return `${day} ${twoDigits(at.getHours())}:${twoDigits(at.getMinutes())}`
}

/** Shows one session from its journal, as records or as its transcript. */
export const show = (options: {
  readonly home: string
  readonly id: string
  readonly json: boolean
  readonly color: ColorMode
  readonly verbose: boolean
}): Effect.Effect<number, SessionNotFound | JournalFailed | StoredSessions.SessionAmbiguous> =>
  Effect.gen(function* () {
    const journal = yield* Journal
    const sessionId = yield* StoredSessions.find(options.id)
    const opened = yield* journal.load(sessionId)
    warnOfDamage(opened)
    const { records } = opened
    if (options.json) for (const record of records) process.stdout.write(`${RecordCodec.encode(record)}\n`)
    else process.stdout.write(transcriptOf(sessionId, records, options))
    return Help.exitCodes.ok
  }).pipe(Effect.provide(Platform.journals(options.home)))

/** Archives a session, or puts it back into the list. */
export const move = (options: {
  readonly home: string
  readonly id: string
  readonly to: "archive" | "list"
}): Effect.Effect<number, SessionNotFound | SessionBusy | JournalFailed | StoredSessions.SessionAmbiguous> =>
  Effect.gen(function* () {
    const journal = yield* Journal
    const sessionId = yield* StoredSessions.find(options.id)
    yield* options.to === "archive" ? journal.archive(sessionId) : journal.unarchive(sessionId)
    process.stdout.write(`${options.to === "archive" ? "archived" : "unarchived"} ${Ansi.toVisible(sessionId)}\n`)
    return Help.exitCodes.ok
  }).pipe(Effect.provide(Platform.journals(options.home)))

/** Deletes a session, with its data below the home. */
export const remove = (options: {
  readonly home: string
  readonly id: string
}): Effect.Effect<number, Sessions.DeleteError | StoredSessions.SessionAmbiguous> =>
  Effect.gen(function* () {
    const sessionId = yield* StoredSessions.find(options.id)
    yield* Sessions.deleteClosed(sessionId)
    process.stdout.write(`deleted ${Ansi.toVisible(sessionId)}\n`)
    return Help.exitCodes.ok
  }).pipe(Effect.provide(Platform.journalsWithStores(options.home)))

const transcriptOf = (
  sessionId: SessionId,
  records: ReadonlyArray<JournalRecord>,
  { color, verbose }: { readonly color: ColorMode; readonly verbose: boolean }
): string => {
  const isTerminal = process.stdout.isTTY === true
  const started = records[0]?._tag === "SessionStarted" ? records[0] : undefined
  let state = Transcript.initial({
    sessionId,
    cwd: started?.meta["cwd"] ?? "/",
    color: Ansi.usesColor(color, isTerminal, process.env),
    columns: process.stdout.columns || 120,
    wraps: isTerminal,
    showsInput: true,
    isComplete: !isTerminal || verbose
  })
  let text = ""
  let agentTokens = 0
  for (const record of records) {
    if (record._tag === "DelegateEnded") agentTokens += record.spent?.tokens ?? 0
    const [next, more] = Transcript.step(Transcript.countAgents(state, agentTokens), record)
    state = next
    text += more
  }
  const own = SessionState.fold(records).usage.total
  return `${text}${[Ansi.tokens(own), ...Transcript.withAgents(own, agentTokens)].join(" · ")}\n`
}
