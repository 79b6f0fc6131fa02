/**
 * The subscribers of one session. Each holds a bounded number of events. A subscriber that falls behind reads records
 * back from the journal and gets merged text. So it loses nothing, and it delays neither the session nor other
 * subscribers (contract W2). The memory of an idle session does not grow with the number of its turns (S8).
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { JournalWriter } from "../../ports/Journal.ts"
import type { JournalFailed } from "../../protocol/SessionError.ts"
import type { Delta, JournalRecord, SessionEvent, SessionFailed } from "../../protocol/SessionEvent.ts"
import { isDelta } from "../../protocol/SessionEvent.ts"

type NonEmpty = [SessionEvent, ...Array<SessionEvent>]
type Pulled = Effect.Effect<NonEmpty, Cause.Done | JournalFailed>

/** The number of records that a subscriber that is behind reads back at a time. */
const page = 256

const keyOf = (delta: Delta): string => (delta._tag === "ToolOutput" ? delta.callId : delta.itemId)

class Subscriber {
  pending: Array<SessionEvent> = []
  /** The next record that this subscriber has not received. */
  cursor: number
  /** True if records must be read back, or waited for, before events are taken live. */
  isBehind = true
  hasEnded = false
  /** True if it has received the failure of the session. */
  hasFailure = false
  /** The number of characters of each open text that it has received. */
  readonly seen = new Map<string, number>()
  waiting: (() => void) | undefined
  constructor(cursor: number) {
    // no record has a number that compares with NaN, so such a subscriber would wait forever
    this.cursor = Number.isNaN(cursor) ? 0 : cursor
  }

  // a subscriber that caught up while the event was offered to another one has the event already
  offer(event: Exclude<SessionEvent, Delta>, capacity: number): void {
    if (event._tag !== "SessionFailed" && !this.isBehind && event.seq >= this.cursor) {
      if (this.pending.length >= capacity) this.isBehind = true
      else {
        this.cursor = event.seq + 1
        this.pending.push(event)
      }
    }
    this.wake()
  }

  offerDelta(delta: Delta, capacity: number): void {
    this.hold(delta, capacity)
    this.wake()
  }

  private hold(delta: Delta, capacity: number): void {
    if (this.isBehind) return
    if (delta._tag !== "ToolOutput" && (this.seen.get(delta.itemId) ?? 0) > delta.offset) return
    const last = this.pending.at(-1)
    if (this.pending.length < capacity / 2) this.pending.push(delta)
    else if (
      last !== undefined &&
      isDelta(last) &&
      last._tag === delta._tag &&
      keyOf(last) === keyOf(delta) &&
      delta._tag !== "ToolOutput"
    ) {
      this.pending[this.pending.length - 1] = { ...last, text: last.text + delta.text } as Delta
    } else if (this.pending.length < capacity) this.pending.push(delta)
    else this.isBehind = true
  }

  wake(): void {
    const waiting = this.waiting
    this.waiting = undefined
    waiting?.()
  }

  /** Returns the events that wait, removes them, and notes the offsets of their texts. */
  take(): Array<SessionEvent> {
    const events = this.pending
    this.pending = []
    for (const event of events) this.note(event)
    return events
  }

  note(event: SessionEvent): void {
    if (isDelta(event)) this.seen.set(keyOf(event), event.offset + event.text.length)
    else if (event._tag === "ItemRecorded") {
      this.seen.delete(event.item._tag === "ToolResult" ? event.item.callId : event.item.id)
    }
  }

  /** Returns the text of open items that this subscriber missed while it was behind. */
  missedEvents(open: ReadonlyArray<Delta>): Array<SessionEvent> {
    return open.flatMap((all) => {
      const from = this.seen.get(keyOf(all)) ?? 0
      if (from >= all.text.length) return []
      const rest = { ...all, offset: from, text: all.text.slice(from) } as Delta
      this.note(rest)
      return [rest]
    })
  }
}

/** All text of an item that is not recorded yet. */
interface OpenText {
  readonly first: Delta
  text: string
}

