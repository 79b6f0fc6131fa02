/** The lifetime of a session: its scope closes it, and it fails when its journal fails. */
import type { Recorder } from "../log/recorder.ts"

/** The lifetime of one session. */
export class Lifetime {
  private closed = false
  private readonly recorder: Recorder
  constructor(recorder: Recorder) {
    this.recorder = recorder
  }

  /** True if the session takes submissions and starts tasks. */
  get isOpen(): boolean {
    return !this.closed && this.recorder.failure === undefined
  }

  /** True if the scope of the session is closing or closed. */
  get isClosed(): boolean {
    return this.closed
  }

  /** The reason why the session takes no submissions. It has no `failure` if the scope has closed the session. */
  get closedBy(): { readonly failure?: string } {
    const { failure } = this.recorder
    return failure === undefined ? {} : { failure: failure.message }
  }

  close(): void {
    this.closed = true
  }
}
