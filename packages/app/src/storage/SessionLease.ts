/**
 * The right to write a session. At most one process of a machine holds it, and the kernel releases it when that process
 * dies (contract J2). {@link layer} provides it as core's `JournalLease`, to this application and to any other Node
 * program.
 *
 * A lease is a listening socket whose name is derived from the home and the session: an abstract socket on Linux, a
 * named pipe on Windows, and a socket file below the home elsewhere. The first two vanish with their process. A file
 * stays, and is stale if no process listens on it; taking over a file is serialised by a port of the loopback address.
 *
 * Processes that share a home over a network file system, or from containers with separate network namespaces, do not
 * see each other's leases. There the fence of the journal is the only guard.
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
import * as Directories from "./Directories.ts"

/**
 * Leases for the journals of a directory; provide it to `JournalFile.layer`. All processes that write there must give
 * the same `directory`, usually that of the journals; for the sessions of the program it is its home. Leases that are
 * files are in `leases` below it. Opening a journal then also fails with the **errors** of {@link acquire}.
 */
export const layer = (directory: string): Layer.Layer<never> =>
  Layer.succeed(JournalLease, { acquire: (sessionId) => acquire(sessionId, directory) })

/** The place of a lease. `file` is true if it is a file, which outlives its process. */
export interface Place {
  readonly path: string
  readonly file: boolean
}

/**
 * Returns the place of a session's lease on a platform (as in `process.platform`). It is the same for every process
 * with this home.
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
    // a home that does not exist yet has no other name
    return Path.resolve(path)
  }
}

/**
 * Holds the lease until the scope closes. It does not keep the process alive. **Interruption**: the lease is not held.
 * **Errors**: `SessionBusy` if a process holds it, this one included, with the name of the holder if it replies within
 * 200 ms; `JournalFailed` if the system cannot make such a socket.
 */
export const acquire = (
  sessionId: SessionId,
  home: string,
  at: Place = place(sessionId, home)
): Effect.Effect<void, SessionBusy | JournalFailed, Scope.Scope> =>
  Effect.acquireRelease(take(sessionId, at), (server) => close(server)).pipe(Effect.asVoid)

const take = (sessionId: SessionId, at: Place): Effect.Effect<Net.Server, SessionBusy | JournalFailed> =>
  (at.file ? takeFile(sessionId, at.path) : takeName(sessionId, at.path)).pipe(
    Effect.catchDefect((cause) => fail(sessionId, cause))
  )

const takeName = Effect.fnUntraced(function* (sessionId: SessionId, path: string) {
  const server = yield* listen({ path })
  if (server instanceof Net.Server) return server
  return yield* server.code === "EADDRINUSE" ? failBusy(sessionId, yield* holderOf(path)) : fail(sessionId, server)
})

/**
 * Takes over a file. A stale file is removed by name, which could remove a fresh one. So only one process does this at
 * a time.
 */
const takeFile = Effect.fnUntraced(function* (sessionId: SessionId, path: string) {
  Directories.makeUnsafe(Path.dirname(path))
  yield* Effect.catch(acquirePort(path), (error) => fail(sessionId, error))
  const holder = yield* holderOf(path)
  if (holder._tag === "Process") return yield* failBusy(sessionId, holder)
  FileSystem.rmSync(path, { force: true })
  const server = yield* listen({ path })
  return server instanceof Net.Server ? server : yield* fail(sessionId, server)
}, Effect.scoped)

/**
 * Excludes other processes until the scope closes, by listening on a port of the loopback address, which the kernel
 * frees when its process dies. The port is held for milliseconds. After five seconds of waiting it counts as another
 * program's.
 */
const acquirePort = (path: string) => {
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

const failBusy = (sessionId: SessionId, holder: Holder) =>
  Effect.fail(
    new SessionBusy({
      sessionId,
      ...(holder._tag === "Process" && holder.name !== "" ? { holder: holder.name } : {})
    })
  )

const fail = (sessionId: SessionId, cause: unknown) =>
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

type Holder = { readonly _tag: "None" } | { readonly _tag: "Process"; readonly name: string }

/** Asks the process that listens on `path` for its name. One that does not reply in time still holds the lease. */
const holderOf = (path: string): Effect.Effect<Holder> =>
  Effect.callback((resume) => {
    let name = ""
    const socket = Net.connect(path)
    const finish = (holder: Holder) => {
      socket.destroy()
      resume(Effect.succeed(holder))
    }
    socket.setTimeout(200, () => finish({ _tag: "Process", name }))
    socket.on("data", (bytes) => (name = (name + bytes.toString("latin1")).slice(0, 64)))
    socket.on("end", () => finish({ _tag: "Process", name: /^process \d+$/.test(name) ? name : "" }))
    socket.on("error", (error: NodeJS.ErrnoException) =>
      finish(error.code === "ECONNREFUSED" || error.code === "ENOENT" ? { _tag: "None" } : { _tag: "Process", name })
    )
    return Effect.sync(() => socket.destroy())
  })
