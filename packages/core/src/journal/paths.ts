/** Names and paths of journal files: pure functions of a directory, a session id and a day. */
import type { SessionId } from "../protocol/Ids.ts"

const suffix = ".jsonl"
const takenSuffix = ".taken"

/** The name of the journal of a session. Characters that a file name cannot have are percent-encoded. */
export const fileName = (sessionId: SessionId): string => encodeURIComponent(sessionId) + suffix

/** The session whose journal has this path, by its name alone; undefined if no session's journal is named so. */
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

/** The folder of the day on which an id of version 7 was drawn; undefined for other ids. */
export const dayOf = (sessionId: SessionId): string | undefined => {
  const match = /^([\da-f]{8})-([\da-f]{4})-7/.exec(sessionId)
  return match === null ? undefined : dayAt(Number.parseInt(match[1]! + match[2]!, 16))
}

/** The folder of a day: `YYYY/MM/DD` in UTC. */
export const dayAt = (timeMillis: number): string =>
  new Date(timeMillis).toISOString().slice(0, 10).replaceAll("-", "/")

/** The path of a journal. */
export const journalPath = (directory: string, day: string, sessionId: SessionId): string =>
  `${directory}/${day}/${fileName(sessionId)}`

/** The empty file that marks a journal as archived. */
export const archivedPath = (path: string): string => `${path}.archived`

/** The file with the title of a journal, so that a list need not read the journal. */
export const titlePath = (path: string): string => `${path}.title`

/** The empty file whose inode names the current writer of a journal. */
export const fencePath = (path: string): string => `${path}.fence`

/** The file that keeps bytes that were cut off the end of a journal. */
export const cutPath = (path: string, cut: { readonly bytes: number; readonly timeMillis: number }): string =>
  `${path}.cut-${cut.bytes}-${cut.timeMillis}`

/** The names that earlier versions gave a journal while they copied it, and to the copy. */
export const takenPath = (path: string): string => path + takenSuffix
/** @see {@link takenPath} */
export const copyPath = (path: string): string => `${path}.new`

/** Whether a file name is that of the journal of a session, or of a file that is kept for it. */
export const belongsTo = (name: string, sessionId: SessionId): boolean => {
  const journal = fileName(sessionId)
  return (
    name.startsWith(journal) && /^(\.(archived|title|fence|taken|new|cut-\d+-\d+))?$/.test(name.slice(journal.length))
  )
}

/** The path of a journal, given its path or the one that an earlier version gave it while it copied it. */
export const settledPath = (path: string): string =>
  path.endsWith(suffix + takenSuffix) ? path.slice(0, -takenSuffix.length) : path
