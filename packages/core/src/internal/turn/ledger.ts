/**
 * The ledger of one turn: text that is being streamed, calls and their results, the steering gate. It belongs to the
 * owner of the turn and is complete at every moment, so that the turn can be settled without its task (contract I3, I6,
 * I7).
 */
import * as Schema from "effect/Schema"
import type * as Tracer from "effect/Tracer"
import { CallDetail } from "../../protocol/Display.ts"
import type { CallId, ItemId, ModelRequestId, SubmissionId, TurnId } from "../../protocol/Ids.ts"
import type { Input } from "../../protocol/Input.ts"
import { type Item, jsonOfUnsafe, type NewItem, toFinite, type ToolCall, type ToolStatus } from "../../protocol/Item.ts"
import type { AbortReason } from "../../protocol/Outcome.ts"
import type { Delta } from "../../protocol/SessionEvent.ts"
import type * as SessionEvent from "../../protocol/SessionEvent.ts"
import * as TokenUsage from "../../protocol/TokenUsage.ts"
import type { TraceContext } from "../../protocol/TraceContext.ts"
import * as History from "../../state/History.ts"
import type { Slot } from "../../TaskSupervisor.ts"
import type { Kernel } from "../session/sessionContext.ts"

/** Text of an item that has not ended. */
export interface OpenText {
  readonly itemId: ItemId
  readonly kind: "AssistantMessage" | "Reasoning"
  text: string
}

interface Call {
  readonly call: ToolCall
  readonly startedAt: number
  outputLength: number
  detail: CallDetail | undefined
  result: { readonly status: ToolStatus; readonly output: unknown } | undefined
}

/** How a turn was started. */
export interface TurnOrigin {
  readonly turnId: TurnId
  readonly kind: string
  readonly steerable: boolean
  readonly submissionId: SubmissionId | undefined
  readonly input: Input
  readonly trace: TraceContext | undefined
  /** The turn's span; undefined when no tracer listens. */
  readonly span: Tracer.Span | undefined
}

/** The ledger of one turn. */
export class Ledger {
  readonly origin: TurnOrigin
  readonly slot: Slot
  /** Whether input may still join this turn (contract P4, P7). */
  gateOpen: boolean
  /** Input that the task was started with by hand, until it is carried. */
  ownInput: Input | undefined
  /** Text by the id that the model's stream gave it. */
  readonly texts = new Map<string, OpenText>()
  /** Calls in the order in which the model made them. */
  private calls: Array<Call> = []
  /** The request that was recorded and has not ended. */
  private openRequest: ModelRequestId | undefined
  /** What that request carried, once it was sent; results wait until its response has ended. */
  private sent: ReadonlyArray<Item> | undefined
  /** All text of that response. */
  private answered = ""
  /** The last message of that response, if nothing followed it. */
  lastText: string | undefined
  /** What the task's result says is the last message (contract S5). */
  projected: string | undefined
  /** What that response said it cost, as soon as it has said so. */
  reported: TokenUsage.TokenUsage | undefined
  /** The last model request of the turn. */
  lastRequest: ModelRequestId | undefined
  /** What began in the turn's span and has not ended; ended with the turn (contract O1). */
  readonly spans: Set<Tracer.Span> | undefined
  private itemsStarted = 0
  private readonly kernel: Kernel
  private readonly startSeq: number

  constructor(kernel: Kernel, origin: TurnOrigin, slot: Slot, startSeq: number) {
    this.kernel = kernel
    this.origin = origin
    this.slot = slot
    this.startSeq = startSeq
    this.gateOpen = origin.steerable
    this.spans = origin.span === undefined ? undefined : new Set()
    this.ownInput = origin.submissionId === undefined && origin.input.length > 0 ? origin.input : undefined
  }

  /** Whether the turn starts nothing any more: it was asked to stop, or counts as ended (contract I2). */
  isClosing(): boolean {
    // mutant closing-starts-nothing (I2: a turn that was asked to stop starts nothing):
    //   replace: return this.slot.isFenced()
    return this.slot.isFenced() || this.slot.reason() !== undefined
  }

  /** Names an item of this turn. */
  newItemId(): ItemId {
    return `${this.startSeq}.${this.itemsStarted++}` as ItemId
  }

  /** Records an item under a new id. */
  record(item: NewItem): Item {
    return this.recordAs(this.newItemId(), asJson(item))
  }

