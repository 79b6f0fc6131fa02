/**
 * Finds the processes of a session in its journal, for a program that does not run the session.
 */
import type { CallId, ProcessId, SessionId } from "@spindle/core/Ids"
import { Journal } from "@spindle/core/Journal"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as ProcessGroups from "@spindle/tools/ProcessGroups"
import * as Effect from "effect/Effect"
import * as LiveOutput from "../processes/liveOutput.ts"

/** A process that is not recorded as ended. */
export interface StoredProcess {
  readonly processId: ProcessId
  readonly command: ReadonlyArray<string>
  /** The command line of the call that started it, else its words. */
  readonly title: string
  readonly cwd: string
  /** The time at which it was started, in milliseconds since 1970. */
  readonly startedAt: number
  /** The output that the calls of the agent have read. */
  readonly output: string
}

/** Returns the processes of a session that live, the oldest first. **Errors**: those of `Journal.load`. */
export const listLiving = Effect.fnUntraced(function* (sessionId: SessionId) {
  const journal = yield* Journal
  const groups = yield* ProcessGroups.ProcessGroups
  const { records } = yield* journal.load(sessionId)
  return yield* Effect.filter(of(records), ({ processId }) => groups.isAlive(processId))
})

/**
 * Returns the last output of a process that a program with this home runs, including output that the agent has not
 * read; undefined if no such program replies.
 */
export const tail: (home: string, processId: ProcessId) => Effect.Effect<string | undefined> = LiveOutput.read

/** Returns the processes without a recorded end in a journal, the oldest first. They may have ended with their host. */
export const of = (records: ReadonlyArray<JournalRecord>): ReadonlyArray<StoredProcess> => {
  const running = new Map<ProcessId, StoredProcess>()
  const lines = new Map<CallId, string>()
  for (const record of records) {
    switch (record._tag) {
      case "ProcessStarted": {
        const { at, callId, command, cwd, processId } = record
        const title = (callId === undefined ? undefined : lines.get(callId)) ?? command.join(" ")
        running.set(processId, { processId, command, title, cwd, startedAt: at, output: "" })
        break
      }
      case "ProcessEnded":
        running.delete(record.processId)
        break
      case "ItemRecorded": {
        const { item } = record
        if (item._tag === "ToolCall" && item.display?._tag === "Command") lines.set(item.callId, item.display.command)
        const detail = item._tag === "ToolResult" ? item.detail : undefined
        if (detail?._tag !== "Command" || detail.processId === undefined) break
        const process = running.get(detail.processId)
        if (process !== undefined) running.set(detail.processId, { ...process, output: process.output + detail.output })
        break
      }
    }
  }
  return Array.from(running.values())
}
