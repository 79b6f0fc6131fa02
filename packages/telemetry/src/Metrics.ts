/**
 * Every metric of this package in one table: name, kind, unit, attributes and description (contract O2).
 *
 * `npm run metrics` writes the table of the README from this one, and a test compares them. The `spindle` and `gen_ai`
 * families (the latter follows the conventions of OpenTelemetry for generative AI) are recorded by default. The
 * `reference` family has the names, units and attributes of the reference system.
 */

/** The family of names that a metric belongs to. */
export type MetricSet = "spindle" | "gen_ai" | "reference"

/** One metric. */
export interface Definition {
  readonly name: string
  /** A counter only grows. An updown counter has the number that exists now. */
  readonly kind: "counter" | "updown" | "histogram"
  /** The unit in UCUM, as OpenTelemetry writes it: `s`, `ms`, `{token}`. */
  readonly unit: string
  /** The measured value, and when it is recorded. Exporters send it with the metric. */
  readonly description: string
  readonly attributes: ReadonlyArray<string>
  readonly set: MetricSet
}

const setOf = (name: string): MetricSet =>
  name.startsWith("codex.") ? "reference" : name.startsWith("gen_ai.") ? "gen_ai" : "spindle"

const define =
  <const Kind extends Definition["kind"]>(kind: Kind) =>
  (
    name: string,
    unit: string,
    { by = [], description }: { readonly description: string; readonly by?: ReadonlyArray<string> | undefined }
  ): Definition & { readonly kind: Kind } => ({ name, kind, unit, description, attributes: by, set: setOf(name) })

const counter = define("counter")
const updown = define("updown")
const histogram = define("histogram")

const ofRequest = ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"]

