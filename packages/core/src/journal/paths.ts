/** Names and paths of journal files: pure functions of a directory, a session id and a day. */
import type { SessionId } from "../protocol/Ids.ts"

const suffix = ".jsonl"
const takenSuffix = ".taken"

/** Returns the name of the journal of a session. Characters that a file name cannot have are percent-encoded. */
export const fileName = (sessionId: SessionId): string => encodeURIComponent(sessionId) + suffix

/** Returns the session whose journal has the name of this path; undefined if no journal can have this name. */
export const sessionOf = (path: string): SessionId | undefined => {
  const name = path.slice(path.lastIndexOf("/") + 1)
  try {
    const sessionId = decodeURIComponent(name.slice(0, -suffix.length)) as SessionId
    return fileName(sessionId) === name ? sessionId : undefined
  } catch {
    // not percent-encoded text
    return undefined
  }
}

/** Returns the folder of the day on which an id of version 7 was made; undefined for other ids. */
export const dayOf = (sessionId: SessionId): string | undefined => {
  const match = /^([\da-f]{8})-([\da-f]{4})-7/.exec(sessionId)
  return match === null ? undefined : dayAt(Number.parseInt(match[1]! + match[2]!, 16))
}

/** Returns the folder of a day: `YYYY/MM/DD` in UTC. */
export const dayAt = (timeMillis: number): string =>
  new Date(timeMillis).toISOString().slice(0, 10).replaceAll("-", "/")

/** Returns the path of a journal. */
export const journalPath = (directory: string, day: string, sessionId: SessionId): string =>
  `${directory}/${day}/${fileName(sessionId)}`

/** Returns the path of the empty file that marks a journal as archived. */
export const archivedPath = (path: string): string => `${path}.archived`

/** Returns the path of the file with the title of a journal, so that a list need not read the journal. */
export const titlePath = (path: string): string => `${path}.title`

/** Returns the path of the empty file whose inode names the current writer of a journal. */
export const fencePath = (path: string): string => `${path}.fence`

/** Returns the path of a file with bytes that were cut off the end of a journal. */
export const cutPath = (path: string, cut: { readonly bytes: number; readonly timeMillis: number }): string =>
  `${path}.cut-${cut.bytes}-${cut.timeMillis}`

/** Returns the path that an earlier version gave a journal while it copied it; {@link copyPath} is that of the copy. */
export const takenPath = (path: string): string => path + takenSuffix
/** @see {@link takenPath} */
export const copyPath = (path: string): string => `${path}.new`

/** Returns whether a file name is that of the journal of a session, or of a file that belongs to it. */
export const belongsTo = (name: string, sessionId: SessionId): boolean => {
  const journal = fileName(sessionId)
  return (
    name.startsWith(journal) && /^(\.(archived|title|fence|taken|new|cut-\d+-\d+))?$/.test(name.slice(journal.length))
  )
}

/** Returns the path of a journal from its path or from its {@link takenPath}. */
export const originalPath = (path: string): string =>
  path.endsWith(suffix + takenSuffix) ? path.slice(0, -takenSuffix.length) : path
