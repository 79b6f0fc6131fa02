/**
 * The processes of a session as its journal shows them, for a program that does not run the session. A process that the
 * journal does not record as ended may have ended with its host: ask `ProcessGroups.isAlive`.
 */
import type { ProcessId } from "@spindle/core/Ids"
import type { JournalRecord } from "@spindle/core/SessionEvent"

/** A process that is not recorded as ended. */
export interface StoredProcess {
  readonly processId: ProcessId
  readonly command: ReadonlyArray<string>
  readonly cwd: string
  /** When it was started, in milliseconds since 1970. */
  readonly startedAt: number
  /** What the calls of the agent have read of its output. */
  readonly output: string
}

/** Returns the processes of a journal, the oldest first. */
export const of = (records: ReadonlyArray<JournalRecord>): ReadonlyArray<StoredProcess> => {
  const running = new Map<ProcessId, StoredProcess>()
  for (const record of records) {
    switch (record._tag) {
      case "ProcessStarted": {
        const { at, command, cwd, processId } = record
        running.set(processId, { processId, command, cwd, startedAt: at, output: "" })
        break
      }
      case "ProcessEnded":
        running.delete(record.processId)
        break
      case "ItemRecorded": {
        const detail = record.item._tag === "ToolResult" ? record.item.detail : undefined
        if (detail?._tag !== "Command" || detail.processId === undefined) break
        const process = running.get(detail.processId)
        if (process !== undefined) running.set(detail.processId, { ...process, output: process.output + detail.output })
        break
      }
    }
  }
  return Array.from(running.values())
}
