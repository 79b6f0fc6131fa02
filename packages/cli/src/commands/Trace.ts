/**
 * `spindle trace`: writes one session as an HTML page, from its journal alone.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as StoredSessions from "@spindle/app/StoredSessions"
import { Journal } from "@spindle/core/Journal"
import type { SessionId } from "@spindle/core/Ids"
import type { JournalFailed, SessionNotFound } from "@spindle/core/SessionError"
import * as Effect from "effect/Effect"
import type { Resume } from "../args/Arguments.ts"
import * as Help from "../args/Help.ts"
import { CliError } from "./CliError.ts"
import { warnOfDamage } from "./damage.ts"
import * as Platform from "./Platform.ts"
import { reasonOf } from "./TurnInput.ts"

/** Writes the page to a file, by default `spindle-ID.html` in the current directory; `-` is stdout. */
export const run = (options: {
  readonly home: string
  readonly session: Resume
  readonly outputFile: string | undefined
}): Effect.Effect<number, SessionNotFound | JournalFailed | CliError> =>
  Effect.gen(function* () {
    const { Timeline, TimelinePage } = yield* Effect.promise(load)
    const journal = yield* Journal
    const sessionId = yield* idOf(options.session)
    const opened = yield* journal.load(sessionId)
    warnOfDamage(opened)
    const { records } = opened
    const page = TimelinePage.render(Timeline.make(sessionId, records))
    if (options.outputFile === "-") {
      process.stdout.write(page)
      return Help.exitCodes.ok
    }
    const file = Path.resolve(options.outputFile ?? `spindle-${sessionId}.html`)
    yield* Effect.try({
      try: () => Fs.writeFileSync(file, page),
      catch: (error) =>
        new CliError({ detail: `cannot write ${file}: ${reasonOf(error)}`, exitCode: Help.exitCodes.failed })
    })
    process.stdout.write(`${file}\n`)
    return Help.exitCodes.ok
  }).pipe(Effect.provide(Platform.journals(options.home)))

const load = async () => {
  const [Timeline, TimelinePage] = await Promise.all([
    import("@spindle/telemetry/Timeline"),
    import("@spindle/telemetry/TimelinePage")
  ])
  return { Timeline, TimelinePage }
}

const idOf = Effect.fnUntraced(function* (session: Resume) {
  if (session._tag === "Id") return session.id as SessionId
  const latest = yield* StoredSessions.latest
  if (latest !== undefined) return latest
  return yield* new CliError({ detail: "there is no session yet", exitCode: Help.exitCodes.failed })
})
