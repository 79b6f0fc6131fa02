/**
 * The tools of a coding agent, `exec_command` and `apply_patch`, ready for `Agent.make`: the toolkit, the policies and
 * the handlers.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import type { Policies } from "@spindle/core/Agent"
import type { Processes } from "@spindle/core/Processes"
import * as ApplyPatch from "./ApplyPatch.ts"
import * as ExecCommand from "./ExecCommand.ts"

/** Both tools. */
export const toolkit = Toolkit.make(ExecCommand.tool, ApplyPatch.tool)

/** The tools of {@link toolkit}, by name. */
export type Tools = (typeof toolkit)["tools"]

/** Who has to agree to a call: somebody is asked each time, or nobody. */
export type ApprovalMode = "ask" | "allow"

/**
 * The policies of both tools. Commands run side by side, a patch runs alone. Who is asked gets `{ command, cwd, shell?,
 * justification? }` of a command (`shell`: the program that runs it, when the model wants another than the default) and
 * `{ changes }` of a patch, see `Patch.Change`; none when the patch cannot be read, which then fails. `cwd` is the one
 * of {@link layer}.
 */
export const policies = (options: { readonly approval: ApprovalMode; readonly cwd: string }): Policies<Tools> => ({
  exec_command: {
    approval: options.approval,
    concurrency: "parallel",
    kind: "command",
    display: (params) => ExecCommand.display(params, options.cwd),
    payload: (params) => ({
      command: params.cmd,
      cwd: ExecCommand.workingDirectory(options.cwd, params.workdir),
      ...(params.shell === undefined ? {} : { shell: params.shell }),
      ...(params.justification === undefined ? {} : { justification: params.justification })
    })
  },
  apply_patch: {
    approval: options.approval,
    concurrency: "exclusive",
    kind: "patch",
    display: ({ input }) => ApplyPatch.display(input),
    payload: ({ input }) => ({ changes: ApplyPatch.changesOf(input) }),
    freeform: ApplyPatch.freeform
  }
})

/**
 * The handlers of both tools. `cwd` is the absolute working directory, which patches cannot leave and commands can;
 * `shell` is a program that takes `-c`, by default `/bin/bash` or else `/bin/sh`.
 */
export const layer = (options: {
  readonly cwd: string
  readonly shell?: string
}): Layer.Layer<Tool.HandlersFor<Tools>, never, FileSystem.FileSystem | Path.Path | Processes> =>
  toolkit.toLayer(
    Effect.gen(function* () {
      const context = yield* Effect.context<FileSystem.FileSystem | Path.Path | Processes>()
      const shell = options.shell ?? (yield* ExecCommand.defaultShell)
      return toolkit.of({
        exec_command: (params, { toolCallId }) =>
          Effect.provideContext(ExecCommand.run(params, toolCallId, { cwd: options.cwd, shell }), context),
        apply_patch: ({ input }, { toolCallId }) =>
          Effect.provideContext(ApplyPatch.run(input, toolCallId, options), context)
      })
    })
  )
