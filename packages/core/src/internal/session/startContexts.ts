/** The contexts that the hooks on the start of a session add to its history, once. */

/** Whether the contexts are in the history. The hooks are asked in the first turn, and after a rollback removed them. */
export class StartContexts {
  /** The number of the first record with them, -1 if the hooks added none; undefined until they are recorded. */
  private startContextsAt: number | undefined

  get isDue(): boolean {
    return this.startContextsAt === undefined
  }

  /** The contexts are about to be recorded, from this record number onwards. */
  recordedAt(seq: number, count: number): void {
    this.startContextsAt = count === 0 ? -1 : seq
  }

  /** A rollback removed the turn that started with this record, and everything after it. */
  rolledBackTo(startSeq: number): void {
    if (this.startContextsAt !== undefined && this.startContextsAt > startSeq) this.startContextsAt = undefined
  }
}
