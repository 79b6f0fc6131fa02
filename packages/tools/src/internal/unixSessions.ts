/**
 * The Unix sessions of the processes of a command. A command leads a session, and what it starts is in it or makes another
 * one, so that the members of these sessions belong to the command, whatever they carry in their environment. The session of
 * a process that only carries the marker may be that of a service, which starts programs with the environment of a caller:
 * an editor, a build daemon.
 */
import * as Effect from "effect/Effect"
import { markerName, valueOf } from "./marks.ts"
import { birthOf, type Entry, entryOf } from "./processEntry.ts"

interface Session {
  /** Until when it is kept although it shows no member, in milliseconds of the monotonic clock. */
  readonly until: number
  /** The birth of the oldest member that was seen. */
  readonly oldest: number
}

/** The sessions of the processes that were found, from look to look. */
export class UnixSessions {
  private readonly found = new Map<number, Session>()
  private readonly reused = new Set<number>()

  constructor(first: number | undefined, until: number) {
    if (first !== undefined) this.found.set(first, { until, oldest: Infinity })
  }

  has(session: number): boolean {
    return this.found.has(session)
  }

  /** Returns true if the number of a session has been used again. */
  isReused(session: number): boolean {
    return this.reused.has(session)
  }

  /** Adds the session of a process, or notes that it has a member. Returns true if it is new. */
  add(entry: Entry, until: number): boolean {
    const known = this.found.get(entry.session)
    this.found.set(entry.session, { until, oldest: Math.min(known?.oldest ?? Infinity, birthOf(entry)) })
    return known === undefined
  }

  /** Removes those without a member: another session may get the number. */
  forget(millis: number): void {
    for (const [session, { until }] of this.found) if (until <= millis) this.found.delete(session)
  }

  /**
   * Removes those whose number has been used again: no process gets the number of a session that has a member, and the one
   * that leads a session is the oldest. `statOf` returns an empty text if there is no such process.
   */
  forgetReused(statOf: (pid: number) => Effect.Effect<string>): Effect.Effect<void> {
    return Effect.forEach(
      Array.from(this.found),
      ([session, { oldest }]) =>
        Effect.map(statOf(session), (stat) => {
          if (stat === "" || birthOf(entryOf(session, stat)) <= oldest) return
          this.found.delete(session)
          this.reused.add(session)
        }),
      { discard: true }
    )
  }
}

/** The sessions as one look sees them. */
export class LookedSessions {
  /** True if a session was found that was not known before. */
  hasNew = false
  private readonly all: UnixSessions
  private readonly until: number
  /** The sessions that are not of the command. */
  private readonly strange: Set<number>
  private undecided: Array<Entry> = []

  constructor(all: UnixSessions, host: number, until: number) {
    this.all = all
    this.until = until
    this.strange = new Set([0, host])
  }

  has(session: number): boolean {
    return this.all.has(session)
  }

  /** Adds the session of a process that was found, if it is known to be of the command. */
  add(entry: Entry): void {
    if (entry.pid === entry.session || this.has(entry.session)) this.addKnown(entry)
    else this.undecided.push(entry)
  }

  private addKnown(entry: Entry): void {
    if (this.all.add(entry, this.until)) this.hasNew = true
  }

  /** Notes that a session is not of the command, although a process of it may carry the marker. */
  exclude(session: number | undefined): void {
    if (session !== undefined) this.strange.add(session)
  }

  /** Returns true if a process is in a session that another process has shown not to be of the command. */
  isStrange({ pid, session }: Entry): boolean {
    return pid !== session && this.strange.has(session)
  }

  /** Adds the sessions of the processes that were found, when all are read. Returns the processes whose sessions were added. */
  decide(): ReadonlyArray<Entry> {
    const decided = this.undecided.filter((entry) => !this.isStrange(entry))
    this.undecided = []
    for (const entry of decided) this.addKnown(entry)
    return decided
  }
}

/**
 * Returns the session of a process without the marker if that shows that the session is not of the command: the process leads
 * it, or is of another command. A leader that has written over its environment, as a program does that changes its title,
 * shows nothing. `environment` is null if it is hidden, and undefined if it could not be read.
 */
export const strangeSessionOf = (
  { pid, session }: Entry,
  environment: string | null | undefined
): number | undefined => {
  const isStrange =
    pid === session
      ? environment == null || environment === "" || environment.includes("=")
      : environment != null && valueOf(environment, markerName) !== undefined
  return isStrange ? session : undefined
}
