/**
 * Compacts the history of a turn: a request aside asks for a summary, and then one record replaces the history.
 *
 * ```
 *   model.compact ──a summary that frees enough────────────────────┐
 *     │ not offered, fails, or frees too little                     ▼
 *     └─► model.stream, without the oldest items that do not fit ─► HistoryReplaced
 * ```
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { guard, Hooks, provide } from "../Hooks.ts"
import { textOf } from "../internal/foreign.ts"
import * as NoteKind from "../NoteKind.ts"
import { Fragments, none } from "../ports/Fragments.ts"
import { Model } from "../ports/Model.ts"
import type { ItemId } from "../protocol/Ids.ts"
import type { Item } from "../protocol/Item.ts"
import type { SessionConfig } from "../protocol/SessionConfig.ts"
import { CompactionFailed, type ModelFailed } from "../protocol/SessionError.ts"
import * as Compaction from "../state/Compaction.ts"
import * as History from "../state/History.ts"
import { Turn } from "../Turn.ts"
import * as Attempts from "./attempts.ts"

/**
 * The cause of a compaction: a client asked for it, the context is too long for the limit, or too long for the model.
 */
export const Trigger = Schema.Literals(["manual", "limit", "overflow"])
/** @see {@link Trigger} */
export type Trigger = typeof Trigger.Type

const short = (tokens: number): string => (tokens < 10_000 ? `${tokens}` : `${Math.round(tokens / 1_000)}k`)

/**
 * The note that a compaction has started. `tokens` are those of the context, as `Turn.contextTokens` counts them. With
 * `remote` the endpoint of the provider is asked first.
 */
export const CompactionStarted = NoteKind.make("compaction.started", {
  data: Schema.Struct({ trigger: Trigger, tokens: Schema.Finite, remote: Schema.optionalKey(Schema.Literal(true)) }),
  message: ({ tokens }) => `compacting the conversation (about ${short(tokens)} tokens)`
})

/**
 * The note that a compaction has replaced the history. `droppedItems` counts the items that were left out of the
 * summary because they did not fit. With `remote` the endpoint of the provider made the summary.
 */
export const CompactionCompleted = NoteKind.make("compaction.completed", {
  data: Schema.Struct({
    tokensBefore: Schema.Finite,
    tokensAfter: Schema.Finite,
    droppedItems: Schema.Finite,
    remote: Schema.optionalKey(Schema.Literal(true))
  }),
  message: ({ droppedItems, tokensAfter, tokensBefore }) => {
    const dropped = droppedItems === 0 ? "" : `; the ${droppedItems} oldest items did not fit into the summary`
    return `compacted the conversation from about ${short(tokensBefore)} to ${short(tokensAfter)} tokens${dropped}`
  }
})

/**
 * The instructions of the request for a summary. It does not contain the instructions of the agent, so no summary
 * repeats them.
 */
const instructions = [
  "You write the summary with which a coding agent continues a conversation that has become too long.",
  "The agent keeps its instructions and the user's newest messages. It loses everything else, so the summary must contain it.",
  "Do not continue the work, do not answer the user, and do not repeat instructions of the agent."
].join("\n")

const question = [
  "Summarize the conversation above. Write for the agent that continues it. Use these headings:",
  "Goal: what the user wants, with every constraint and preference that still holds.",
  "Done: what was done, and what was found out. Name files, functions, commands and results exactly.",
  "Files: which files were read or changed, and what matters in each of them.",
  "Open: what is unfinished, what failed, and why.",
  "Next: the next steps, in order."
].join("\n")

/** The share of the material that is left out when it does not fit. It is large enough that few requests are needed. */
const dropShare = 1 / 8

/** The options of a compaction. */
export interface Compacting {
  readonly turn: Turn
  readonly config: SessionConfig
  readonly trigger: Trigger
}

/**
 * Compacts the history. **Errors**: `CompactionFailed`, or `ModelFailed` after the retries. The history is then as it
 * was. **Interruption** before the record of the new history leaves the history as it was.
 */
