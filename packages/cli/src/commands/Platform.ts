/**
 * The platform of the program: the files, paths, processes and HTTP client of Node.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodePath from "@effect/platform-node/NodePath"
import * as App from "@spindle/app/App"
import type { Journal } from "@spindle/core/Journal"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"

const files = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)

/** Everything that the application needs. */
export const layer: Layer.Layer<App.Platform> = Layer.mergeAll(
  NodeChildProcessSpawner.layer.pipe(Layer.provideMerge(files)),
  NodeHttpClient.layerNodeHttp
)

/** The journals below a home, and the files that they are in. */
export const journals = (home: string): Layer.Layer<Journal | FileSystem.FileSystem | Path.Path> =>
  App.journals(home).pipe(Layer.provideMerge(files))
