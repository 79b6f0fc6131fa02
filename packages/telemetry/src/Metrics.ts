/**
 * Every metric of this package in one table: name, kind, unit, attributes, and when it is recorded (contract O2).
 *
 * The README's table is written from this one (`scripts/metrics.mjs`), and a test holds both together. `set` says to
 * which family of names a metric belongs: `spindle` and `gen_ai` (the conventions of OpenTelemetry for generative AI)
 * are recorded by default, `reference` has the names, units and attributes of the reference system.
 */

/** The family of names that a metric belongs to. */
export type MetricSet = "spindle" | "gen_ai" | "reference"

/** One metric. `waitsFor` names the part of the project that will record it; until then nobody does. */
export interface Definition {
  readonly name: string
  /** A counter only grows; an updown counter says how many there are now. */
  readonly kind: "counter" | "updown" | "histogram"
  /** In UCUM, as OpenTelemetry writes it: `s`, `ms`, `{token}`. */
  readonly unit: string
  readonly attributes: ReadonlyArray<string>
  readonly moment: string
  readonly set: MetricSet
  readonly waitsFor?: string
}

const counter = (name: string, unit: string, attributes: ReadonlyArray<string>, moment: string) =>
  ({ name, kind: "counter", unit, attributes, moment, set: setOf(name) }) satisfies Definition
const updown = (name: string, unit: string, attributes: ReadonlyArray<string>, moment: string) =>
  ({ name, kind: "updown", unit, attributes, moment, set: setOf(name) }) satisfies Definition
const histogram = (name: string, unit: string, attributes: ReadonlyArray<string>, moment: string) =>
  ({ name, kind: "histogram", unit, attributes, moment, set: setOf(name) }) satisfies Definition

const setOf = (name: string): MetricSet =>
  name.startsWith("codex.") ? "reference" : name.startsWith("gen_ai.") ? "gen_ai" : "spindle"

const genAi = ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"]
const atEnd = "terminal record of a turn"

