/**
 * The tools `js_repl` and `js_repl_reset`: a JavaScript kernel of the session, whose variables stay from call to call.
 *
 * The kernel is a child process in the sandbox of commands, and ends with its session. If the turn in which a cell runs
 * is interrupted, or the cell takes too long, the kernel is ended, and the next cell starts a new one.
 *
 * A cell calls the other tools of its agent with `codex.tool(name, arguments)`. These are nested calls of the turn (see
 * `NestedCalls`): their own policies, questions and sandbox apply, and they are interrupted with the cell.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Base64 from "effect/encoding/Base64"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import type { Policies } from "@spindle/core/Agent"
import type { SessionId } from "@spindle/core/Ids"
import { NestedCalls } from "@spindle/core/NestedCalls"
import { Processes } from "@spindle/core/Processes"
import { Turn } from "@spindle/core/Turn"
import { type ByTurn, valueIn, valueInTurn } from "@spindle/core/TurnContext"
import * as ApprovalPolicy from "../ApprovalPolicy.ts"
import type { ApprovalMode } from "../CodingTools.ts"
import * as NetworkDenials from "../internal/networkDenials.ts"
import * as CellClock from "../internal/project/cellClock.ts"
import * as Cells from "../internal/project/cells.ts"
import * as Kernel from "../internal/project/kernel.ts"
import * as SandboxPolicy from "../SandboxPolicy.ts"
import { ToolFailure } from "../ToolFailure.ts"
import * as ViewImage from "./ViewImage.ts"

export type { Options as KernelOptions } from "../internal/project/kernel.ts"

/** The time that a cell may run, in milliseconds. */
export const timeoutMillis = { otherwise: 30_000, max: 3_600_000 }
/** The longest cell, in characters. */
export const maxCodeCharacters = 200_000
/** The time that a kernel that is ended may take to clean up, in milliseconds. */
const graceMillis = 100

/** The arguments of `js_repl`. */
export const Parameters = Schema.Struct({
  code: Schema.String.annotate({ description: "The JavaScript to run." }),
  timeout_ms: Schema.optionalKey(
    Schema.Finite.annotate({
      description:
        "The time after which the kernel is reset, in milliseconds, without the time of tool calls. Default: 30000."
    })
  )
})
/** @see {@link Parameters} */
export type Parameters = typeof Parameters.Type

const common = { success: Schema.String, failure: ToolFailure.asText, failureMode: "return" as const }

/** The tools. */
export const toolkit = Toolkit.make(
  Tool.make("js_repl", {
    ...common,
    description:
      "Runs JavaScript in a Node.js kernel that keeps its variables from call to call, and returns what it printed and the value of its last expression. Top-level await and import work. image(path or bytes) shows you an image. await codex.tool(name, arguments) calls another of your tools and returns its output.",
    parameters: Parameters,
    dependencies: [Turn]
  }),
  Tool.make("js_repl_reset", {
    ...common,
    description: "Ends the JavaScript kernel with all its variables. The next js_repl starts a new one.",
    dependencies: [Turn]
  })
)

/** The tools of {@link toolkit}, by name. */
export type Tools = (typeof toolkit)["tools"]

/** The names of the tools. */
export const names = ["js_repl", "js_repl_reset"] as const

/** The policies of the tools. A cell can do what a command can, so it needs the approval of one that no rule names. */
export const policies = ({
  approval,
  cwd,
  directory
}: {
  readonly approval: ByTurn<ApprovalMode>
  readonly cwd: string
  readonly directory?: ByTurn<string> | undefined
}): Policies<Tools> => ({
  js_repl: {
    approval: (_, context) => {
      const mode = valueIn(approval, context)
      return typeof mode === "string" ? mode : ApprovalPolicy.decide({ ...mode, annotation: "ask" })
    },
    concurrency: "exclusive",
    kind: "command",
    payload: ({ code }, context) => ({ command: code, cwd: valueIn(directory, context) ?? cwd }),
    display: () => ({ _tag: "Other", title: "run JavaScript" })
  },
  js_repl_reset: { approval: "allow", concurrency: "exclusive", mutates: false }
})

