/**
 * The platform of the program: the files, paths, processes and HTTP client of Node.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodePath from "@effect/platform-node/NodePath"
import type * as App from "@spindle/app/App"
import type { Settings } from "@spindle/app/Settings"
import * as StoredSessions from "@spindle/app/StoredSessions"
import type { Journal } from "@spindle/core/Journal"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type { CliError } from "./CliError.ts"
import * as EnvHttpClient from "./envHttpClient.ts"

const files = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)

/** Files, paths and processes. */
export const machine = NodeChildProcessSpawner.layer.pipe(Layer.provideMerge(files))

/**
 * Everything that the application needs. **Errors**: `CliError` if the environment names a proxy or certificates that
 * cannot be used and the model is not scripted.
 */
export const layer = ({ provider }: Pick<Settings, "provider">): Layer.Layer<App.Platform, CliError> =>
  Layer.merge(machine, provider._tag === "Scripted" ? loopback : EnvHttpClient.layer(process.env))

/** The HTTP client for a model on this machine. It uses no proxy, and an environment that cannot be used is ignored. */
const loopback = Layer.catch(
  EnvHttpClient.layer({
    ...process.env,
    no_proxy: `${process.env["no_proxy"] ?? process.env["NO_PROXY"] ?? ""},127.0.0.1`
  }),
  () => NodeHttpClient.layerNodeHttp
)

/** The journals below a home, and the files that they are in. */
export const journals = (home: string): Layer.Layer<Journal | FileSystem.FileSystem | Path.Path> =>
  StoredSessions.journals(home).pipe(Layer.provideMerge(files))

/** The journals below a home, and the other data of sessions there. */
export const journalsWithStores = (home: string): Layer.Layer<Journal> =>
  StoredSessions.stores(home).pipe(
    Layer.provide(StoredSessions.snapshots(home)),
    Layer.provideMerge(StoredSessions.journals(home)),
    Layer.provide(machine)
  )
