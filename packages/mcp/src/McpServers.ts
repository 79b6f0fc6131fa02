/**
 * Connections to MCP servers, shared by all sessions: two users of one configuration have one connection, which is
 * closed after the last of them has released it.
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RcMap from "effect/RcMap"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as HttpClient from "effect/http/HttpClient"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { type Grants, memory } from "./Grants.ts"
import type { McpFailed } from "./McpFailed.ts"
import type { McpServer } from "./McpServer.ts"
import type { ServerConfig, Variables } from "./ServerConfig.ts"

/** The connections of this program. */
export interface McpServers {
  /**
   * Returns the server of a configuration, which starts in the background. It is released with the scope; the last
   * release closes the connection, and ends the process of the server, within three seconds.
   */
  readonly get: (config: ServerConfig) => Effect.Effect<McpServer, never, Scope.Scope>
  /** Returns the processes that run, for a program that must end at once. */
  readonly pids: () => ReadonlyArray<number>
}

/** The service key of {@link McpServers}. */
export const McpServers: Context.Service<McpServers, McpServers> = Context.Service("@spindle/mcp/McpServers")

/** The options of all connections. */
export interface Options {
  /** The environment of the program. */
  readonly variables: Variables
  /** The name and the version by which the program introduces itself to servers. */
  readonly program: { readonly name: string; readonly version: string }
  /** The logins of the person. Default: none. */
  readonly grants?: Grants | undefined
  /**
   * The schedule by which a server that has ended is started again. Its input is the failure of the server. It starts
   * over after the server has run for a minute. When it ends, the server has failed for good. Default:
   * {@link restartSchedule}.
   */
  readonly restarts?: Schedule.Schedule<unknown, McpFailed> | undefined
  /**
   * The schedule by which a stream of a server over HTTP is opened again after it has ended: the stream on which the
   * server sends by itself, or a response that was cut. It starts over with each stream that opens. When it ends, the
   * client stops listening to the server, or the request has failed. A pause that the server sets replaces that of the
   * schedule, and is at most 30 seconds. Default: {@link reconnectSchedule}.
   */
  readonly reconnects?: Schedule.Schedule<unknown> | undefined
}

/** A schedule of five restarts. The pause before the first one is 500 ms, and doubles each time. */
export const restartSchedule: Schedule.Schedule<Duration.Duration> = Schedule.upTo(Schedule.exponential("500 millis"), {
  times: 5
})

/** A schedule without an end. The first pause is 1 second; each later one is twice as long, up to 30 seconds. */
export const reconnectSchedule: Schedule.Schedule<unknown> = Schedule.min([
  Schedule.exponential("1 second"),
  Schedule.spaced("30 seconds")
])

/** Provides connections. Closing the layer closes them all. */
export const layer = (options: Options): Layer.Layer<McpServers, never, ChildProcessSpawner | HttpClient.HttpClient> =>
  Layer.effect(McpServers)(
    Effect.gen(function* () {
      const pids = new Set<number>()
      const { grants = memory(), reconnects = reconnectSchedule, restarts = restartSchedule } = options
      const onStart = (pid: number) => {
        pids.add(pid)
        return () => void pids.delete(pid)
      }
      const servers = yield* RcMap.make({
        // loaded with the first server: a program without servers does not pay for the client
        lookup: (config: ServerConfig) =>
          Effect.flatMap(
            Effect.promise(() => import("./internal/connection.ts")),
            ({ make }) => make({ ...options, grants, reconnects, restarts, config, onStart })
          )
      })
      return { get: (config) => RcMap.get(servers, config), pids: () => [...pids] }
    })
  )

/** {@link layer}, its options read from the configuration. An option that is not read from it is a `Config.succeed`. */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<McpServers, Config.ConfigError, ChildProcessSpawner | HttpClient.HttpClient> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))
