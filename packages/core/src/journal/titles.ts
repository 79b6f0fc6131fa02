/** The file next to a journal that repeats its title. If they differ, the records of the journal are right. */
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import { isNotFound, type Files } from "./files.ts"
import * as Paths from "./paths.ts"

/** Reads the title of a journal. */
export const read = ({ fs }: Files, path: string): Effect.Effect<string | undefined, PlatformError> =>
  Effect.catchIf(fs.readFileString(Paths.titlePath(path)), isNotFound, () => Effect.undefined)

/** Writes the title of a journal. The records are durable already, so a failure affects only lists, and is logged. */
export const write = ({ fs }: Files, path: string, title: string | undefined): Effect.Effect<void> => {
  const file = Paths.titlePath(path)
  const writing =
    title === undefined ? fs.remove(file, { force: true }) : fs.writeFileString(file, title, { mode: 0o600 })
  return Effect.catch(writing, (error) => Effect.logWarning(`cannot write the title ${file}: ${error.message}`))
}

/** Writes the title of a journal that was opened, if the file has another one. */
export const repair = (files: Files, path: string, title: string): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.catch(read(files, path), () => Effect.undefined),
    (found) => (found === title ? Effect.void : write(files, path, title))
  )
