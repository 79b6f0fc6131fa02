/** Counts tool calls that fail repeatedly with the same arguments in one turn (contract S10). */
import type { ToolCall, ToolStatus } from "../protocol/Item.ts"

type Call = Pick<ToolCall, "name" | "params">

/** The failures of one turn. A completed call resets them, because a call that failed before may now succeed. */
export class RepeatedFailures {
  private readonly counts = new Map<string, number>()
  private readonly limit: number
  constructor(limit: number) {
    this.limit = limit
  }

  /** Returns a notice for the model if the call has failed too often to run again. */
  noticeFor(call: Call): string | undefined {
    const failuresCount = this.counts.get(keyOf(call)) ?? 0
    return failuresCount < this.limit
      ? undefined
      : `${call.name} was not run: it has failed ${failuresCount} times with these arguments, and nothing has changed since. Use other arguments or another approach, or explain what blocks you.`
  }

  /** Counts the end of a call. */
  note(call: Call, status: ToolStatus): void {
    if (status === "completed") this.counts.clear()
    else if (status === "failed") this.counts.set(keyOf(call), (this.counts.get(keyOf(call)) ?? 0) + 1)
  }
}

const keyOf = ({ name, params }: Call): string => JSON.stringify([name, params])