  private recordAs(id: ItemId, item: NewItem): Item {
    const named = { ...item, id } as Item
    this.kernel.recorder.append({ _tag: "ItemRecorded", turnId: this.origin.turnId, item: named })
    this.lastText = named._tag === "AssistantMessage" ? named.text : undefined
    if (named._tag === "ToolCall") {
      this.calls.push({
        call: named,
        startedAt: this.kernel.clock.currentTimeMillisUnsafe(),
        outputLength: 0,
        detail: undefined,
        result: undefined
      })
    } else if (named._tag === "ToolResult") {
      this.calls = this.calls.filter(({ call }) => call.callId !== named.callId)
    }
    return named
  }

  /**
   * Records a replacement of the history. Throws during a model request and while a call is open: its result would lose
   * its call.
   */
  replaceHistory(items: ReadonlyArray<Item | NewItem>): ReadonlyArray<Item> {
    if (this.openRequest !== undefined || this.calls.length > 0) {
      throw new Error("a turn replaces its history between model requests, while no call is open")
    }
    const named = items.map((item) => ({ ...asJson(item), id: "id" in item ? item.id : this.newItemId() }) as Item)
    this.kernel.recorder.append({ _tag: "HistoryReplaced", turnId: this.origin.turnId, items: named })
    return named
  }

  /** Adds to a text, which begins with its first piece, and tells it. */
  addText(streamId: string, kind: OpenText["kind"], text: string): void {
    if (text.length === 0) return
    let open = this.texts.get(streamId)
    if (open === undefined) {
      open = { itemId: this.newItemId(), kind, text: "" }
      this.texts.set(streamId, open)
    }
    const offset = open.text.length
    open.text += text
    this.answered += text
    this.kernel.recorder.tell(this.delta(open, offset, text))
  }

  private delta(open: OpenText, offset: number, text: string): Delta {
    return {
      _tag: open.kind === "Reasoning" ? "ReasoningDelta" : "TextDelta",
      turnId: this.origin.turnId,
      itemId: open.itemId,
      offset,
      text
    }
  }

  /** Ends a text and records it; an empty one without anything for the provider leaves nothing. */
  endText(
    streamId: string,
    kind: OpenText["kind"],
    extra: {
      readonly encrypted?: string
      readonly sealedBy?: string
      readonly providerId?: string
      readonly partial?: "aborted" | "superseded"
    }
  ): void {
    const open = this.texts.get(streamId)
    this.texts.delete(streamId)
    if (open === undefined && extra.encrypted === undefined) return
    const item: NewItem = { _tag: kind, text: open?.text ?? "", ...extra }
    this.recordAs(open?.itemId ?? this.newItemId(), item)
  }

  /**
   * Records a request that is about to go out. Throws while another is open: the texts and calls of two answers could
   * not be told apart.
   */
  openAttempt(
    requestId: ModelRequestId,
    told: { readonly attempt: number; readonly provider: string; readonly model: string }
  ) {
    if (this.openRequest !== undefined) {
      throw new Error(`a turn samples one request at a time: ${this.openRequest} has not ended`)
    }
    this.openRequest = requestId
    this.lastRequest = requestId
    const attempt = toFinite(told.attempt)
    this.kernel.recorder.append({ _tag: "ModelRequested", turnId: this.origin.turnId, requestId, ...told, attempt })
  }

  /** Whether this request was recorded and has not ended. */
  isOpen(requestId: ModelRequestId): boolean {
    return this.openRequest === requestId
  }

  /** The open request goes out: the results of its calls wait until its response has ended. */
  send(items: ReadonlyArray<Item>): void {
    this.sent = items
    this.answered = ""
    this.lastText = undefined
    this.reported = undefined
  }

  /**
   * The open request has ended, if there is one: its open texts are cut, its usage is recorded, as reported or
   * estimated, and results that are there are recorded in the order of their calls. One that was not sent has cost
   * nothing. Answers the usage that was recorded.
   */
  endRequest(
    finish: (typeof SessionEvent.ModelResponded.Type)["finish"],
    reported: TokenUsage.TokenUsage | undefined = this.reported,
    partial: "aborted" | "superseded" | undefined
  ): TokenUsage.TokenUsage {
    // mutant request-ends-once (I7: the ledger ends a request once):
    //   replace: `this.openRequest` => `this.openRequest ?? this.lastRequest`
    const requestId = this.openRequest
    if (requestId === undefined) return TokenUsage.zero
    const items = this.sent
    this.openRequest = undefined
    this.sent = undefined
    if (partial === undefined) for (const [streamId, open] of this.texts) this.endText(streamId, open.kind, {})
    else for (const [streamId, open] of this.texts) this.endText(streamId, open.kind, { partial })
    const usage =
      items === undefined
        ? { usage: TokenUsage.zero }
        : reported === undefined || !isCount(reported)
          ? { usage: History.estimateUsage(items, this.answered), estimated: true as const }
          : { usage: reported }
    this.kernel.recorder.append({
      _tag: "ModelResponded",
      turnId: this.origin.turnId,
      requestId,
      finish,
      ...usage
    })
    this.drainCalls()
    return usage.usage
  }