/** The subscribers of one session. */
export class Subscribers {
  private readonly all = new Set<Subscriber>()
  private published = 0
  private isClosed = false
  private failed: SessionFailed | undefined
  /** The published text of items that are not recorded yet, for subscribers that join meanwhile or were behind. */
  private readonly open = new Map<string, OpenText>()
  /** Called with the change of the number of events that wait in memory. They are counted only if it is set. */
  onWaiting: ((change: number) => void) | undefined
  private waiting = 0
  private readonly capacity: number
  constructor(capacity: number, published: number) {
    this.capacity = capacity
    this.published = published
  }

  /** True if there is no subscriber. */
  get isEmpty(): boolean {
    return this.all.size === 0
  }

  private count(): void {
    if (this.onWaiting === undefined || this.isClosed) return
    let waiting = 0
    for (const one of this.all) waiting += one.pending.length
    const change = waiting - this.waiting
    if (change === 0) return
    this.waiting = waiting
    this.onWaiting(change)
  }

  /** Offers an event to every subscriber. */
  publish(event: SessionEvent): void {
    // text comes often, so it is counted with the next record
    if (isDelta(event)) return this.publishDelta(event)
    if (event._tag === "SessionFailed") this.failed = event
    else {
      this.published = event.seq + 1
      if (event._tag === "ItemRecorded") this.open.delete(event.item.id)
    }
    for (const one of this.all) one.offer(event, this.capacity)
    this.count()
  }

  private publishDelta(delta: Delta): void {
    this.keep(delta)
    for (const one of this.all) one.offerDelta(delta, this.capacity)
  }

  private keep(delta: Delta): void {
    if (delta._tag === "ToolOutput") return
    const open = this.open.get(delta.itemId)
    if (open === undefined) this.open.set(delta.itemId, { first: delta, text: delta.text })
    else open.text += delta.text
  }

  /** Ends every stream once it has emitted the events that it holds. */
  end(): void {
    this.isClosed = true
    for (const one of this.all) {
      one.hasEnded = true
      one.wake()
    }
  }

  /** Returns the events from the record `from` onwards, as a stream that ends with the session. */
  stream(from: number, writer: JournalWriter): Stream.Stream<SessionEvent, JournalFailed> {
    return Stream.unwrap(
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => {
            const one = new Subscriber(from)
            one.hasEnded = this.isClosed
            this.all.add(one)
            return one
          }),
          (one) =>
            Effect.sync(() => {
              this.all.delete(one)
              this.count()
            })
        ),
        (one) => Stream.fromPull(Effect.succeed(this.pull(one, writer)))
      )
    )
  }

  private pull(one: Subscriber, writer: JournalWriter): Pulled {
    const next: Pulled = Effect.suspend((): Pulled => {
      if (one.pending.length > 0) {
        const events = one.take()
        this.count()
        return Effect.succeed(events as NonEmpty)
      }
      if (one.isBehind && one.cursor < this.published) return this.readBack(one, writer)
      // a subscriber that is ahead of what was published stays behind until the records catch up, so that deltas keep
      // their place between records
      if (one.isBehind && one.cursor === this.published) {
        one.isBehind = false
        const missed = one.missedEvents(Array.from(this.open.values(), ({ first, text }) => ({ ...first, text })))
        if (missed.length > 0) return Effect.succeed(missed as NonEmpty)
      }
      if (one.hasEnded) {
        if (this.failed === undefined || one.hasFailure) return Cause.done()
        one.hasFailure = true
        return Effect.succeed<NonEmpty>([this.failed])
      }
      return wait
    })
    // no finalizer is needed: after an interruption the stale callback runs at most once and does nothing
    const wait: Pulled = Effect.callback((resume) => {
      // checked again atomically with the registration, because an event in between has woken no fiber
      // mutant check-events-and-wait (W2: a subscriber checks for events atomically with registration): false
      if (one.pending.length > 0 || one.hasEnded || (one.isBehind && one.cursor <= this.published)) {
        return resume(next)
      }
      one.waiting = () => resume(next)
    })
    return next
  }

  private readBack(one: Subscriber, writer: JournalWriter): Pulled {
    return Effect.flatMap(writer.read(one.cursor, page), (records: ReadonlyArray<JournalRecord>) => {
      // a journal that retains only its latest records cannot return older ones
      if (records.length === 0) one.cursor = this.published
      else one.cursor = records.at(-1)!.seq + 1
      for (const record of records) one.note(record)
      return records.length === 0 ? this.pull(one, writer) : Effect.succeed(records.slice() as NonEmpty)
    })
  }
}
