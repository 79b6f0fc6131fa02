/** Whether a session is open. It is closed by its scope, and fails with its journal. */
import type { Recorder } from "../log/recorder.ts"

/** The life of one session. */
export class Lifetime {
  private closed = false
  private readonly recorder: Recorder
  constructor(recorder: Recorder) {
    this.recorder = recorder
  }

  /** Whether the session takes submissions and starts tasks. */
  get isOpen(): boolean {
    return !this.closed && this.recorder.failure === undefined
  }

  /** Whether the scope of the session is closing or closed. */
  get isClosed(): boolean {
    return this.closed
  }

  /** Why it takes no submissions; no `failure` if its scope has closed it. */
  get closedBy(): { readonly failure?: string } {
    const { failure } = this.recorder
    return failure === undefined ? {} : { failure: failure.message }
  }

  close(): void {
    this.closed = true
  }
}
