/**
 * The commands of sessions, and those that run in the background. A command whose call returned before it ended is kept
 * under a number until a call has read its end, it is removed to make room, or its session closes.
 *
 * The output of each command is read from its start to its end, whether a call waits for it or not, and the part that
 * no call has returned yet is bounded (contract X4).
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ProcessId, SessionId } from "@spindle/core/Ids"
import { type Process, type ProcessExit, Processes } from "@spindle/core/Processes"
import type { TurnSession } from "@spindle/core/Turn"
import * as BoundedOutput from "./BoundedOutput.ts"
import * as Utf8 from "./Utf8.ts"

/** The most commands that a session has in the background. */
export const maxCount = 64
/** The number of commands at which the model is first warned. */
export const warningCount = 60
/** The number of commands that were used last and are not removed to make room. */
const protectedCount = 8
/** The length of the last output of a command that `Command.tail` returns, in bytes. */
const tailBytes = 40_000
/** The time that a command may take to end after TERM, before it is killed, in milliseconds. */
const graceMillis = 500
/** The numbers of commands: from `min` to `max`. */
const numbers = { min: 1_000, max: 99_999 }

/** The facts about a command when it starts. */
export interface About {
  /** The command line, for people. */
  readonly command: string
  readonly cwd: string
  /** The time that it may run; undefined for no limit. A command that runs longer is ended with its descendants. */
  readonly timeout?: Duration.Input | undefined
}

/** The end of a command. */
export interface Ending {
  readonly exit: ProcessExit
  /** The limit that it exceeded. */
  readonly timeout?: Duration.Duration
}

