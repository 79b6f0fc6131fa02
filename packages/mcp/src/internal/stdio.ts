/** MCP over the standard streams of a process. */
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as McpClientError from "effect/ai/McpClientError"
import type * as McpSchema from "effect/ai/McpSchema"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { environmentOf, type StdioServer, type Variables } from "../ServerConfig.ts"
import * as TurnHeaders from "../TurnHeaders.ts"
import { CurrentCall } from "./currentCall.ts"
import * as Failures from "./failures.ts"
import * as InputRequests from "./inputRequests.ts"
import * as Wire from "./wire.ts"

/** The options of the transport. `onStart` is called with the process id; its result, when the process has ended. */
export interface Options extends Wire.TransportOptions {
  readonly server: StdioServer
  readonly variables: Variables
  readonly onStart: (pid: number) => () => void
}

/** The time that a process has to end by itself, and again after SIGTERM. */
const graceMillis = 500

/** The time to wait for the rest of the output after the process has exited. */
const drainMillis = 2_000

/** The most text of the standard error that is kept, in characters. */
const stderrLimit = 2_000

/** A request that waits for its response. */
interface Pending {
  readonly response: Deferred.Deferred<McpSchema.JsonRpcResponse>
  readonly call: CurrentCall | undefined
  /** Closed with the request: the questions of a call end with it. */
  readonly scope: Scope.Scope
}

/**
 * Starts the process. Closing the scope closes its input; a process that is then still alive gets SIGTERM, then
 * SIGKILL, together with its group.
 */