/**
 * The surroundings of kernels. `sandbox` is the most that they may touch; the default is full access. `directory` is
 * the one in which they start; the default is `cwd`. Both may depend on the context of the turn: a turn with others has
 * another kernel.
 */
export interface Options extends Kernel.Options {
  readonly directory?: ByTurn<string> | undefined
  readonly sandbox?: ByTurn<SandboxPolicy.SandboxPolicy> | undefined
}

/** The kernels of sessions. */
interface Kernels {
  readonly run: (params: Parameters) => Effect.Effect<string, ToolFailure, Turn>
  readonly reset: Effect.Effect<string, never, Turn>
}
const Kernels: Context.Service<Kernels, Kernels> = Context.Service("@spindle/tools/Kernels")

/** The handlers of the tools. A kernel starts with the first cell of its session. */
export const layer = (options: Options): Layer.Layer<Tool.HandlersFor<Tools>, never, Processes> =>
  toolkit
    .toLayer(
      Effect.map(Kernels, ({ reset, run }) =>
        toolkit.of({ js_repl: (params) => run(params), js_repl_reset: () => reset })
      )
    )
    .pipe(Layer.provide(Layer.effect(Kernels, makeKernels(options))))

const makeKernels = Effect.fnUntraced(function* (options: Options) {
  const processes = yield* Processes
  const fibers = yield* FiberSet.make()
  const context = yield* Effect.context()
  const kernels = new Map<SessionId, Kernel.Kernel>()
  const places = new WeakMap<Kernel.Kernel, { readonly cwd: string; readonly sandbox: SandboxPolicy.SandboxPolicy }>()
  const end = (sessionId: SessionId, kernel: Kernel.Kernel) =>
    Effect.suspend(() => {
      if (kernels.get(sessionId) === kernel) kernels.delete(sessionId)
      return processes.end(kernel.process.processId, graceMillis)
    })
  /** Returns the kernel for a turn, and a note about it to put before the output. */
  const kernelFor = Effect.fnUntraced(function* (turn: Turn) {
    const { sessionId } = turn
    const known = kernels.get(sessionId)
    let notes: ReadonlyArray<string> = []
    const sandbox = (yield* valueInTurn(options.sandbox)) ?? SandboxPolicy.fullAccess
    const place = { cwd: (yield* valueInTurn(options.directory)) ?? options.cwd, sandbox }
    if (known !== undefined && !known.hasEnded()) {
      if (Equal.equals(places.get(known), place)) return { kernel: known, notes }
      yield* end(sessionId, known)
      notes = [otherPlace]
    }
    const kernel = yield* Kernel.start({ ...options, cwd: place.cwd }, fibers).pipe(
      SandboxPolicy.confine(sandbox),
      Effect.provideService(Processes, processes),
      Effect.mapError((error) => new ToolFailure({ detail: error.message }))
    )
    if (known === undefined) {
      const forget = Effect.sync(() => kernels.delete(sessionId))
      yield* Scope.addFinalizer(yield* turn.session.scope, forget)
    }
    kernels.set(sessionId, kernel)
    places.set(kernel, place)
    return { kernel, notes }
  })
  return Kernels.of({
    reset: Effect.flatMap(Turn, ({ sessionId }) => {
      const kernel = kernels.get(sessionId)
      return Effect.as(kernel === undefined ? Effect.void : end(sessionId, kernel), "The kernel was reset.")
    }),
    run: Effect.fnUntraced(function* (params) {
      const turn = yield* Turn
      const nested = yield* NestedCalls
      const cell = yield* cellOf(params)
      const { kernel, notes } = yield* kernelFor(turn)
      const reset = Effect.catchCause(end(turn.sessionId, kernel), (cause) =>
        Effect.logWarning("the JavaScript kernel of an interrupted turn could not be reset", cause)
      )
      // an abort resets the kernel after its hook, and interrupts the call before that
      const unregister = yield* turn.onAbort({ kind: "cleanup", name: "js_repl", afterHook: true, run: () => reset })
      const afterInterrupt = Effect.flatMap(Effect.exit(turn.abortReason), (reason) =>
        reason._tag === "Success" && reason.value === undefined ? Effect.andThen(reset, unregister) : Effect.void
      )
      const clock = CellClock.make(Math.min(params.timeout_ms ?? timeoutMillis.otherwise, timeoutMillis.max))
      const cellEnds = kernel.run(cell, (name, args) => clock.pauseDuring(callTool(nested, name, args)))
      const outcome = yield* Effect.raceFirst(cellEnds, Effect.as(clock.used, tooLong)).pipe(
        // the kernel does not read its input
        Effect.catchTag("InputClosed", () => Effect.succeed(Kernel.hasEnded)),
        Effect.tap((outcome) => (outcome === tooLong || outcome === Kernel.hasEnded ? reset : Effect.void)),
        Effect.onInterrupt(() => afterInterrupt)
      )
      yield* unregister
      // a fetch that fails does not say why
      const denials = yield* Effect.provideContext(NetworkDenials.take(kernel.process.processId), context)
      return yield* resultOf(outcome, [...notes, ...NetworkDenials.lines(denials)])
    })
  })
})

