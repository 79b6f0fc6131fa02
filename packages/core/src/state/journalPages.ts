/** Pages of a list of journals, the latest first, and the cursors between them. */
import type { SessionId } from "../protocol/Ids.ts"
import type { JournalEntry, JournalFilter, JournalPage } from "../protocol/JournalEntry.ts"
import { JournalFailed } from "../protocol/SessionError.ts"

/** A place in the list. */
export type Place = Pick<JournalEntry, "sessionId" | "updatedAt">

/** The place before the first entry. */
const beginning: Place = { updatedAt: Infinity, sessionId: "" as SessionId }

/** Returns the place after which the page of a cursor starts; undefined if the cursor is not from a page. */
export const startOf = (cursor: string | undefined): Place | undefined => {
  if (cursor === undefined) return beginning
  const match = /^(\d+)\/(.*)$/s.exec(cursor)
  return match === null ? undefined : { updatedAt: Number(match[1]), sessionId: match[2] as SessionId }
}

/** Makes the error for a cursor that is not from a page. */
export const malformedCursor = (cursor: string | undefined): JournalFailed =>
  new JournalFailed({ sessionId: "*" as SessionId, operation: "list", detail: `${cursor} is not a cursor of a page` })

/** Returns whether a filter selects an entry with this id and time. */
export const selectsPlace = (
  { prefix = "", updatedBefore = Infinity, updatedFrom = -Infinity }: JournalFilter,
  { sessionId, updatedAt }: Place
): boolean => sessionId.startsWith(prefix) && updatedAt >= updatedFrom && updatedAt < updatedBefore

/** Returns whether a filter selects an entry with this title. */
export const selectsTitle = ({ title: wanted }: JournalFilter, title: string | undefined): boolean =>
  wanted === undefined || (title?.toLowerCase().includes(wanted.toLowerCase()) ?? false)

/** Returns the entries after a place, in order. */
export const sortFrom = <A extends Place>(start: Place, entries: ReadonlyArray<A>): ReadonlyArray<A> =>
  entries.filter((entry) => compare(start, entry) < 0).sort(compare)

/** Returns the first page of these entries. */
export const pageOf = (entries: ReadonlyArray<JournalEntry>, limit = Infinity): JournalPage => {
  const page = entries.slice(0, limit)
  const last = page.at(-1)
  return last === undefined || page.length === entries.length
    ? { entries: page }
    : { entries: page, next: `${last.updatedAt}/${last.sessionId}` }
}

// later ids of version 7 are larger
const compare = (a: Place, b: Place): number =>
  b.updatedAt - a.updatedAt || (a.sessionId < b.sessionId ? 1 : a.sessionId > b.sessionId ? -1 : 0)
