/**
 * The tools with which an agent plans, looks at a project and asks, ready for `Agent.make`: the toolkit, the policies
 * and the handlers. None of them changes a file.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import type { Policies } from "@spindle/core/Agent"
import type { Processes } from "@spindle/core/Processes"
import { type ByTurn, valueInTurn } from "@spindle/core/TurnContext"
import * as SandboxPolicy from "../SandboxPolicy.ts"
import * as GrepFiles from "./GrepFiles.ts"
import * as ListDirectory from "./ListDirectory.ts"
import * as ReadFile from "./ReadFile.ts"
import * as RequestPermissions from "./RequestPermissions.ts"
import * as RequestUserInput from "./RequestUserInput.ts"
import * as UpdatePlan from "./UpdatePlan.ts"
import * as ViewImage from "./ViewImage.ts"

export type { Options as SearchOptions } from "./GrepFiles.ts"

/** The tools. */
export const toolkit = Toolkit.make(
  UpdatePlan.tool,
  ViewImage.tool,
  ReadFile.tool,
  ListDirectory.tool,
  GrepFiles.tool,
  RequestUserInput.tool,
  RequestPermissions.tool
)

/** The tools of {@link toolkit}, by name. */
export type Tools = (typeof toolkit)["tools"]

const harmless = { approval: "allow", concurrency: "parallel", mutates: false } as const

/** The policies of the tools: no call needs approval, and all run concurrently. */
export const policies: Policies<Tools> = {
  update_plan: { ...harmless, display: UpdatePlan.display },
  view_image: { ...harmless, display: ViewImage.display },
  read_file: { ...harmless, display: ReadFile.display },
  list_dir: { ...harmless, display: ListDirectory.display },
  grep_files: { ...harmless, display: GrepFiles.display },
  // their handlers ask
  request_user_input: harmless,
  request_permissions: harmless
}

/**
 * The places that the tools look at. `cwd` is the absolute working directory, and `node` the program that runs
 * JavaScript. `sandbox` is the most that the programs that search may touch; the default is full access. `directory` is
 * the one in which relative paths start; the default is `cwd`. Both may depend on the context of the turn.
 */
export interface Options extends GrepFiles.Options {
  readonly directory?: ByTurn<string> | undefined
  readonly sandbox?: ByTurn<SandboxPolicy.SandboxPolicy> | undefined
}

/** The services that the tools need. */
export type Services = FileSystem.FileSystem | Path.Path | Processes

/** The handlers of the tools. */
export const layer = (options: Options): Layer.Layer<Tool.HandlersFor<Tools>, never, Services> =>
  toolkit.toLayer(
    Effect.map(Effect.context<Services>(), (context) => {
      /** Runs a call in the directory in which its turn starts. */
      const runInPlace = <A, E, R>(run: (place: GrepFiles.Options) => Effect.Effect<A, E, R>) =>
        Effect.provideContext(
          Effect.flatMap(valueInTurn(options.directory), (cwd = options.cwd) => run({ ...options, cwd })),
          context
        )
      return toolkit.of({
        update_plan: UpdatePlan.run,
        view_image: (params) => runInPlace((place) => ViewImage.run(params, place)),
        read_file: (params) => runInPlace((place) => ReadFile.run(params, place)),
        list_dir: (params) => runInPlace((place) => ListDirectory.run(params, place)),
        grep_files: (params, { toolCallId }) =>
          Effect.flatMap(valueInTurn(options.sandbox), (sandbox = SandboxPolicy.fullAccess) =>
            runInPlace((place) => SandboxPolicy.confine(GrepFiles.run(params, toolCallId, place), sandbox))
          ),
        request_user_input: (params, { toolCallId }) => RequestUserInput.run(params, toolCallId),
        request_permissions: (params, { toolCallId }) =>
          runInPlace((place) => RequestPermissions.run(params, toolCallId, place))
      })
    })
  )
