/**
 * `spindle trace`: writes one session as an HTML page, from its journal alone.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as StoredSessions from "@spindle/app/StoredSessions"
import { Journal } from "@spindle/core/Journal"
import type { JournalFailed, SessionNotFound } from "@spindle/core/SessionError"
import * as Effect from "effect/Effect"
import type { Resume } from "../args/Arguments.ts"
import * as Help from "../args/Help.ts"
import { reasonOf } from "../output/failures.ts"
import { CliError } from "./CliError.ts"
import { warnOfDamage } from "./damage.ts"
import * as Platform from "./Platform.ts"
import * as Directories from "@spindle/app/Directories"

/** Writes the page to a file, by default `ID.html` below the home; `-` is stdout. Only its owner can read the file. */
export const run = (options: {
  readonly home: string
  readonly cwd: string
  readonly session: Resume
  readonly outputFile: string | undefined
}): Effect.Effect<number, SessionNotFound | JournalFailed | StoredSessions.SessionAmbiguous | CliError> =>
  Effect.gen(function* () {
    const { Timeline, TimelinePage } = yield* Effect.promise(load)
    const journal = yield* Journal
    const sessionId = yield* idOf(options.session, options.cwd)
    const opened = yield* journal.load(sessionId)
    warnOfDamage(opened)
    const { records } = opened
    const page = TimelinePage.render(Timeline.make(sessionId, records))
    if (options.outputFile === "-") {
      process.stdout.write(page)
      return Help.exitCodes.ok
    }
    const file = Path.resolve(options.outputFile ?? StoredSessions.pageOf(options.home, sessionId))
    yield* Effect.try({
      try: () => {
        if (options.outputFile === undefined) Directories.makeUnsafe(Path.dirname(file))
        writePrivate(file, page)
      },
      catch: (error) =>
        new CliError({ detail: `cannot write ${file}: ${reasonOf(error)}`, exitCode: Help.exitCodes.failed })
    })
    process.stdout.write(`${file}\n`)
    return Help.exitCodes.ok
  }).pipe(Effect.provide(Platform.journals(options.home)))

/** Writes a file that only its owner can read, whatever its mode was before. */
const writePrivate = (file: string, text: string): void => {
  Fs.writeFileSync(file, text, { mode: 0o600 })
  Fs.chmodSync(file, 0o600)
}

const load = async () => {
  const [Timeline, TimelinePage] = await Promise.all([
    import("@spindle/app/Timeline"),
    import("@spindle/app/TimelinePage")
  ])
  return { Timeline, TimelinePage }
}

const idOf = Effect.fnUntraced(function* (session: Resume, cwd: string) {
  if (session._tag === "Id") return yield* StoredSessions.find(session.id)
  const latest = yield* StoredSessions.findLatest(session.all ? {} : { cwd })
  if (latest !== undefined) return latest
  const detail = session.all ? "there is no session yet" : `there is no session of ${cwd} (--all: of any directory)`
  return yield* new CliError({ detail, exitCode: Help.exitCodes.failed })
})
