/** The processes of turns. A process is recorded before it starts, and its turn owns and ends it (contract X1, X3). */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import type { Process, ProcessExit, ProcessFailed } from "../../ports/Processes.ts"
import { Processes } from "../../ports/Processes.ts"
import type { ProcessId } from "../../protocol/Ids.ts"
import { toFinite } from "../../protocol/Item.ts"
import { fromSpan } from "../../protocol/TraceContext.ts"
import * as Tracing from "../../Tracing.ts"
import type { OwnedResource, TurnProcessSpec } from "../../Turn.ts"
import { forkDetached } from "../detached.ts"
import { millis } from "../session/sessionContext.ts"
import type { Ledger } from "./ledger.ts"
import type { TurnParts } from "./turnParts.ts"
import { below } from "./turnSpan.ts"

/** The owner of the processes of a turn: the turn itself, or a hook that runs after its abort. */
export interface ProcessOwner {
  /** Returns whether the owner starts nothing more. */
  readonly isClosing: () => boolean
  /** Registers a process, and returns a function that reports that it has ended. */
  readonly own: (resource: OwnedResource) => () => void
}

/** Starts a process that belongs to a turn. */
export const start = (
  { recorder, session }: TurnParts,
  { ledger, owner }: { readonly ledger: Ledger; readonly owner: ProcessOwner },
  spec: TurnProcessSpec,
  flush: Effect.Effect<void>
): Effect.Effect<Process, ProcessFailed, Processes> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const processes = yield* Processes
      const context = yield* Effect.context<never>()
      // atomically with the record: a straggler may have been delayed since its call was accepted (I3)
      if (owner.isClosing()) return yield* Effect.interrupt
      const processId = session.newId() as ProcessId
      const { callId, keep = false, ...rest } = spec
      recorder.append({
        _tag: "ProcessStarted",
        processId,
        turnId: ledger.origin.turnId,
        command: spec.command,
        cwd: spec.cwd,
        keep,
        ...(callId === undefined ? {} : { callId })
      })
      const span = Tracing.open(context, spanOf(context, { ...spec, processId }))
      if (span !== undefined && !keep) ledger.spans?.add(span)
      const recordEnd = (exit: ProcessExit) => {
        // the span of a process that was kept after its start has ended with its turn
        if (span !== undefined && (keep || ledger.spans?.delete(span) === true)) endSpan(context, span, exit)
        const exitCode = exit.exitCode === null ? null : toFinite(exit.exitCode)
        recorder.append({ _tag: "ProcessEnded", processId, ...exit, exitCode })
      }
      const env = { ...traceEnvironment(context, span), ...rest.env }
      const begin = Effect.suspend(() =>
        // the turn may have begun to close while the record was written (I2)
        owner.isClosing() ? Effect.interrupt : processes.start({ ...rest, env, processId })
      )
      const end = Effect.suspend(() => processes.end(processId, millis(session.config.processGrace)))
      const process = yield* Effect.onError(restore(Effect.andThen(flush, begin)), (cause) =>
        Effect.sync(() => {
          const record = Effect.sync(() => recordEnd({ exitCode: null }))
          // an interruption may have come after the process had started; it is ended first then
          const last = Cause.hasInterrupts(cause) ? Effect.andThen(below(ledger, end), record) : record
          forkDetached(session.context, last)
        })
      )
      // registered now and not before, because an end that comes while the process starts would not find it. If the
      // turn has begun to close in the meantime, it ends the process at once.
      const release = owner.own({
        kind: "process",
        id: processId,
        name: `${spec.command.join(" ").slice(0, 80)} (pid ${process.pid})`,
        keep,
        end: () => end,
        drain: session.config.grace
      })
      // this fiber ends with the process, which its turn or the session ends; a closed session records nothing more
      forkDetached(
        session.context,
        Effect.andThen(Effect.map(process.exit, recordEnd), Effect.map(process.gone, release))
      )
      return process
    })
  )

/** Returns the settings of the span of a process, below the call that started it. Its arguments are content. */
const spanOf = (
  context: Context.Context<never>,
  spec: TurnProcessSpec & { readonly processId: ProcessId }
): Tracing.SpanSettings => {
  const executable = (spec.command[0] ?? "").split("/").at(-1) ?? ""
  const command = Tracing.content(context, () => spec.command)
  return {
    name: `process ${executable}`,
    attributes: {
      "process.executable.name": executable,
      "spindle.process.id": spec.processId,
      "spindle.process.keep": spec.keep ?? false,
      ...(command === undefined ? {} : { "process.command_args": command })
    }
  }
}

const endSpan = (context: Context.Context<never>, span: Tracer.Span, exit: ProcessExit): void => {
  Tracing.annotate(context, span, {
    ...(exit.exitCode === null ? {} : { "process.exit.code": exit.exitCode }),
    ...(exit.signal === undefined ? {} : { "spindle.process.signal": exit.signal })
  })
  Tracing.end(context, span, { _tag: exit.exitCode === null ? "aborted" : "completed" })
}

/** Returns the variables of the trace that a process continues: its own span, or else the current span. */
const traceEnvironment = (
  context: Context.Context<never>,
  own: Tracer.Span | undefined
): { readonly TRACEPARENT?: string; readonly TRACESTATE?: string } => {
  const span = own ?? Tracing.currentSpan(context)
  if (span === undefined) return {}
  const { traceparent, tracestate } = fromSpan(span)
  return { TRACEPARENT: traceparent, ...(tracestate === undefined ? {} : { TRACESTATE: tracestate }) }
}