export const make = Effect.fnUntraced(function* ({ incoming, onStart, protocol, server, variables }: Options) {
  const scope = yield* Scope.Scope
  const spawner = yield* ChildProcessSpawner
  const child = yield* Effect.mapError(spawner.spawn(commandOf(server, variables)), (cause) =>
    Wire.lostError(Failures.startDetail(cause, server.command, server.cwd), cause)
  )
  const onEnd = onStart(child.pid)
  yield* Effect.addFinalizer(() => Effect.sync(onEnd))

  const pending = new Map<McpSchema.RequestId, Pending>()
  const ended = yield* Deferred.make<McpClientError.McpClientError>()
  const input = yield* Queue.bounded<string, Cause.Done>(256)
  let stderr = ""

  const end = (error: McpClientError.McpClientError) => Effect.asVoid(Deferred.succeed(ended, error))
  const write = (message: McpSchema.JsonRpcMessage) =>
    Effect.flatMap(Wire.encode(message), (text) => Effect.asVoid(Queue.offer(input, `${text}\n`)))

  const receive = (message: McpSchema.JsonRpcMessage): Effect.Effect<void> => {
    if (Wire.isResponse(message)) {
      const waiting = pending.get(message.id as McpSchema.RequestId)
      return waiting === undefined ? Effect.void : Effect.asVoid(Deferred.succeed(waiting.response, message))
    }
    if (Wire.isRequest(message)) {
      // the message does not name its call, so it gets the last one that is open
      const last = Array.from(pending.values()).findLast((one) => one.call !== undefined)
      const respond = Effect.flatMap(incoming.onRequest(message, last?.call), (response) =>
        Effect.ignore(write(response))
      )
      return Effect.asVoid(Effect.forkIn(respond, last?.scope ?? scope))
    }
    return incoming.onNotification(message, pending.get(Wire.progressOf(message) as McpSchema.RequestId)?.call)
  }

  const printing = yield* child.stderr.pipe(
    Stream.decodeText(),
    Stream.runForEach((text) => Effect.sync(() => void (stderr = (stderr + text).slice(-stderrLimit)))),
    Effect.ignore,
    Effect.forkScoped
  )
  const exited = Effect.map(Effect.exit(child.exitCode), (exit) =>
    Exit.isSuccess(exit) ? `its process exited with code ${exit.value}` : "its process was killed"
  )
  // a stream that closes is most often the first sign of an exit, which gives a better reason
  const endClosed = (what: string) =>
    Effect.andThen(Fiber.await(printing), exited).pipe(
      Effect.timeoutOption(drainMillis),
      Effect.flatMap((how) => end(Wire.lostError(Option.getOrElse(how, () => what))))
    )
  yield* Stream.fromQueue(input).pipe(
    Stream.encodeText,
    Stream.run(child.stdin),
    Effect.catch(() => endClosed("it closed its standard input")),
    Effect.forkScoped
  )
  // the output that it wrote before it exited is read first
  yield* readLines(child.stdout, receive).pipe(
    Effect.matchEffect({ onFailure: end, onSuccess: () => endClosed("it closed its standard output") }),
    Effect.forkScoped
  )
  // a descendant may keep the output open
  yield* exited.pipe(
    Effect.tap(() => Effect.sleep(drainMillis)),
    Effect.flatMap((how) => end(Wire.lostError(how))),
    Effect.forkScoped
  )
  yield* Effect.addFinalizer(() =>
    end(Wire.failure(new McpClientError.ClosedError({ description: "the connection was closed" }))).pipe(
      Effect.andThen(Queue.end(input)),
      Effect.andThen(Effect.timeoutOption(exited, graceMillis))
    )
  )

  const exchangeOne = Effect.fnUntraced(function* (message: McpSchema.JsonRpcRequest) {
    const call = message.method === "tools/call" ? yield* CurrentCall : undefined
    const meta = call?.sendsHeaders === true ? yield* TurnHeaders.read(call.turn) : {}
    const response = yield* Deferred.make<McpSchema.JsonRpcResponse>()
    pending.set(message.id, { response, call, scope: yield* Scope.Scope })
    return yield* write(Wire.complete(message, meta)).pipe(
      Effect.andThen(Deferred.await(response)),
      Effect.raceFirst(Effect.flatMap(Deferred.await(ended), Effect.fail)),
      // in its own fiber: a server that does not read must not block an abort
      Effect.onInterrupt(() =>
        message.method === "initialize" || Deferred.isDoneUnsafe(response)
          ? Effect.void
          : Effect.asVoid(
              Effect.forkIn(Effect.interruptible(Effect.ignore(write(Wire.cancelNotification(message.id)))), scope, {
                startImmediately: true
              })
            )
      )
    )
  })

  const send = (message: McpSchema.JsonRpcRequest) =>
    Effect.ensuring(
      Effect.scoped(exchangeOne(message)),
      Effect.sync(() => void pending.delete(message.id))
    )
  const exchange = (message: McpSchema.JsonRpcRequest) =>
    protocol.protocolVersion === "2026-07-28"
      ? Effect.flatMap(CurrentCall, (call) =>
          InputRequests.answer(Wire.withCapabilities(message), incoming, call, send)
        )
      : send(message)

  const transport: Wire.ServerTransport = {
    "~effect/ai/McpClient/Transport": "~effect/ai/McpClient/Transport",
    protocol,
    isCallable: () => true,
    notify: write,
    request: (message) =>
      Effect.map(exchange(message), (response) =>
        message.method === "initialize" ? Wire.negotiate(response, protocol).response : response
      ),
    ended: Deferred.await(ended),
    isEnded: () => Deferred.isDoneUnsafe(ended),
    stderr: () => stderr
  }
  return transport
})

const commandOf = (server: StdioServer, variables: Variables) =>
  ChildProcess.make(server.command, server.args ?? [], {
    ...(server.cwd === undefined ? {} : { cwd: server.cwd }),
    env: environmentOf(server, variables),
    extendEnv: false,
    forceKillAfter: graceMillis
  })

/** Calls `receive` with the message of each line, until the stream ends. */
const readLines = Effect.fnUntraced(function* <E>(
  output: Stream.Stream<Uint8Array, E>,
  receive: (message: McpSchema.JsonRpcMessage) => Effect.Effect<void>
) {
  let buffer = ""
  yield* output.pipe(
    Stream.mapError((cause) => Wire.lostError("its standard output cannot be read", cause)),
    Stream.decodeText(),
    Stream.runForEach(
      Effect.fnUntraced(function* (text) {
        const lines = (buffer + text).split("\n")
        buffer = lines.pop()!
        for (const line of lines) {
          if (line.length > Wire.limitBytes) return yield* Wire.tooLargeError()
          if (line.trim() !== "") yield* receive(yield* Wire.decode(line))
        }
        if (buffer.length > Wire.limitBytes) return yield* Wire.tooLargeError()
      })
    )
  )
})
