/** Tool calls that fail again and again with the same arguments in one turn (contract S10). */
import type { ToolCall, ToolStatus } from "../protocol/Item.ts"

type Call = Pick<ToolCall, "name" | "params">

/** The failures of one turn. A call that completes forgets them: what failed before may now succeed. */
export class RepeatedFailures {
  private readonly counts = new Map<string, number>()
  private readonly limit: number
  constructor(limit: number) {
    this.limit = limit
  }

  /** Returns the notice for the model if the call has failed too often to run again. */
  noticeFor(call: Call): string | undefined {
    const failuresCount = this.counts.get(keyOf(call)) ?? 0
    return failuresCount < this.limit
      ? undefined
      : `${call.name} was not run: it has failed ${failuresCount} times with these arguments, and nothing has changed since. Use other arguments or another approach, or explain what blocks you.`
  }

  /** Notes how a call has ended. */
  note(call: Call, status: ToolStatus): void {
    if (status === "completed") this.counts.clear()
    else if (status === "failed") this.counts.set(keyOf(call), (this.counts.get(keyOf(call)) ?? 0) + 1)
  }
}

const keyOf = ({ name, params }: Call): string => JSON.stringify([name, params])