/** All metrics, by the name that the recorder has for them. */
export const definitions = {
  sessionStarted: counter("spindle.session.started", "{session}", ["source"], "first record of a session, or a resume"),
  sessionFailed: counter("spindle.session.failed", "{session}", [], "`SessionFailed`"),
  submissionDuration: histogram(
    "spindle.submission.duration",
    "s",
    ["op", "receipt", "error.type"],
    "receipt of a submission, from its call"
  ),
  turnStarted: counter("spindle.turn.started", "{turn}", ["task.kind"], "`TurnStarted`"),
  turnActive: updown("spindle.turn.active", "{turn}", ["task.kind"], "`TurnStarted`, terminal record"),
  turnDuration: histogram(
    "spindle.turn.duration",
    "s",
    ["task.kind", "outcome", "abort.reason", "error.type"],
    `${atEnd}, from \`TurnStarted\``
  ),
  timeToFirstToken: histogram(
    "spindle.turn.time_to_first_token",
    "s",
    ["task.kind"],
    "first output of the model in a turn: a delta of text or reasoning, a message, reasoning or a tool call"
  ),
  timeToFirstMessage: histogram(
    "spindle.turn.time_to_first_message",
    "s",
    ["task.kind"],
    "first complete assistant message of a turn"
  ),
  turnToolCalls: histogram("spindle.turn.tool_calls", "{call}", ["task.kind", "outcome"], atEnd),
  turnTokens: histogram(
    "spindle.turn.token_usage",
    "{token}",
    ["task.kind", "outcome", "token.type"],
    `${atEnd}; one point for each of total, input, cached_input, output, reasoning_output`
  ),
  turnProxy: counter("spindle.turn.network_proxy", "{turn}", ["active", "tmp_mem_enabled"], atEnd),
  toolDuration: histogram(
    "spindle.tool.duration",
    "s",
    ["gen_ai.tool.name", "status"],
    "result of a tool call, from the record of the call"
  ),
  modelRetries: counter("spindle.model.retries", "{retry}", ["error.type"], "`ModelRetrying`"),
  approvalRequested: counter("spindle.approval.requested", "{request}", ["kind"], "`RequestOpened`"),
  approvalDecided: counter("spindle.approval.decided", "{request}", ["kind", "decision"], "`RequestSettled`"),
  approvalDuration: histogram(
    "spindle.approval.duration",
    "s",
    ["kind", "decision"],
    "`RequestSettled`, from `RequestOpened`"
  ),
  abortDuration: histogram(
    "spindle.abort.duration",
    "s",
    ["phase", "abort.reason"],
    "accepted: receipt of an interrupt, from its call; settled: `TurnAborted`, from the request; straggler: `StragglerEnded`, from the request"
  ),
  stragglers: counter(
    "spindle.abort.stragglers",
    "{straggler}",
    ["kind"],
    "`TurnAborted`, once for each that it names"
  ),
  inputAccepted: counter("spindle.input.accepted", "{input}", ["delivery"], "`InputAccepted`; steered or queued"),
  inputFate: counter(
    "spindle.input.fate",
    "{input}",
    ["fate"],
    "carried, blocked, returned or dropped: when it happens; kept: when a terminal record names it"
  ),
  inboxWaiting: updown("spindle.inbox.waiting", "{input}", [], "`InputAccepted`, fate of an input, end of the session"),
  processStarted: counter("spindle.process.started", "{process}", ["keep"], "`ProcessStarted`"),
  processActive: updown(
    "spindle.process.active",
    "{process}",
    [],
    "`ProcessStarted`, `ProcessEnded`, end of the session"
  ),
  processDuration: histogram(
    "spindle.process.duration",
    "s",
    ["exit"],
    "`ProcessEnded`, from `ProcessStarted`; exit is zero, nonzero, signal or none"
  ),
  journalAppend: histogram("spindle.journal.append.duration", "s", [], "batch of records written"),
  journalBatch: histogram(
    "spindle.journal.append.records",
    "{record}",
    [],
    "batch of records written: the depth of the write queue"
  ),
  journalFlush: histogram("spindle.journal.flush.duration", "s", [], "end of a wait for the journal"),
  exportDropped: counter(
    "spindle.telemetry.dropped",
    "{span}",
    ["reason"],
    "span that no collector will get: queue_full, refused or shutdown"
  ),
  delegateStarted: waitsFor(
    "delegates",
    counter("spindle.delegate.started", "{delegate}", ["mode"], "start of a delegate")
  ),
  delegateEnded: waitsFor(
    "delegates",
    counter("spindle.delegate.ended", "{delegate}", ["mode", "outcome"], "end of a delegate")
  ),
  delegateDepth: waitsFor("delegates", histogram("spindle.delegate.depth", "{level}", [], "start of a delegate")),
  operationDuration: histogram(
    "gen_ai.client.operation.duration",
    "s",
    [...genAi, "error.type"],
    "`ModelResponded`, from `ModelRequested`"
  ),
  timeToFirstChunk: histogram(
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    genAi,
    "first output of a model request, from `ModelRequested`"
  ),
  clientTokens: histogram(
    "gen_ai.client.token.usage",
    "{token}",
    [...genAi, "gen_ai.token.type"],
    "`ModelResponded`; one point for input, one for output"
  ),
  codexTurnDuration: histogram("codex.turn.e2e_duration_ms", "ms", [], atEnd),
  codexTimeToFirstToken: histogram("codex.turn.ttft.duration_ms", "ms", [], "as `spindle.turn.time_to_first_token`"),
  codexTimeToFirstMessage: histogram(
    "codex.turn.ttfm.duration_ms",
    "ms",
    [],
    "as `spindle.turn.time_to_first_message`"
  ),
  codexTurnProxy: counter("codex.turn.network_proxy", "{turn}", ["active", "tmp_mem_enabled"], atEnd),
  codexTurnToolCalls: histogram("codex.turn.tool.call", "{call}", ["tmp_mem_enabled"], atEnd),
  codexTurnTokens: histogram(
    "codex.turn.token_usage",
    "{token}",
    ["token_type", "tmp_mem_enabled"],
    `${atEnd}; five points, as \`spindle.turn.token_usage\``
  ),
  codexTaskCompact: counter("codex.task.compact", "{task}", ["type"], "`TurnStarted` of this kind"),
  codexTaskReview: counter("codex.task.review", "{task}", [], "`TurnStarted` of this kind"),
  codexTaskUndo: counter("codex.task.undo", "{task}", [], "`TurnStarted` of this kind"),
  codexTaskUserShell: counter("codex.task.user_shell", "{task}", [], "`TurnStarted` of this kind"),
  codexThreadStarted: counter("codex.thread.started", "{thread}", ["is_git"], "first record of a session"),
  codexTurnCount: counter("codex.conversation.turn.count", "{turn}", [], "end of the session: its turns"),
  codexApprovalRequested: counter("codex.approval.requested", "{request}", ["tool", "approved"], "`RequestSettled`")
} as const

function waitsFor<D extends Definition>(part: string, definition: D): D & { readonly waitsFor: string } {
  return { ...definition, waitsFor: part }
}

/** A metric, by the name that the recorder has for it. */
export type MetricId = keyof typeof definitions

/** The attributes of one point. */
export type Attributes = { readonly [name: string]: string }

/** One point of a metric. */
export interface Measurement {
  readonly metric: MetricId
  readonly value: number
  readonly attributes: Attributes
}

/** The bounds of the buckets of a histogram, by its unit. */
export const boundariesOf = (unit: string): ReadonlyArray<number> => {
  switch (unit) {
    case "s":
      return [
        0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96,
        81.92, 300, 1200
      ]
    case "ms":
      return [0.1, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 1_200_000]
    case "{token}":
      return [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304]
    default:
      return [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 512]
  }
}

/** The table of the README. */
export const markdown = (): string => {
  const rows = Object.values<Definition>(definitions).map((one) => {
    const attributes = one.attributes.length === 0 ? "-" : one.attributes.map((name) => `\`${name}\``).join(", ")
    const note = one.waitsFor === undefined ? "" : ` (*not recorded yet: comes with ${one.waitsFor}*)`
    return `| \`${one.name}\` | ${one.kind} | \`${one.unit}\` | ${attributes} | ${one.moment}${note} |`
  })
  return ["| metric | kind | unit | attributes | recorded at |", "| --- | --- | --- | --- | --- |", ...rows].join("\n")
}
