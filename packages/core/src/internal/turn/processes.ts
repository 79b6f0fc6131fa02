/** Processes of a session: recorded before they start, owned by their turn, ended with it (contract X1, X3). */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import type { Process, ProcessExit, ProcessFailed } from "../../ports/Processes.ts"
import { Processes } from "../../ports/Processes.ts"
import * as Tracing from "../../Tracing.ts"
import type { ProcessId } from "../../protocol/Ids.ts"
import { toFinite } from "../../protocol/Item.ts"
import type { AbortReason } from "../../protocol/Outcome.ts"
import { fromSpan } from "../../protocol/TraceContext.ts"
import type { TurnProcessSpec } from "../../Turn.ts"
import { type Kernel, millis, type OwnedProcess } from "../session/sessionContext.ts"
import type { Ledger } from "./ledger.ts"

/** Starts a process that belongs to a turn. */
export const start = (
  kernel: Kernel,
  ledger: Ledger,
  spec: TurnProcessSpec,
  flush: Effect.Effect<void>
): Effect.Effect<Process, ProcessFailed, Processes> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const processes = yield* Processes
      const context = yield* Effect.context<never>()
      // in the step that records: a straggler may have been held up since it was let in (I3)
      if (ledger.isClosing()) return yield* Effect.interrupt
      const processId = kernel.newId() as ProcessId
      const { turnId } = ledger.origin
      const keep = spec.keep ?? false
      const { callId, keep: _, ...rest } = spec
      kernel.recorder.append({
        _tag: "ProcessStarted",
        processId,
        turnId,
        command: spec.command,
        cwd: spec.cwd,
        keep,
        ...(callId === undefined ? {} : { callId })
      })
      const span = Tracing.open(context, spanOf(context, { ...spec, processId }))
      if (span !== undefined && !keep) ledger.spans?.add(span)
      const ended = (exit: ProcessExit) => {
        if (span !== undefined) {
          ledger.spans?.delete(span)
          endSpan(context, span, exit)
        }
        const exitCode = exit.exitCode === null ? null : toFinite(exit.exitCode)
        kernel.recorder.append({ _tag: "ProcessEnded", processId, ...exit, exitCode })
      }
      const env = { ...traceEnvironment(context, span), ...rest.env }
      const begin = Effect.suspend(() =>
        // the turn may have begun to close while the record was written (I2)
        ledger.isClosing() ? Effect.interrupt : processes.start({ ...rest, env, processId })
      )
      const started = restore(Effect.andThen(flush, begin))
      const process = yield* Effect.onError(started, () => Effect.sync(() => ended({ exitCode: null })))
      kernel.processes ??= new Map()
      kernel.processes.set(processId, {
        processId,
        turnId,
        name: `${spec.command.join(" ").slice(0, 80)} (pid ${process.pid})`,
        keep,
        end: Effect.andThen(
          processes.end(processId, millis(kernel.config.processGrace)),
          Effect.sync(() => void kernel.processes?.delete(processId))
        )
      })
      // an abort that came while the process was starting has not seen it
      const reason = ledger.slot.reason()
      const forget = isKept(kernel, keep, reason) ? undefined : ledger.slot.onAbort(cleanupOf(kernel, processId))
      const gone = () => {
        kernel.processes?.delete(processId)
        forget?.()
      }
      yield* Effect.sync(() => {
        // ends with the process, which its turn or the session ends; a closed session records nothing any more
        Effect.runForkWith(kernel.context)(
          Effect.andThen(Effect.map(process.exit, ended), Effect.map(process.gone, gone))
        )
      })
      return process
    })
  )

/** The span of a process, below the call that started it. Its arguments are content. */
const spanOf = (
  context: Context.Context<never>,
  spec: TurnProcessSpec & { readonly processId: ProcessId }
): Tracing.SpanSettings => {
  const executable = (spec.command[0] ?? "").split("/").at(-1) ?? ""
  const told = Tracing.content(context, () => spec.command)
  return {
    name: `process ${executable}`,
    attributes: {
      "process.executable.name": executable,
      "spindle.process.id": spec.processId,
      "spindle.process.keep": spec.keep ?? false,
      ...(told === undefined ? {} : { "process.command_args": told })
    }
  }
}

const endSpan = (context: Context.Context<never>, span: Tracer.Span, exit: ProcessExit): void => {
  if (exit.exitCode !== null) span.attribute("process.exit.code", exit.exitCode)
  if (exit.signal !== undefined) span.attribute("spindle.process.signal", exit.signal)
  Tracing.end(context, span, { _tag: exit.exitCode === null ? "aborted" : "completed" })
}

/** What a process is told of the trace that it belongs to: the span of its own, else what its turn descends from. */
const traceEnvironment = (
  context: Context.Context<never>,
  own: Tracer.Span | undefined
): { readonly TRACEPARENT?: string; readonly TRACESTATE?: string } => {
  const span = own ?? Tracing.currentSpan(context)
  if (span === undefined) return {}
  const { traceparent, tracestate } = fromSpan(span)
  return { TRACEPARENT: traceparent, ...(tracestate === undefined ? {} : { TRACESTATE: tracestate }) }
}

const isKept = (kernel: Kernel, keep: boolean, reason: AbortReason | undefined): boolean => {
  if (reason === "Parent" || reason === "Shutdown") return false
  return keep || (reason === "Interrupted" && kernel.policy.processesOnInterrupt === "keep")
}

const cleanupOf = (kernel: Kernel, processId: ProcessId) => {
  const owned = kernel.processes!.get(processId)!
  return {
    kind: "process" as const,
    name: owned.name,
    run: (reason: AbortReason) => (isKept(kernel, false, reason) ? Effect.void : owned.end)
  }
}

/** The processes of a session that are not known to have ended. */
export const owned = (kernel: Kernel): ReadonlyArray<OwnedProcess> => [...(kernel.processes?.values() ?? [])]

/** Ends what is left of the processes of a turn that has ended by itself, all together; answers when they are gone. */
export const endOfTurn = (kernel: Kernel, ledger: Ledger): Effect.Effect<void> =>
  Effect.suspend(() => {
    const left = owned(kernel).filter((one) => one.turnId === ledger.origin.turnId && !one.keep)
    return left.length === 0
      ? Effect.void
      : Effect.forEach(left, (one) => one.end, { concurrency: "unbounded", discard: true })
  })

/** Ends every process of the session, all together. */
export const endAll = (kernel: Kernel): Effect.Effect<void> =>
  Effect.suspend(() => Effect.forEach(owned(kernel), (one) => one.end, { concurrency: "unbounded", discard: true }))
