/**
 * Directories of unix sockets below the home, each named after the pid of its program. Programs in containers may share
 * a home and have the same pid, so that a name also says which program it is, and the kernel whether one listens.
 */
import { randomInt } from "node:crypto"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Directories from "./Directories.ts"

/** The directory cannot be made, read or written. */
export class SocketsFailed extends Schema.TaggedError<SocketsFailed>()("SocketsFailed", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

const attempt = <A>(evaluate: () => A): Effect.Effect<A, SocketsFailed> =>
  Effect.try({ try: evaluate, catch: (error) => new SocketsFailed({ detail: (error as Error).message }) })

/** The names of this program begin with this. */
const prefix = `${process.pid}-${randomInt(36 ** 4).toString(36)}-`

let last = 0

/** Makes a new name of a socket of this program. */
export const makeName = (): string => `${prefix}${++last}.sock`

/** Makes the directory of sockets, for this user only, and removes those of programs that were killed. */
export const makeRoom = (directory: string): Effect.Effect<void, SocketsFailed> =>
  Effect.gen(function* () {
    const names = yield* attempt(() => {
      Directories.makeUnsafe(directory)
      return Fs.readdirSync(directory)
    })
    const paths = names.filter(mayBeLeft).map((name) => Path.join(directory, name))
    yield* Effect.forEach(paths, removeUnused, { concurrency: 16, discard: true })
  })

/** Returns false for a socket of this program, and of another one that lives here. */
const mayBeLeft = (name: string): boolean => {
  const pid = Number(/^(\d+)-[a-z0-9-]+\.sock$/.exec(name)?.[1])
  return pid > 0 && !name.startsWith(prefix) && (pid === process.pid || !isAlive(pid))
}

const removeUnused = (path: string): Effect.Effect<void, SocketsFailed> =>
  Effect.flatMap(isUsed(path), (isUsed) => (isUsed ? Effect.void : attempt(() => Fs.rmSync(path, { force: true }))))

/** Returns true if a program listens at a socket: the kernel refuses a connection to any other. */
const isUsed = (path: string): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = Net.connect(path, () => finish(true))
    const finish = (isUsed: boolean) => {
      socket.destroy()
      resume(Effect.succeed(isUsed))
    }
    socket.on("error", ({ code }: NodeJS.ErrnoException) => finish(code !== "ECONNREFUSED" && code !== "ENOTSOCK"))
    return Effect.sync(() => socket.destroy())
  })

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH"
  }
}
