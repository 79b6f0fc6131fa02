/**
 * Every metric of this package in one table: name, kind, unit, attributes, and when it is recorded (contract O2).
 *
 * The README's table is written from this one (`scripts/metrics.mjs`), and a test holds both together. `set` says to
 * which family of names a metric belongs: `spindle` and `gen_ai` (the conventions of OpenTelemetry for generative AI)
 * are recorded by default, `reference` has the names, units and attributes of the reference system.
 */

/** The family of names that a metric belongs to. */
export type MetricSet = "spindle" | "gen_ai" | "reference"

/** One metric. */
export interface Definition {
  readonly name: string
  /** A counter only grows; an updown counter says how many there are now. */
  readonly kind: "counter" | "updown" | "histogram"
  /** In UCUM, as OpenTelemetry writes it: `s`, `ms`, `{token}`. */
  readonly unit: string
  readonly attributes: ReadonlyArray<string>
  readonly moment: string
  readonly set: MetricSet
}

/** By which attributes a metric is told apart, and when it is recorded. */
interface Told {
  readonly by?: ReadonlyArray<string>
  readonly at: string
}
const made =
  <const Kind extends Definition["kind"]>(kind: Kind) =>
  (name: string, unit: string, { at, by = [] }: Told): Definition & { readonly kind: Kind } => ({
    name,
    kind,
    unit,
    attributes: by,
    moment: at,
    set: setOf(name)
  })
const counter = made("counter")
const updown = made("updown")
const histogram = made("histogram")

const setOf = (name: string): MetricSet =>
  name.startsWith("codex.") ? "reference" : name.startsWith("gen_ai.") ? "gen_ai" : "spindle"

const genAi = ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"]
const atEnd = "terminal record of a turn"

