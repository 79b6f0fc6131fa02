/** The requests that a server has received so far, and the fibers that wait for more. */
import * as Effect from "effect/Effect"

/**
 * A request. `body` is the parsed JSON, or the text if it is not JSON. `path` includes the query. Header names are in
 * lower case. `end` says how the response ended, and is undefined until it has: `completed`, `closed early` (by the
 * client), `failed by script`, `incomplete by script`, `dropped by script`, `http 429` and the like, or `script error:
 * ...`.
 */
export interface LoggedRequest {
  readonly method: string
  readonly path: string
  readonly headers: { readonly [name: string]: string | ReadonlyArray<string> | undefined }
  readonly body: any
  readonly end: string | undefined
}

/** A log of requests, with waits for its changes. */
export class ResponsesLog {
  readonly requests: Array<LoggedRequest> = []
  readonly others: Array<LoggedRequest> = []
  private readonly waiters = new Set<() => void>()

  /** Adds a request. Returns the function that records its end, once. */
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

  /** Waits until `look` finds something. **Interruption** stops only the wait. */
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