  /** Ends all texts that are open outside a request, as partial ones. */
  closeTexts(): void {
    for (const [streamId, open] of this.texts) this.endText(streamId, open.kind, { partial: "aborted" })
  }

  /** The id under which a call is recorded: the model's, unless that is still open. */
  freeCallId(callId: CallId): CallId {
    let free = callId
    for (let count = 2; this.calls.some(({ call }) => call.callId === free); count++)
      free = `${callId}#${count}` as CallId
    return free
  }

  /** Tells output of a running call. */
  output(callId: CallId, text: string): void {
    const open = this.calls.find(({ call }) => call.callId === callId)
    const offset = open?.outputLength ?? 0
    if (open !== undefined) open.outputLength += text.length
    this.kernel.recorder.tell({ _tag: "ToolOutput", turnId: this.origin.turnId, callId, offset, text })
  }

  /** Notes what came of a running call; its result carries the last note. Throws for what a record cannot carry. */
  detail(callId: CallId, detail: CallDetail): void {
    const open = this.calls.find(({ call }) => call.callId === callId)
    if (open !== undefined) open.detail = checkedDetail(detail)
  }

  /** Notes the result of a call; a second one is ignored. */
  finish(callId: CallId, status: ToolStatus, output: unknown): void {
    const open = this.calls.find(({ call }) => call.callId === callId)
    if (open === undefined || open.result !== undefined) return
    open.result = { status, output }
    if (this.sent === undefined) this.drainCalls()
  }

  private drainCalls(): void {
    while (this.calls[0]?.result !== undefined) this.recordResult(this.calls[0], this.calls[0].result)
  }

  private recordResult(
    { call, detail }: Call,
    result: { readonly status: ToolStatus; readonly output: unknown },
    aborted?: { readonly reason: AbortReason; readonly afterMillis: number }
  ): void {
    this.record({
      _tag: "ToolResult",
      callId: call.callId,
      name: call.name,
      ...result,
      ...(detail === undefined ? {} : { detail }),
      ...(aborted === undefined ? {} : { aborted })
    })
  }

  /**
   * Gives every open call a result: its own if it has one, else that it was aborted, or that the turn failed (contract
   * I6).
   */
  closeCalls(reason: AbortReason | undefined): void {
    for (const open of this.calls) {
      const afterMillis = this.kernel.clock.currentTimeMillisUnsafe() - open.startedAt
      if (open.result !== undefined) this.recordResult(open, open.result)
      else if (reason === undefined) {
        this.recordResult(open, { status: "failed", output: "The turn ended before this call did." })
      } else {
        const output = History.abortedOutput(reason, afterMillis)
        this.recordResult(open, { status: "aborted", output }, { reason, afterMillis })
      }
    }
  }
}

/**
 * What a task or a model hands in, as its record will be read back (J3). Throws for what JSON cannot say: a defect of
 * whoever made it.
 */
const asJson = (item: NewItem): NewItem => {
  if (item._tag === "ToolCall") return { ...item, params: jsonOfUnsafe(item.params) }
  if (item._tag !== "ToolResult") return item
  const { aborted, detail, output } = item
  return {
    ...item,
    output: jsonOfUnsafe(output),
    ...(detail === undefined ? {} : { detail: checkedDetail(detail) }),
    ...(aborted === undefined ? {} : { aborted: { ...aborted, afterMillis: toFinite(aborted.afterMillis) } })
  }
}

// a tool measures what it reports: a duration may be no finite number
const checkedDetail = Schema.decodeUnknownSync(CallDetail)

const isCount = (usage: TokenUsage.TokenUsage): boolean =>
  Object.values(usage).every((count) => Number.isFinite(count) && count >= 0)
