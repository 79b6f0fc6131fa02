/** The contexts that the `sessionStart` hooks add to the history of a session, once. */

/**
 * Tracks whether the contexts are in the history. The hooks run in the first turn, and again after a rollback that
 * removed the contexts.
 */
export class StartContexts {
  /** The number of the first record with them, -1 if the hooks added none; undefined until they are recorded. */
  private startContextsAt: number | undefined

  get isDue(): boolean {
    return this.startContextsAt === undefined
  }

  /** Notes that the contexts are about to be recorded, from this record number onwards. */
  onRecord(seq: number, count: number): void {
    this.startContextsAt = count === 0 ? -1 : seq
  }

  /** Notes that a rollback removed the turn that started with this record, and everything after it. */
  onRollback(startSeq: number): void {
    if (this.startContextsAt !== undefined && this.startContextsAt > startSeq) this.startContextsAt = undefined
  }
}
