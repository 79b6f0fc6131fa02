/**
 * The tools of a coding agent, `exec_command` and `apply_patch`, ready for `Agent.make`: the toolkit, the policies and
 * the handlers.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import type { Policies } from "@spindle/core/Agent"
import type { Processes } from "@spindle/core/Processes"
import * as ApplyPatch from "./ApplyPatch.ts"
import * as ExecCommand from "./ExecCommand.ts"
import * as SandboxPolicy from "./SandboxPolicy.ts"

/** Both tools. */
export const toolkit = Toolkit.make(ExecCommand.tool, ApplyPatch.tool)

/** The tools of {@link toolkit}, by name. */
export type Tools = (typeof toolkit)["tools"]

/** Whether a person is asked about each call, or each call is allowed. */
export type ApprovalMode = "ask" | "allow"

/**
 * The policies of both tools. Commands run concurrently, a patch runs alone. The question about a command has `{ command,
 * cwd, shell?, justification? }` (`shell`: the program that runs it, if the model wants another than the default), and the
 * question about a patch has `{ changes }`, see `Patch.Change`. A patch that does not apply fails without a question.
 * `cwd` is that of {@link layer}.
 */
export const policies = (options: {
  readonly approval: ApprovalMode
  /** That of patches, if it is another. */
  readonly patchApproval?: ApprovalMode | undefined
  readonly cwd: string
}): Policies<Tools> => ({
  exec_command: {
    approval: options.approval,
    concurrency: "parallel",
    kind: "command",
    display: (params) => ExecCommand.display(params, options.cwd),
    payload: (params) => ({
      command: params.cmd,
      cwd: ExecCommand.workingDirectory(options.cwd, params.workdir),
      ...(params.shell === undefined || params.shell === "" ? {} : { shell: params.shell }),
      ...(params.justification === undefined ? {} : { justification: params.justification })
    })
  },
  apply_patch: {
    approval: options.patchApproval ?? options.approval,
    concurrency: "exclusive",
    kind: "patch",
    display: ({ input }) => ApplyPatch.display(input),
    check: ({ input }) => Effect.flatMap(ApplyPatch.Check, (check) => check(input)),
    payload: ({ input }) => ({ changes: ApplyPatch.changesOf(input) }),
    freeform: ApplyPatch.freeform
  }
})

/**
 * Where the tools work. `cwd` is the absolute working directory, which patches cannot leave and commands can. `shell` is
 * a program that takes `-c`; the default is `/bin/bash`, or `/bin/sh` if that does not exist. `sandbox` is what commands
 * and patches may touch at most; the default is full access. Commands are confined by the `Processes` of `Sandbox.layer`.
 */
export interface Options {
  readonly cwd: string
  readonly shell?: string
  readonly sandbox?: { readonly commands: SandboxPolicy.SandboxPolicy; readonly patches: SandboxPolicy.SandboxPolicy }
}

/** The handlers of both tools, and the check of patches before anybody is asked. */
export const layer = (
  options: Options
): Layer.Layer<Tool.HandlersFor<Tools>, never, FileSystem.FileSystem | Path.Path | Processes> =>
  Layer.merge(handlers(options), checks(options))

const handlers = (options: Options) =>
  toolkit.toLayer(
    Effect.gen(function* () {
      const context = yield* Effect.context<FileSystem.FileSystem | Path.Path | Processes>()
      const withinPatches = SandboxPolicy.within(options.sandbox?.patches ?? SandboxPolicy.fullAccess)
      const shell = options.shell ?? (yield* ExecCommand.defaultShell)
      return toolkit.of({
        exec_command: (params, { toolCallId }) =>
          ExecCommand.run(params, toolCallId, { cwd: options.cwd, shell }).pipe(
            SandboxPolicy.within(options.sandbox?.commands ?? SandboxPolicy.fullAccess),
            Effect.provideContext(context)
          ),
        apply_patch: ({ input }, { toolCallId }) =>
          Effect.provideContext(withinPatches(ApplyPatch.run(input, toolCallId, options)), context)
      })
    })
  )

const checks = (options: Options) =>
  Layer.effect(
    ApplyPatch.Check,
    Effect.map(
      Effect.context<FileSystem.FileSystem | Path.Path>(),
      (context) => (input) =>
        ApplyPatch.check(input, options).pipe(
          SandboxPolicy.within(options.sandbox?.patches ?? SandboxPolicy.fullAccess),
          Effect.provideContext(context)
        )
    )
  )
