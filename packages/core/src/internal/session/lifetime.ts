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

  close(): void {
    this.closed = true
  }
}
