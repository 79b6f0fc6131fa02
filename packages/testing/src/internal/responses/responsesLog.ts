/** What a server has seen so far, and who waits to see more. */
import * as Effect from "effect/Effect"

/**
 * A request. `body` is the parsed JSON, or the text when it is not JSON; `path` has the query in it; header names are lower
 * case. `end` says how the answer ended, and is undefined while it has not: `completed`, `closed early` (by the client),
 * `failed by script`, `incomplete by script`, `dropped by script`, `http 429` and the like, or `script error: ...`.
 */
export interface LoggedRequest {
  readonly method: string
  readonly path: string
  readonly headers: { readonly [name: string]: string | ReadonlyArray<string> | undefined }
  readonly body: any
  readonly end: string | undefined
}

/** A log that can be waited on. */
export class ResponsesLog {
  readonly requests: Array<LoggedRequest> = []
  readonly others: Array<LoggedRequest> = []
  private readonly waiters = new Set<() => void>()

  /** Adds a request; answers the function that records its end, once. */
  add(list: "requests" | "others", request: Omit<LoggedRequest, "end">): (how: string) => void {
    const entry = { ...request, end: undefined as string | undefined }
    this[list].push(entry)
    this.wake()
    return (how) => {
      if (entry.end !== undefined) return
      entry.end = how
      this.wake()
    }
  }

  /** Waits until `look` finds something. **Interruption**: stops only the wait. */
  when<A>(look: () => A | undefined): Effect.Effect<A> {
    return Effect.callback<A>((resume) => {
      const check = () => {
        const found = look()
        if (found === undefined) return
        this.waiters.delete(check)
        resume(Effect.succeed(found))
      }
      this.waiters.add(check)
      check()
      return Effect.sync(() => this.waiters.delete(check))
    })
  }

  private wake() {
    for (const check of Array.from(this.waiters)) check()
  }
}
