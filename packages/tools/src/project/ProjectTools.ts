/**
 * The tools with which an agent plans, looks at a project and asks, ready for `Agent.make`: the toolkit, the policies and
 * the handlers. None of them changes a file.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import type { Policies } from "@spindle/core/Agent"
import * as UpdatePlan from "./UpdatePlan.ts"
import * as ViewImage from "./ViewImage.ts"

/** The tools. */
export const toolkit = Toolkit.make(UpdatePlan.tool, ViewImage.tool)

/** The tools of {@link toolkit}, by name. */
export type Tools = (typeof toolkit)["tools"]

const harmless = { approval: "allow", concurrency: "parallel", mutates: false } as const

/** The policies of the tools: no call needs approval, and all run concurrently. */
export const policies: Policies<Tools> = {
  update_plan: { ...harmless, display: UpdatePlan.display },
  view_image: { ...harmless, display: ViewImage.display }
}

/** Where the tools look: `cwd` is the absolute working directory. */
export interface Options {
  readonly cwd: string
}

/** The handlers of the tools. */
export const layer = (
  options: Options
): Layer.Layer<Tool.HandlersFor<Tools>, never, FileSystem.FileSystem | Path.Path> =>
  toolkit.toLayer(
    Effect.map(Effect.context<FileSystem.FileSystem | Path.Path>(), (context) =>
      toolkit.of({
        update_plan: UpdatePlan.run,
        view_image: (params) => Effect.provideContext(ViewImage.run(params, options), context)
      })
    )
  )