/** All metrics, by the name that a {@link Measurement} uses. */
export const definitions = {
  sessionStarted: counter("spindle.session.started", "{session}", {
    description: "Sessions that started: new, forked or resumed.",
    by: ["source"]
  }),
  sessionFailed: counter("spindle.session.failed", "{session}", {
    description: "Sessions that failed because their journal could not be written."
  }),
  submissionDuration: histogram("spindle.submission.duration", "s", {
    description: "Time from the call of submit to its receipt.",
    by: ["op", "receipt", "error.type"]
  }),
  turnStarted: counter("spindle.turn.started", "{turn}", { description: "Turns that started.", by: ["task.kind"] }),
  turnActive: updown("spindle.turn.active", "{turn}", { description: "Turns that are running.", by: ["task.kind"] }),
  turnDuration: histogram("spindle.turn.duration", "s", {
    description: "Time from the start of a turn to its end.",
    by: ["task.kind", "outcome", "abort.reason", "error.type"]
  }),
  timeToFirstToken: histogram("spindle.turn.time_to_first_token", "s", {
    description: "Time from the start of a turn to the first output of the model: text, reasoning or a tool call.",
    by: ["task.kind"]
  }),
  timeToFirstMessage: histogram("spindle.turn.time_to_first_message", "s", {
    description: "Time from the start of a turn to its first complete assistant message.",
    by: ["task.kind"]
  }),
  turnToolCalls: histogram("spindle.turn.tool_calls", "{call}", {
    description: "Tool calls of a turn, recorded at its end.",
    by: ["task.kind", "outcome"]
  }),
  turnTokens: histogram("spindle.turn.token_usage", "{token}", {
    description:
      "Tokens of a turn, recorded at its end for each type: total, input, cached_input, output, reasoning_output.",
    by: ["task.kind", "outcome", "token.type"]
  }),
  turnProxy: counter("spindle.turn.network_proxy", "{turn}", {
    description: "Turns that ended, by whether the network proxy was active.",
    by: ["active"]
  }),
  toolDuration: histogram("spindle.tool.duration", "s", {
    description: "Time from a tool call to its result.",
    by: ["gen_ai.tool.name", "status"]
  }),
  modelRetries: counter("spindle.model.retries", "{retry}", {
    description: "Retries of model requests.",
    by: ["error.type"]
  }),
  approvalRequested: counter("spindle.approval.requested", "{request}", {
    description: "Questions to a person.",
    by: ["kind"]
  }),
  approvalDecided: counter("spindle.approval.decided", "{request}", {
    description: "Questions to a person that were settled.",
    by: ["kind", "decision"]
  }),
  approvalDuration: histogram("spindle.approval.duration", "s", {
    description: "Time from a question to a person until it is settled.",
    by: ["kind", "decision"]
  }),
  abortDuration: histogram("spindle.abort.duration", "s", {
    description:
      "Time from the request to stop a turn to its acceptance, to the end of the turn (settled), and to the end of each straggler.",
    by: ["phase", "abort.reason"]
  }),
  stragglers: counter("spindle.abort.stragglers", "{straggler}", {
    description: "Tasks, processes and others that had not ended when their aborted turn did.",
    by: ["kind"]
  }),
  inputAccepted: counter("spindle.input.accepted", "{input}", {
    description: "Inputs that were accepted: steered into the running turn, or queued.",
    by: ["delivery"]
  }),
  inputFate: counter("spindle.input.fate", "{input}", {
    description: "The fates of inputs: carried, blocked, withdrawn, returned or dropped, or kept at the end of a turn.",
    by: ["fate"]
  }),
  inboxWaiting: updown("spindle.inbox.waiting", "{input}", { description: "Inputs that wait in the inbox." }),
  processStarted: counter("spindle.process.started", "{process}", {
    description: "Processes that started. A kept process may outlive its turn.",
    by: ["keep"]
  }),
  processActive: updown("spindle.process.active", "{process}", { description: "Processes that are running." }),
  processDuration: histogram("spindle.process.duration", "s", {
    description: "Time from the start of a process to its end. The exit is zero, nonzero, signal or none.",
    by: ["exit"]
  }),
  journalAppend: histogram("spindle.journal.append.duration", "s", {
    description: "Time until a batch of records is written to the journal."
  }),
  journalBatch: histogram("spindle.journal.append.records", "{record}", {
    description: "Records in a batch that is written to the journal."
  }),
  subscriberWaiting: updown("spindle.subscriber.waiting", "{event}", {
    description: "Events that wait in memory for subscribers."
  }),
  journalFlush: histogram("spindle.journal.flush.duration", "s", {
    description: "Time of a wait until all records are durable."
  }),
  exportDropped: counter("spindle.telemetry.dropped", "{span}", {
    description: "Spans that were dropped: the queue was full, the collector refused them, or the program ended.",
    by: ["reason"]
  }),
  delegateStarted: counter("spindle.delegate.started", "{delegate}", {
    description: "Delegates that started.",
    by: ["mode"]
  }),
  delegateActive: updown("spindle.delegate.active", "{delegate}", { description: "Delegates that have not ended." }),
  delegateEnded: counter("spindle.delegate.ended", "{delegate}", {
    description: "Delegates that ended, with their status as the outcome.",
    by: ["mode", "outcome"]
  }),
  delegateTokens: histogram("spindle.delegate.token_usage", "{token}", {
    description: "Tokens of a delegate and of all below it, recorded at its end.",
    by: ["mode", "outcome"]
  }),
  delegateDepth: histogram("spindle.delegate.depth", "{level}", {
    description: "Levels of a new delegate below its root session. A delegate of a root session has 1."
  }),
  operationDuration: histogram("gen_ai.client.operation.duration", "s", {
    description: "Time from a model request to the end of its response.",
    by: [...ofRequest, "error.type"]
  }),
  timeToFirstChunk: histogram("gen_ai.client.operation.time_to_first_chunk", "s", {
    description: "Time from a model request to its first output.",
    by: ofRequest
  }),
  clientTokens: histogram("gen_ai.client.token.usage", "{token}", {
    description: "Tokens of a model request, recorded at its end for each type: input, output.",
    by: [...ofRequest, "gen_ai.token.type"]
  }),
  codexTurnDuration: histogram("codex.turn.e2e_duration_ms", "ms", {
    description: "Time from the start of a turn to its end."
  }),
  codexTimeToFirstToken: histogram("codex.turn.ttft.duration_ms", "ms", {
    description: "Time from the start of a turn to the first output of the model."
  }),
  codexTimeToFirstMessage: histogram("codex.turn.ttfm.duration_ms", "ms", {
    description: "Time from the start of a turn to its first complete assistant message."
  }),
  codexTurnProxy: counter("codex.turn.network_proxy", "{turn}", {
    description: "Turns that ended, by whether the network proxy was active.",
    by: ["active", "tmp_mem_enabled"]
  }),
  codexTurnToolCalls: histogram("codex.turn.tool.call", "{call}", {
    description: "Tool calls of a turn, recorded at its end.",
    by: ["tmp_mem_enabled"]
  }),
  codexTurnTokens: histogram("codex.turn.token_usage", "{token}", {
    description: "Tokens of a turn, recorded at its end for each type.",
    by: ["token_type", "tmp_mem_enabled"]
  }),
  codexTaskCompact: counter("codex.task.compact", "{task}", {
    description: "Turns of the kind compact.",
    by: ["type"]
  }),
  codexTaskReview: counter("codex.task.review", "{task}", { description: "Turns of the kind review." }),
  codexTaskUndo: counter("codex.task.undo", "{task}", { description: "Turns of the kind undo." }),
  codexTaskUserShell: counter("codex.task.user_shell", "{task}", { description: "Turns of the kind user_shell." }),
  codexThreadStarted: counter("codex.thread.started", "{thread}", {
    description: "Sessions that are new or forked.",
    by: ["is_git"]
  }),
  codexTurnCount: counter("codex.conversation.turn.count", "{turn}", {
    description: "Turns of a session, recorded when it is closed."
  }),
  codexApprovalRequested: counter("codex.approval.requested", "{request}", {
    description: "Questions to a person that were settled.",
    by: ["tool", "approved"]
  })
}

/** The key of a metric in {@link definitions}. */
export type MetricId = keyof typeof definitions

/** The attributes of one point. */
export type Attributes = { readonly [name: string]: string }

/** One point of a metric. */
export interface Measurement {
  readonly metric: MetricId
  readonly value: number
  readonly attributes: Attributes
}

/** The bucket boundaries of a histogram, by its unit. */
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
    return `| \`${one.name}\` | ${one.kind} | \`${one.unit}\` | ${attributes} | ${one.description} |`
  })
  return ["| metric | kind | unit | attributes | description |", "| --- | --- | --- | --- | --- |", ...rows].join("\n")
}