/** All metrics, by the name that the recorder has for them. */
export const definitions = {
  sessionStarted: counter("spindle.session.started", "{session}", {
    by: ["source"],
    at: "first record of a session, or a resume"
  }),
  sessionFailed: counter("spindle.session.failed", "{session}", { at: "`SessionFailed`" }),
  submissionDuration: histogram("spindle.submission.duration", "s", {
    by: ["op", "receipt", "error.type"],
    at: "receipt of a submission, from its call"
  }),
  turnStarted: counter("spindle.turn.started", "{turn}", { by: ["task.kind"], at: "`TurnStarted`" }),
  turnActive: updown("spindle.turn.active", "{turn}", { by: ["task.kind"], at: "`TurnStarted`, terminal record" }),
  turnDuration: histogram("spindle.turn.duration", "s", {
    by: ["task.kind", "outcome", "abort.reason", "error.type"],
    at: `${atEnd}, from \`TurnStarted\``
  }),
  timeToFirstToken: histogram("spindle.turn.time_to_first_token", "s", {
    by: ["task.kind"],
    at: "first output of the model in a turn: a delta of text or reasoning, a message, reasoning or a tool call"
  }),
  timeToFirstMessage: histogram("spindle.turn.time_to_first_message", "s", {
    by: ["task.kind"],
    at: "first complete assistant message of a turn"
  }),
  turnToolCalls: histogram("spindle.turn.tool_calls", "{call}", { by: ["task.kind", "outcome"], at: atEnd }),
  turnTokens: histogram("spindle.turn.token_usage", "{token}", {
    by: ["task.kind", "outcome", "token.type"],
    at: `${atEnd}; one point for each of total, input, cached_input, output, reasoning_output`
  }),
  turnProxy: counter("spindle.turn.network_proxy", "{turn}", { by: ["active", "tmp_mem_enabled"], at: atEnd }),
  toolDuration: histogram("spindle.tool.duration", "s", {
    by: ["gen_ai.tool.name", "status"],
    at: "result of a tool call, from the record of the call"
  }),
  modelRetries: counter("spindle.model.retries", "{retry}", { by: ["error.type"], at: "`ModelRetrying`" }),
  approvalRequested: counter("spindle.approval.requested", "{request}", { by: ["kind"], at: "`QuestionOpened`" }),
  approvalDecided: counter("spindle.approval.decided", "{request}", {
    by: ["kind", "decision"],
    at: "`QuestionSettled`"
  }),
  approvalDuration: histogram("spindle.approval.duration", "s", {
    by: ["kind", "decision"],
    at: "`QuestionSettled`, from `QuestionOpened`"
  }),
  abortDuration: histogram("spindle.abort.duration", "s", {
    by: ["phase", "abort.reason"],
    at: "accepted: receipt of an interrupt, from its call; settled: `TurnAborted`, from the request; straggler: `StragglerEnded`, from the request"
  }),
  stragglers: counter("spindle.abort.stragglers", "{straggler}", {
    by: ["kind"],
    at: "`TurnAborted`, once for each that it names"
  }),
  inputAccepted: counter("spindle.input.accepted", "{input}", {
    by: ["delivery"],
    at: "`InputAccepted`; steered or queued"
  }),
  inputFate: counter("spindle.input.fate", "{input}", {
    by: ["fate"],
    at: "carried, blocked, returned or dropped: when it happens; kept: when a terminal record names it"
  }),
  inboxWaiting: updown("spindle.inbox.waiting", "{input}", {
    at: "`InputAccepted`, fate of an input, end of the session"
  }),
  processStarted: counter("spindle.process.started", "{process}", { by: ["keep"], at: "`ProcessStarted`" }),
  processActive: updown("spindle.process.active", "{process}", {
    at: "`ProcessStarted`, `ProcessEnded`, end of the session"
  }),
  processDuration: histogram("spindle.process.duration", "s", {
    by: ["exit"],
    at: "`ProcessEnded`, from `ProcessStarted`; exit is zero, nonzero, signal or none"
  }),
  journalAppend: histogram("spindle.journal.append.duration", "s", { at: "batch of records written" }),
  journalBatch: histogram("spindle.journal.append.records", "{record}", {
    at: "batch of records written: the depth of the write queue"
  }),
  subscriberWaiting: updown("spindle.subscriber.waiting", "{event}", {
    at: "record that waits in memory for a subscriber; subscriber that reads or leaves; end of the session"
  }),
  journalFlush: histogram("spindle.journal.flush.duration", "s", { at: "end of a wait for the journal" }),
  exportDropped: counter("spindle.telemetry.dropped", "{span}", {
    by: ["reason"],
    at: "span that no collector will get: queue_full, refused or shutdown"
  }),
  delegateStarted: counter("spindle.delegate.started", "{delegate}", { by: ["mode"], at: "`DelegateStarted`" }),
  delegateActive: updown("spindle.delegate.active", "{delegate}", {
    at: "`DelegateStarted`, `DelegateEnded`, end of the session"
  }),
  delegateEnded: counter("spindle.delegate.ended", "{delegate}", {
    by: ["mode", "outcome"],
    at: "`DelegateEnded`; outcome is the status of the delegate"
  }),
  delegateDepth: histogram("spindle.delegate.depth", "{level}", {
    at: "`DelegateStarted`; 1 is a delegate of a root session"
  }),
  operationDuration: histogram("gen_ai.client.operation.duration", "s", {
    by: [...genAi, "error.type"],
    at: "`ModelResponded`, from `ModelRequested`"
  }),
  timeToFirstChunk: histogram("gen_ai.client.operation.time_to_first_chunk", "s", {
    by: genAi,
    at: "first output of a model request, from `ModelRequested`"
  }),
  clientTokens: histogram("gen_ai.client.token.usage", "{token}", {
    by: [...genAi, "gen_ai.token.type"],
    at: "`ModelResponded`; one point for input, one for output"
  }),
  codexTurnDuration: histogram("codex.turn.e2e_duration_ms", "ms", { at: atEnd }),
  codexTimeToFirstToken: histogram("codex.turn.ttft.duration_ms", "ms", {
    at: "as `spindle.turn.time_to_first_token`"
  }),
  codexTimeToFirstMessage: histogram("codex.turn.ttfm.duration_ms", "ms", {
    at: "as `spindle.turn.time_to_first_message`"
  }),
  codexTurnProxy: counter("codex.turn.network_proxy", "{turn}", { by: ["active", "tmp_mem_enabled"], at: atEnd }),
  codexTurnToolCalls: histogram("codex.turn.tool.call", "{call}", { by: ["tmp_mem_enabled"], at: atEnd }),
  codexTurnTokens: histogram("codex.turn.token_usage", "{token}", {
    by: ["token_type", "tmp_mem_enabled"],
    at: `${atEnd}; five points, as \`spindle.turn.token_usage\``
  }),
  codexTaskCompact: counter("codex.task.compact", "{task}", { by: ["type"], at: "`TurnStarted` of this kind" }),
  codexTaskReview: counter("codex.task.review", "{task}", { at: "`TurnStarted` of this kind" }),
  codexTaskUndo: counter("codex.task.undo", "{task}", { at: "`TurnStarted` of this kind" }),
  codexTaskUserShell: counter("codex.task.user_shell", "{task}", { at: "`TurnStarted` of this kind" }),
  codexThreadStarted: counter("codex.thread.started", "{thread}", { by: ["is_git"], at: "first record of a session" }),
  codexTurnCount: counter("codex.conversation.turn.count", "{turn}", { at: "end of the session: its turns" }),
  codexApprovalRequested: counter("codex.approval.requested", "{request}", {
    by: ["tool", "approved"],
    at: "`QuestionSettled`"
  })
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
    return `| \`${one.name}\` | ${one.kind} | \`${one.unit}\` | ${attributes} | ${one.moment} |`
  })
  return ["| metric | kind | unit | attributes | recorded at |", "| --- | --- | --- | --- | --- |", ...rows].join("\n")
}
