/**
 * The last output of commands that run, for another program of the same user: the journal has only the output that the
 * agent has read.
 *
 * The program that runs sessions listens at a socket below the home. A request is the id of a process in one line. The
 * reply is `+` and the output, or `-` if the program does not run that process.
 */
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import type { ProcessId } from "@spindle/core/Ids"
import { Commands } from "@spindle/tools/Commands"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Sockets from "../storage/sockets.ts"

const directoryOf = (home: string): string => Path.join(home, "commands")

/** The longest request, in characters. */
const maxRequest = 256
/** The time that a program waits for another one. */
const waitMillis = 5_000

/**
 * Replies to other programs until the scope closes. If that is not possible, for example because the path of the home
 * is too long for a socket, it only logs the reason.
 */
export const serve = (home: string): Effect.Effect<void, never, Commands | Scope.Scope> =>
  Effect.gen(function* () {
    const commands = yield* Commands
    const clients = new Set<Net.Socket>()
    const server = Net.createServer((client) => {
      clients.add(client)
      client.once("close", () => clients.delete(client))
      reply(client, (processId) => Effect.runSync(commands.find(processId as ProcessId))?.tail())
    })
    server.unref()
    const close = Effect.sync(() => {
      server.close()
      for (const client of clients) client.destroy()
    })
    const directory = directoryOf(home)
    yield* Sockets.makeRoom(directory)
    yield* Effect.acquireRelease(listen(server, Path.join(directory, Sockets.makeName())), () => close)
  }).pipe(Effect.catch((error) => Effect.logDebug(`no program can read the output of commands: ${error.message}`)))

const listen = (server: Net.Server, path: string): Effect.Effect<void, Error> =>
  Effect.callback((resume) => {
    server.on("error", (error) => resume(Effect.fail(error)))
    server.listen(path, () => resume(Effect.void))
  })

const reply = (client: Net.Socket, outputOf: (processId: string) => string | undefined): void => {
  let request = ""
  client.unref()
  client.setEncoding("utf8")
  client.setTimeout(waitMillis, () => client.destroy())
  client.on("error", () => client.destroy())
  client.on("data", (text: string) => {
    request = (request + text).slice(0, maxRequest)
    const end = request.indexOf("\n")
    if (end === -1) return request.length < maxRequest ? undefined : void client.destroy()
    const output = outputOf(request.slice(0, end))
    client.end(output === undefined ? "-" : `+${output}`)
  })
}

/** Returns the last output of a process; undefined if no program that replies runs it. */
export const read = Effect.fnUntraced(function* (home: string, processId: ProcessId) {
  const directory = directoryOf(home)
  const names = yield* Effect.try(() => Fs.readdirSync(directory)).pipe(
    // no program has served below this home, or this user may not read it
    Effect.orElseSucceed((): ReadonlyArray<string> => [])
  )
  const sockets = names.filter((name) => name.endsWith(".sock"))
  const replies = yield* Effect.forEach(sockets, (name) => ask(Path.join(directory, name), processId), {
    concurrency: "unbounded"
  })
  return replies.find((one) => one.startsWith("+"))?.slice(1)
})

/** Returns the reply of a program; empty if it has ended or does not reply. */
const ask = (path: string, processId: ProcessId): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    const finish = (text: string) => {
      socket.destroy()
      resume(Effect.succeed(text))
    }
    let text = ""
    const socket = Net.connect(path, () => socket.write(`${processId}\n`))
    socket.setEncoding("utf8")
    socket.on("data", (piece: string) => (text += piece))
    socket.on("end", () => finish(text))
    socket.on("error", () => finish(""))
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeoutOrElse({ duration: waitMillis, orElse: () => Effect.succeed("") }))
