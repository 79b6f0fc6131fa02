/**
 * The right to write a session: held by at most one process of a machine, and given back by the kernel when that
 * process dies (contract J2). The program takes it, and any other program on Node can: {@link layer} is core's
 * `JournalLease`, which without it hands out nothing.
 *
 * A lease is a listening socket whose name is made from the home and the session: an abstract one on Linux, a named
 * pipe on Windows, and a socket file below the home elsewhere. The first two vanish with their process; a file stays,
 * and counts as stale when nobody listens behind it; whoever takes a file has a port of the loopback address meanwhile.
 * Processes that share a home over a network file system, or from containers with network namespaces of their own, do
 * not see each other's leases: there the journal's own fence is the only guard.
 */
import { createHash } from "node:crypto"
import * as FileSystem from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { JournalLease } from "@spindle/core/JournalLease"
import type { SessionId } from "@spindle/core/Ids"
import { JournalFailed, SessionBusy } from "@spindle/core/SessionError"

/**
 * Leases for the file journals of a directory: provide it to `JournalFile.layer`. `directory` is what all processes that
 * write there name alike, the journals' own as a rule; for the sessions of the program it is its home. On platforms
 * whose leases are files they stand in `leases` below it. **Errors** of a journal are then those of {@link acquire}, too.
 */
export const layer = (directory: string): Layer.Layer<never> =>
  Layer.succeed(JournalLease, { acquire: (sessionId) => acquire(sessionId, directory) })

/** Where a lease stands. `file`: it has to be looked after, as it outlives its process. */
export interface Place {
  readonly path: string
  readonly file: boolean
}

/**
 * The place of a session's lease on a platform (as in `process.platform`). The same for every process with this home.
 */
export const place = (sessionId: SessionId, home: string, platform: string = process.platform): Place => {
  const name = digest(`${realPath(home)}\0${sessionId}`).slice(0, 32)
  if (platform === "linux") return { path: `\0spindle-session-${name}`, file: false }
  if (platform === "win32") return { path: `\\\\.\\pipe\\spindle-session-${name}`, file: false }
  const file = Path.join(home, "leases", `${name}.sock`)
  // the kernel's limit for the path of a socket is 104 bytes on the strictest platform
  return { path: Buffer.byteLength(file) < 100 ? file : `/tmp/spindle-${Os.userInfo().uid}-${name}.sock`, file: true }
}

const realPath = (path: string): string => {
  try {
    return FileSystem.realpathSync(path)
  } catch {
    // a home that is not there yet has no other name
    return Path.resolve(path)
  }
}

/**
 * Takes the lease until the scope closes. It does not keep the process alive. **Interruption**: takes nothing; a lease
 * that was just taken is given back. **Errors**: `SessionBusy` while a process holds it, this one included, with the
 * holder if it answers within 200 ms; `JournalFailed` when the host gives no such socket.
 */
export const acquire = (
  sessionId: SessionId,
  home: string,
  at: Place = place(sessionId, home)
): Effect.Effect<void, SessionBusy | JournalFailed, Scope.Scope> =>
  Effect.acquireRelease(take(sessionId, at), (server) => close(server)).pipe(Effect.asVoid)

const take = (sessionId: SessionId, at: Place): Effect.Effect<Net.Server, SessionBusy | JournalFailed> =>
  (at.file ? takeFile(sessionId, at.path) : takeName(sessionId, at.path)).pipe(
    Effect.catchDefect((cause) => refused(sessionId, cause))
  )

const takeName = Effect.fnUntraced(function* (sessionId: SessionId, path: string) {
  const server = yield* listen({ path })
  if (server instanceof Net.Server) return server
  return yield* server.code === "EADDRINUSE" ? busy(sessionId, yield* ask(path)) : refused(sessionId, server)
})

/** A stale file is taken away by its name: whoever made a fresh one meanwhile would lose it, so that takers take turns. */
const takeFile = Effect.fnUntraced(function* (sessionId: SessionId, path: string) {
  FileSystem.mkdirSync(Path.dirname(path), { recursive: true })
  yield* Effect.catch(turn(path), (error) => refused(sessionId, error))
  const holder = yield* ask(path)
  if (holder._tag === "Somebody") return yield* busy(sessionId, holder)
  FileSystem.rmSync(path, { force: true })
  const server = yield* listen({ path })
  return server instanceof Net.Server ? server : yield* refused(sessionId, server)
}, Effect.scoped)

/**
 * The turn of one taker on this machine, until the scope closes: a port of the loopback address, which the kernel frees
 * when its process dies. Turns are short; whoever has waited five seconds meets another program's port.
 */
const turn = (path: string) => {
  const port = 20_000 + (Number.parseInt(digest(path).slice(0, 8), 16) % 20_000)
  const listening = Effect.flatMap(listen({ host: "127.0.0.1", port }), (server) =>
    server instanceof Net.Server ? Effect.succeed(server) : Effect.fail(server)
  )
  return Effect.retry(Effect.acquireRelease(listening, close), {
    schedule: Schedule.spaced("10 millis"),
    times: 500,
    while: ({ code }) => code === "EADDRINUSE"
  })
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex")

const busy = (sessionId: SessionId, holder: Holder) =>
  Effect.fail(
    new SessionBusy({
      sessionId,
      ...(holder._tag === "Somebody" && holder.name !== "" ? { holder: holder.name } : {})
    })
  )

const refused = (sessionId: SessionId, cause: unknown) =>
  Effect.fail(new JournalFailed({ sessionId, operation: "lease", detail: String(cause), cause }))

const listen = (
  at: { readonly path: string } | { readonly host: string; readonly port: number }
): Effect.Effect<Net.Server | NodeJS.ErrnoException> =>
  Effect.callback((resume) => {
    const server = Net.createServer((socket) => {
      socket.unref()
      socket.on("error", () => socket.destroy())
      socket.end(`process ${process.pid}`)
    })
    server.unref()
    server.once("error", (error) => resume(Effect.succeed(error)))
    server.listen({ ...at, exclusive: true }, () => resume(Effect.succeed(server)))
    return close(server)
  })

const close = (server: Net.Server): Effect.Effect<void> =>
  Effect.callback((resume) => {
    server.close(() => resume(Effect.void))
  })

type Holder = { readonly _tag: "Nobody" } | { readonly _tag: "Somebody"; readonly name: string }

/** Who listens behind a path. Somebody who does not say a name in time is somebody. */
const ask = (path: string): Effect.Effect<Holder> =>
  Effect.callback((resume) => {
    let name = ""
    const socket = Net.connect(path)
    const finish = (holder: Holder) => {
      socket.destroy()
      resume(Effect.succeed(holder))
    }
    socket.setTimeout(200, () => finish({ _tag: "Somebody", name }))
    socket.on("data", (bytes) => (name = (name + bytes.toString("latin1")).slice(0, 64)))
    socket.on("end", () => finish({ _tag: "Somebody", name: /^process \d+$/.test(name) ? name : "" }))
    socket.on("error", (error: NodeJS.ErrnoException) =>
      finish(error.code === "ECONNREFUSED" || error.code === "ENOENT" ? { _tag: "Nobody" } : { _tag: "Somebody", name })
    )
    return Effect.sync(() => socket.destroy())
  })