const otherPlace = "This turn has another directory or sandbox, so this is a new kernel without the earlier variables."

const tooLong: Kernel.Outcome = {
  output: "",
  images: [],
  error: "The cell took too long. The kernel was reset; its variables are gone."
}

/** Calls a tool for a cell. A kernel may not call tools that would end or block it. */
const callTool = (nested: NestedCalls | undefined, name: string, params: unknown): Effect.Effect<Kernel.Reply> => {
  if (nested === undefined) return Effect.succeed({ error: "no tool can be called here" })
  if (names.some((one) => one === name)) return Effect.succeed({ error: `a cell cannot call ${name}` })
  return Effect.map(nested.call(name, params), ({ output, status }) =>
    status === "completed" ? { output } : { error: typeof output === "string" ? output : JSON.stringify(output) }
  )
}

const cellOf = ({ code, timeout_ms }: Parameters): Effect.Effect<Cells.Cell, ToolFailure> => {
  const refuse = (detail: string) => Effect.fail(new ToolFailure({ detail: `The cell was not run: ${detail}` }))
  if (code.length > maxCodeCharacters) return refuse(`it has more than ${maxCodeCharacters} characters`)
  if (timeout_ms !== undefined && timeout_ms <= 0) return refuse("timeout_ms must be greater than 0")
  try {
    return Effect.succeed(Cells.rewriteUnsafe(code))
  } catch (error) {
    return refuse((error as Error).message)
  }
}

/** The text of a cell that has ended, after its images were shown. `notes` are lines before its output. */
const resultOf = Effect.fnUntraced(function* (
  { error, images, output, value }: Kernel.Outcome,
  notes: ReadonlyArray<string>
) {
  const problems: Array<string> = []
  for (const data of images) {
    const bytes = Base64.decode(data)
    const input = bytes._tag === "Success" ? ViewImage.toInput(bytes.success) : undefined
    if (input === undefined) problems.push("An image was not shown: it is not a PNG, JPEG, GIF or WebP image.")
    else yield* ViewImage.attach(input)
  }
  const text = [...notes, output.replace(/\n$/, ""), ...problems, error ?? value ?? ""]
    .filter((one) => one !== "")
    .join("\n")
  if (error !== undefined) return yield* new ToolFailure({ detail: text })
  return text === "" ? "The cell has no output." : text
})