export const compact = Effect.fnUntraced(function* ({
  config,
  trigger,
  turn
}: Compacting): Effect.fn.Return<void, CompactionFailed | ModelFailed, Model> {
  const { sessionId, turnId } = turn
  const fail = (reason: CompactionFailed["reason"]) => new CompactionFailed({ sessionId, turnId, reason })
  const limits = { keepTokens: config.compactKeepTokens, minimumGain: config.compactMinimumGain }
  const history = yield* turn.history
  const restored = yield* restoredFragments
  const before = history.filter((item) => item._tag !== "UserMessage" || !restored.has(item.fragment ?? ""))
  const plan = Compaction.plan(before, limits)
  if (!Compaction.isEnough(before, Compaction.withoutSummary(plan), limits)) return yield* fail("GainTooSmall")
  const hooks = provide(guard(yield* Hooks, turn.warn), Context.make(Turn, turn))
  const asked = trigger === "manual" ? "manual" : "auto"
  const { deny, reason: detail } = yield* hooks.preCompact(turnId, asked)
  if (deny) {
    const why = detail === undefined ? {} : { detail }
    return yield* new CompactionFailed({ sessionId, turnId, reason: "Denied", ...why })
  }
  const isRemote = (yield* Model).compact !== undefined
  yield* turn.note(CompactionStarted, {
    trigger,
    tokens: yield* turn.contextTokens,
    ...(isRemote && { remote: true as const })
  })
  let { material } = plan
  const remote = yield* fromEndpoint(turn, material, (summary) => {
    const items = Compaction.historyAfter(plan, summary)
    // mutant remote-compaction-must-gain (S11: a summary of the endpoint that frees too little is not used): true
    return Compaction.isEnough(before, items, limits) ? items : undefined
  })
  let after = remote
  while (after === undefined) {
    if (material.length === 0) return yield* fail("DoesNotFit")
    const summary = yield* summarize({ config, trigger, turn }, material)
    if (summary === undefined) {
      material = Compaction.withoutOldest(material, dropShare * History.estimateAll(material))
      continue
    }
    if (Compaction.isEmpty(summary)) return yield* fail("EmptySummary")
    after = Compaction.historyAfter(plan, summary)
    // mutant compaction-must-gain (S11: a compaction that frees too little does not replace the history): drop
    if (!Compaction.isEnough(before, after, limits)) return yield* fail("GainTooSmall")
  }
  const tokensBefore = yield* turn.contextTokens
  const known = new Set(history.map(({ id }) => id))
  // mutant compaction-keeps-late-items (S11: a compaction keeps what was recorded while it ran):
  //   replace: yield* turn.replaceHistory(after)
  const replacement = after
  yield* turn.replaceHistory((now) => [...replacement, ...now.filter(({ id }) => !known.has(id))])
  yield* turn.note(CompactionCompleted, {
    tokensBefore,
    tokensAfter: yield* turn.contextTokens,
    droppedItems: plan.material.length - material.length,
    ...(remote !== undefined && { remote: true as const })
  })
  yield* hooks.postCompact(turnId, asked)
})

/**
 * The names of the fragments that the program records again if the history lacks them. A compaction neither keeps nor
 * summarizes them, so that the model sees each once.
 */
const restoredFragments: Effect.Effect<ReadonlySet<string>> = Effect.flatMap(Fragments, (make) =>
  // a defect is reported when the turn takes its input
  Effect.map(
    Effect.catchDefect(
      Effect.suspend(() => make?.([]) ?? Effect.succeed(none)),
      () => Effect.succeed(none)
    ),
    ({ fragments }) => new Set(fragments.map(({ name }) => name))
  )
)

/**
 * Asks the endpoint of the provider for a summary, once, and returns the result of `use`. Returns undefined if the
 * model has no such endpoint, or if the model has to be asked instead.
 */
const fromEndpoint = Effect.fnUntraced(function* <A>(
  turn: Turn,
  material: ReadonlyArray<Item>,
  use: (summary: Compaction.Summary) => A | undefined
): Effect.fn.Return<A | undefined, never, Model> {
  const model = yield* Model
  if (model.compact === undefined) return undefined
  // the turn sends, records, fences and counts the request like any other request aside
  const endpoint: Model = {
    provider: model.provider,
    model: model.model,
    contextWindow: model.contextWindow,
    stream: (asked) => model.compact!(asked)
  }
  const request = { instructions: undefined, tools: [], output: undefined, items: material }
  const asked = turn.sample(request, 1, () => Effect.void).pipe(Effect.provideService(Model, endpoint))
  const without = (why: string) => Effect.as(turn.warn(`${why}; the model is asked for a summary instead`), undefined)
  return yield* Effect.matchCauseEffect(asked, {
    onFailure: (cause) =>
      Cause.hasInterrupts(cause)
        ? Effect.failCause(cause as Cause.Cause<never>)
        : without(`${model.provider} did not compact the conversation: ${textOf(Cause.squash(cause))}`),
    onSuccess: (summary) => {
      const used = Compaction.isEmpty(summary) ? undefined : use(summary)
      return used === undefined
        ? without(`the summary of ${model.provider} frees too little of the conversation`)
        : Effect.succeed(used)
    }
  })
})

/** Asks the model for a summary. Returns undefined if the material does not fit into the model's context window. */
const summarize = (
  { config, turn }: Compacting,
  material: ReadonlyArray<Item>
): Effect.Effect<Compaction.Summary | undefined, ModelFailed, Model> => {
  const asked = { _tag: "Text", text: question } as const
  const items: ReadonlyArray<Item> = [
    ...material,
    { _tag: "UserMessage", id: "compact" as ItemId, content: [asked], fragment: "compact" }
  ]
  const request = { instructions, tools: [], output: undefined, items }
  return Effect.catchTag(
    Attempts.sample({ turn, config, request, onCall: () => Effect.void, afterFailure: Effect.void }),
    "ModelFailed",
    (error) => (error.kind === "ContextWindowExceeded" ? Effect.succeed(undefined) : Effect.fail(error))
  )
}
