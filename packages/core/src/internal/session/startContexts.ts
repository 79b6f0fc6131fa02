/** The contexts that the hooks on the start of a session add to its history, once. */

/** Whether the contexts are in the history. The hooks are asked in the first turn, and after a rollback took them away. */
export class StartContexts {
  /** Where in the history they begin, -1 if the hooks added none; undefined until they are recorded. */
  private startContextsAt: number | undefined

  get isDue(): boolean {
    return this.startContextsAt === undefined
  }

  /** The contexts are about to be recorded at the end of a history of this length. */
  recordedAt(historyLength: number, count: number): void {
    this.startContextsAt = count === 0 ? -1 : historyLength
  }

  /** The history was cut to this length. */
  truncated(historyLength: number): void {
    if (this.startContextsAt !== undefined && this.startContextsAt >= historyLength) this.startContextsAt = undefined
  }
}