/** A command that was started. */
export interface Command {
  readonly about: About
  readonly process: Process
  /** The time of its start, in milliseconds since 1970. */
  readonly startedAt: number
  /** Waits until it has ended and its output is complete. **Interruption** stops only the wait. */
  readonly ended: Effect.Effect<Ending>
  /** Returns its end; undefined while it runs. */
  readonly ending: () => Ending | undefined
  /** Ends it with its descendants. **Interruption** stops only the wait. */
  readonly end: Effect.Effect<void>
  /** Returns the output that no call has taken yet. */
  readonly peek: () => BoundedOutput.BoundedOutput
  /** Returns the same and counts it as taken. */
  readonly take: () => BoundedOutput.BoundedOutput
  /** Returns the last output, whether it was taken or not. */
  readonly tail: () => string
  /** Calls `publish` with the text of its output as it arrives, while `effect` runs. */
  readonly publishDuring: <A, E, R>(
    publish: (text: string) => Effect.Effect<void>,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
}

/** A command in the background of its session. */
export interface BackgroundCommand {
  /** Names it for the model. */
  readonly number: number
  readonly command: Command
}

/** A command that was put into the background. */
export interface Added {
  readonly number: number
  /** The number of commands that the session now has in the background. */
  readonly count: number
}

/** The commands of all sessions of a host. */
export interface Commands {
  /** Reads the output of a process that was started, and ends the process at its time limit. */
  readonly start: (process: Process, about: About) => Effect.Effect<Command>
  /**
   * Puts a command into the background of its session. If the session has 64 already, the least recently used one is
   * removed first, and ended if it runs: one that has ended before one that runs, and none of the 8 that were used
   * last.
   */
  readonly add: (session: Pick<TurnSession, "sessionId" | "scope">, command: Command) => Effect.Effect<Added>
  /** Returns a command of a session and counts as a use of it; undefined if there is none with this number. */
  readonly use: (sessionId: SessionId, number: number) => Effect.Effect<Command | undefined>
  /** Removes a command from the background. It is not ended. */
  readonly remove: (sessionId: SessionId, number: number) => Effect.Effect<void>
  /** Returns the command of a process that was started here and has not ended; undefined if there is none. */
  readonly find: (processId: ProcessId) => Effect.Effect<Command | undefined>
  /** The commands in the background of a session, the least recently used first. */
  readonly list: (sessionId: SessionId) => Effect.Effect<ReadonlyArray<BackgroundCommand>>
}

/** The service key of {@link Commands}. */
export const Commands: Context.Service<Commands, Commands> = Context.Service("@spindle/tools/Commands")

/**
 * Keeps the commands of sessions. Closing the layer stops the reading. It ends no process, because processes belong to
 * turns and sessions.
 */
export const layer: Layer.Layer<Commands, never, Processes> = Layer.effect(
  Commands,
  Effect.gen(function* () {
    const processes = yield* Processes
    const fibers = yield* FiberSet.make()
    /** The commands by session, each map in the order of their use. */
    const sessions = new Map<SessionId, Map<number, Command>>()
    const running = new Map<ProcessId, Command>()
    const commandsOf = (sessionId: SessionId): ReadonlyMap<number, Command> => sessions.get(sessionId) ?? new Map()
    return {
      start: Effect.fnUntraced(function* (process, about) {
        const command = yield* start({ processes, fibers }, process, about)
        running.set(process.processId, command)
        yield* FiberSet.run(
          fibers,
          Effect.andThen(
            command.ended,
            Effect.sync(() => running.delete(process.processId))
          )
        )
        return command
      }),
      add: Effect.fnUntraced(function* ({ scope, sessionId }, command) {
        let commands = sessions.get(sessionId)
        if (commands === undefined) {
          yield* Scope.addFinalizer(
            yield* scope,
            Effect.sync(() => sessions.delete(sessionId))
          )
          commands = new Map()
          sessions.set(sessionId, commands)
        }
        if (commands.size >= maxCount) {
          const removed = toRemove(commands)
          const found = commands.get(removed)!
          commands.delete(removed)
          if (found.ending() === undefined) yield* FiberSet.run(fibers, found.end)
        }
        const number = yield* newNumber(commands)
        commands.set(number, command)
        return { number, count: commands.size }
      }),
      use: (sessionId, number) =>
        Effect.sync(() => {
          const commands = sessions.get(sessionId)
          const command = commands?.get(number)
          if (commands === undefined || command === undefined) return undefined
          commands.delete(number)
          commands.set(number, command)
          return command
        }),
      remove: (sessionId, number) => Effect.sync(() => void sessions.get(sessionId)?.delete(number)),
      find: (processId) => Effect.sync(() => running.get(processId)),
      list: (sessionId) =>
        Effect.sync(() => Array.from(commandsOf(sessionId), ([number, command]) => ({ number, command })))
    }
  })
)

/** Chooses the command that makes room: the least recently used that has ended, or else the least recently used. */
const toRemove = (commands: ReadonlyMap<number, Command>): number => {
  const candidates = Array.from(commands).slice(0, commands.size - protectedCount)
  const [number] = candidates.find(([, command]) => command.ending() !== undefined) ?? candidates[0]!
  return number
}

const newNumber = Effect.fnUntraced(function* (taken: ReadonlyMap<number, unknown>) {
  for (;;) {
    const number = yield* Random.nextIntBetween(numbers.min, numbers.max)
    if (!taken.has(number)) return number
  }
})

const start = Effect.fnUntraced(function* (
  { fibers, processes }: { readonly processes: Processes; readonly fibers: FiberSet.FiberSet },
  process: Process,
  about: About
) {
  const timeout = about.timeout === undefined ? undefined : Duration.fromInputUnsafe(about.timeout)
  const startedAt = yield* Clock.currentTimeMillis
  const done = yield* Deferred.make<Ending>()
  const recent = BoundedOutput.make(tailBytes)
  const decoder = Utf8.makeDecoder()
  let unread = BoundedOutput.make()
  let ending: Ending | undefined
  let listener: ((text: string) => Effect.Effect<void>) | undefined
  // a turn that has ended refuses the output of its call: the reader must not end with it
  const publish = (text: string) => (listener === undefined ? Effect.void : Effect.exit(listener(text)))
  const end = processes.end(process.processId, graceMillis)
  const read = Stream.runForEach(process.output, (chunk) =>
    Effect.suspend(() => {
      unread.append(chunk)
      recent.append(chunk)
      return publish(decoder.push(chunk))
    })
  ).pipe(Effect.andThen(Effect.suspend(() => publish(decoder.end()))))
  const run = Effect.gen(function* () {
    const reading = yield* Effect.forkChild(read)
    const first = yield* timeout === undefined
      ? Effect.asSome(process.exit)
      : Effect.timeoutOption(process.exit, timeout)
    if (Option.isNone(first)) yield* end
    yield* Fiber.await(reading)
    const exit = yield* process.exit
    ending = { exit, ...(Option.isNone(first) && timeout !== undefined ? { timeout } : {}) }
    Deferred.doneUnsafe(done, Effect.succeed(ending))
  })
  yield* FiberSet.run(fibers, run)
  const command: Command = {
    about,
    process,
    startedAt,
    ended: Deferred.await(done),
    ending: () => ending,
    end,
    peek: () => unread,
    take: () => {
      const taken = unread
      unread = BoundedOutput.make()
      return taken
    },
    tail: () => BoundedOutput.toText(recent.toKept()),
    publishDuring: (to, effect) =>
      Effect.suspend(() => {
        listener = to
        return Effect.ensuring(
          effect,
          Effect.sync(() => {
            if (listener === to) listener = undefined
          })
        )
      })
  }
  return command
})
