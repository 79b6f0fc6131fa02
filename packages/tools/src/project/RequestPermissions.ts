/**
 * The tool `request_permissions`: asks the user to let commands do more in their sandbox. The user may grant less than
 * was asked for, for the turn or for the session.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import { CallId } from "@spindle/core/Ids"
import { Turn } from "@spindle/core/Turn"
import * as Answers from "../internal/project/answers.ts"
import * as Grants from "../internal/project/grants.ts"
import * as SystemReasons from "../internal/systemReasons.ts"
import * as NetworkPolicy from "../sandbox/NetworkPolicy.ts"
import * as Permissions from "../sandbox/Permissions.ts"
import * as SandboxPolicy from "../SandboxPolicy.ts"
import { ToolFailure } from "../ToolFailure.ts"

/** The arguments of the tool. */
export const Parameters = Schema.Struct({
  reason: Schema.optionalKey(
    Schema.String.annotate({ description: "Why the permissions are needed, in one sentence for the user." })
  ),
  permissions: Permissions.Permissions
})
/** @see {@link Parameters} */
export type Parameters = typeof Parameters.Type

/** The tool. It returns `{"permissions":{...},"scope":"turn"}` with the granted permissions. */
export const tool = Tool.make("request_permissions", {
  description:
    "Asks the user to let your commands reach the network, or some hosts, or write in other directories, for the rest of the turn or the session. The result says what was granted, which may be less.",
  parameters: Parameters,
  success: Schema.String,
  failure: ToolFailure.asText,
  failureMode: "return",
  dependencies: [Turn]
})

/**
 * Asks. **Interruption** withdraws the question. **Errors**: `ToolFailure` for a request without a meaning, for a
 * refusal, and if nobody can be asked.
 */
export const run: (
  params: Parameters,
  callId: string | undefined,
  options: { readonly cwd: string }
) => Effect.Effect<string, ToolFailure, Turn | FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(function* (
  { permissions, reason },
  callId,
  { cwd }
) {
  const turn = yield* Turn
  const hosts = permissions.network?.hosts ?? []
  const unknown = hosts.find((host) => !NetworkPolicy.isPattern(host))
  if (unknown !== undefined) {
    return yield* new ToolFailure({ detail: `The user was not asked: ${unknown} is not a host or *.DOMAIN.` })
  }
  const asked: Permissions.Grant = {
    network: permissions.network?.enabled ?? false,
    hosts,
    write: yield* Effect.forEach(permissions.file_system?.write ?? [], (name) => realDirectory(name, cwd))
  }
  if ((yield* SandboxPolicy.Current)._tag !== "FullAccess") {
    return yield* new ToolFailure({ detail: "The user was not asked: this agent may not leave its sandbox." })
  }
  if (Permissions.isEmpty(asked)) {
    return yield* new ToolFailure({ detail: "The user was not asked: the request has no permission." })
  }
  const less = Permissions.partsOf(asked)
  const id = callId === undefined ? undefined : CallId.make(callId)
  const answer = yield* turn.ask({
    kind: "permissions",
    tool: tool.name,
    ...(id === undefined ? {} : { callId: id }),
    payload: {
      ...(reason === undefined ? {} : { reason }),
      permissions: Permissions.of(asked),
      ...(less.length === 0 ? {} : { less })
    },
    // a grant is remembered by the sandbox
    keys: []
  })
  const decision = yield* Answers.requireAnswer(answer)
  if (decision._tag === "Answered") return yield* new ToolFailure({ detail: "The user gave no decision." })
  const scope = decision.scope === "session" ? "session" : "turn"
  const approved = { ...decision, scope } as const
  const grant = yield* Grants.take(turn, { callId: id, tool: tool.name }, { asked, approved })
  return JSON.stringify({ permissions: Permissions.of(grant), scope })
})

const realDirectory = Effect.fnUntraced(function* (name: string, cwd: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const refuse = (detail: string) =>
    new ToolFailure({ detail: `The user was not asked: cannot use ${name}: ${detail}` })
  if (name.includes("\0")) return yield* refuse("it is not a path")
  const real = yield* Effect.mapError(fileSystem.realPath(path.resolve(cwd, name)), (error) =>
    refuse(SystemReasons.reasonOf(error))
  )
  const { type } = yield* Effect.mapError(fileSystem.stat(real), (error) => refuse(SystemReasons.reasonOf(error)))
  return type === "Directory" ? real : yield* refuse("it is not a directory")
})
