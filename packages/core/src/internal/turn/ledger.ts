/**
 * The ledger of one turn: its model response, its calls and their results, the steering gate. It belongs to the owner
 * of the turn and is complete at every moment, so that the owner can settle the turn without its task (contract I3, I6,
 * I7).
 */
import type * as Clock from "effect/Clock"
import type * as Deferred from "effect/Deferred"
import * as Schema from "effect/Schema"
import type * as Tracer from "effect/Tracer"
import { Locals } from "../../Local.ts"
import type { NoteKind } from "../../NoteKind.ts"
import { CallDetail } from "../../protocol/Display.ts"
import type { CallId, ItemId, ModelRequestId, SubmissionId, TurnId } from "../../protocol/Ids.ts"
import type { Input } from "../../protocol/Input.ts"
import { type Item, jsonOfUnsafe, type NewItem, toFinite, type ToolCall, type ToolStatus } from "../../protocol/Item.ts"
import type { TokenUsage } from "../../protocol/TokenUsage.ts"
import type { TurnContext } from "../../protocol/TurnContext.ts"
import type { TraceContext } from "../../protocol/TraceContext.ts"
import type { LiveCall, LiveTurn } from "../../state/TurnEnd.ts"
import type { Slot } from "../../TaskSupervisor.ts"
import type { Recorder } from "../log/recorder.ts"
import { type ItemWriter, Response, type ResponseEnd } from "./response.ts"

interface Call extends LiveCall {
  readonly call: ToolCall
  detail: CallDetail | undefined
  result: LiveCall["result"]
}

/** The origin of a turn. */
export interface TurnOrigin {
  readonly turnId: TurnId
  readonly kind: string
  readonly steerable: boolean
  readonly submissionId: SubmissionId | undefined
  readonly input: Input
  /** True if the input belongs to the task and is not in the inbox. */
  readonly ownsInput: boolean
  readonly trace: TraceContext | undefined
  /** The span of the turn; undefined if no tracer listens. */
  readonly span: Tracer.Span | undefined
  /** The parent of the spans in the turn: its own span, or else that of its caller. */
  readonly parentSpan: Tracer.AnySpan | undefined
}

/**
 * The options of a ledger. `startSeq` is the number of the turn's first record, with which the ids of its items begin.
 */
export interface LedgerOptions {
  readonly recorder: Recorder
  readonly clock: Clock.Clock
  readonly origin: TurnOrigin
  readonly slot: Slot
  readonly startSeq: number
  readonly turnContext: TurnContext | undefined
}

/** The ledger of one turn. */
export class Ledger implements ItemWriter {
  readonly origin: TurnOrigin
  readonly slot: Slot
  /** The context of the turn; undefined if the application provides none. */
  readonly turnContext: TurnContext | undefined
  readonly response: Response
  readonly locals = new Locals()
  /** The spans that began in the turn and have not ended. They end with the turn (contract O1). */
  readonly spans: Set<Tracer.Span> | undefined
  /** One deferred for each task alongside the turn. It is completed when the task has ended. */
  readonly tasks = new Set<Deferred.Deferred<void>>()
  /** True if a task may still start alongside the turn. */
  takesTasks = true
  /** The numbers of model requests and tool calls that the turn has made; see `bounds`. */
  requestsCount = 0
  toolCallsCount = 0
  /** True if the fragments of the turn are not in the history yet. */
  areFragmentsDue = true
  private bound: string | undefined
  private isGateOpen: boolean
  private pendingInput: Input | undefined
  private message: string | null | undefined
  private isOver = false
  /** Calls in the order in which the model made them. */
  private calls: Array<Call> = []
  /** The number of characters of output that were published, by call or command. */
  private readonly outputLengths = new Map<CallId, number>()
  private itemsStarted = 0
  private readonly recorder: Recorder
  private readonly clock: Clock.Clock
  /** The beginning of the ids of the items of the turn. */
  private readonly idPrefix: string

  constructor({ clock, origin, recorder, slot, startSeq, turnContext }: LedgerOptions) {
    this.recorder = recorder
    this.clock = clock
    this.origin = origin
    this.slot = slot
    this.turnContext = turnContext
    this.idPrefix = `${startSeq}.`
    this.response = new Response(origin.turnId, recorder, this)
    this.isGateOpen = origin.steerable
    this.spans = origin.span === undefined ? undefined : new Set()
    this.pendingInput = origin.ownsInput && origin.input.length > 0 ? origin.input : undefined
  }

  /** Returns whether the turn starts nothing more, because it was asked to stop or counts as ended (contract I2). */
  isClosing(): boolean {
    // mutant aborting-starts-nothing (I2: a turn that was asked to stop starts nothing):
    //   replace: return this.slot.isFenced()
    return this.slot.isFenced() || this.slot.reason() !== undefined
  }

  /** True if input may still join this turn (contract P4, P7). */
  get isSteerable(): boolean {
    return this.isGateOpen
  }

  /** Closes the steering gate: no more input joins this turn. */
  closeGate(): void {
    this.isGateOpen = false
  }

  /** The input that the task was started with, if it is not in the inbox, until it is recorded or blocked. */
  get ownInput(): Input | undefined {
    return this.pendingInput
  }

  /** Forgets the input that the task was started with, because it is recorded or blocked. */
  forgetOwnInput(): void {
    this.pendingInput = undefined
  }

  /** The last message, from the result of the task (contract S5). */
  get projected(): string | null | undefined {
    return this.message
  }

  /** Sets the last message, from the result of the task. */
  project(message: string | null | undefined): void {
    this.message = message
  }

  /** The bound that stopped the turn, in words for people; undefined if none did. */
  get stoppedAt(): string | undefined {
    return this.bound
  }

  /** Sets the bound that is about to stop the turn. */
  stopAt(bound: string): void {
    this.bound = bound
  }

  /** Returns whether the owner is writing or has written the last records of the turn. */
  isSettled(): boolean {
    return this.isOver
  }

  /** Called when the owner starts to write the last records of the turn. */
  settle(): void {
    this.isOver = true
  }

  /** Returns the id of the next item of this turn. */
  newItemId(): ItemId {
    return `${this.idPrefix}${this.itemsStarted++}` as ItemId
  }

  /** Returns whether this turn has recorded an item. An item that a replacement of the history keeps has its old id. */
  hasRecorded({ id }: Item): boolean {
    // mutant selection-of-the-turn (M4: a turn offers what its own items select, and not what earlier turns selected): true
    return id.startsWith(this.idPrefix)
  }

  /** Records an item under a new id. */
  record(item: NewItem): Item {
    return this.recordAs(this.newItemId(), toRecorded(item))
  }

  /**
   * Records a replacement of the history. Throws during a model request, and while a call is open, because the result
   * would lose its call.
   */
  replaceHistory(items: ReadonlyArray<Item | NewItem>): ReadonlyArray<Item> {
    if (this.response.isRequested || this.calls.length > 0) {
      throw new Error("a turn replaces its history between model requests, while no call is open")
    }
    const named = items.map((item) => ({ ...toRecorded(item), id: "id" in item ? item.id : this.newItemId() }) as Item)
    this.areFragmentsDue = true
    this.recorder.append({ _tag: "HistoryReplaced", turnId: this.origin.turnId, items: named })
    return named
  }

  /** Records a note. Throws if the data does not fit its kind. */
  note<A>(kind: NoteKind<A>, data: A): void {
    const message = kind.message(data)
    this.recorder.append({
      _tag: "TaskNote",
      turnId: this.origin.turnId,
      name: kind.name,
      data: kind.encode(data),
      ...(message === undefined ? {} : { message })
    })
  }

  recordAs(id: ItemId, item: NewItem): Item {
    const named = { ...item, id } as Item
    this.recorder.append({ _tag: "ItemRecorded", turnId: this.origin.turnId, item: named })
    this.response.noteItem(named)
    if (named._tag === "ToolCall") {
      const startedAt = this.clock.currentTimeMillisUnsafe()
      this.calls.push({ call: named, startedAt, detail: undefined, result: undefined })
    } else if (named._tag === "ToolResult") {
      this.calls = this.calls.filter(({ call }) => call.callId !== named.callId)
      // a later call may have the same id
      this.outputLengths.delete(named.callId)
    }
    return named
  }

  /** Ends a model request, if it is open, and then records the results that waited for its end. Returns the usage. */
  endResponse(requestId: ModelRequestId, end: ResponseEnd): TokenUsage {
    const usage = this.response.end(requestId, end)
    this.drainCalls()
    return usage
  }

  /** Returns the id under which a call is recorded: that of the model, unless a call with that id is open. */
  freeCallId(callId: CallId): CallId {
    let free = callId
    for (let count = 2; this.callOf(free) !== undefined; count++) free = `${callId}#${count}` as CallId
    return free
  }

  private callOf(callId: CallId): Call | undefined {
    return this.calls.find(({ call }) => call.callId === callId)
  }

  /** Publishes output of a call, or of a command that the task itself runs. */
  output(callId: CallId, text: string): void {
    if (text === "") return
    const offset = this.outputLengths.get(callId) ?? 0
    this.outputLengths.set(callId, offset + text.length)
    this.recorder.publishDelta({ _tag: "ToolOutput", turnId: this.origin.turnId, callId, offset, text })
  }

  /**
   * Keeps the detail of a running call; its result carries the last one. Throws if a record cannot carry the detail.
   */
  detail(callId: CallId, detail: CallDetail): void {
    const open = this.callOf(callId)
    if (open !== undefined) open.detail = checkDetail(detail)
  }

  /** Keeps the result of a call, and ignores a second one. Throws if the output is not a JSON value. */
  finish(callId: CallId, status: ToolStatus, output: unknown): void {
    const open = this.callOf(callId)
    if (open === undefined || open.result !== undefined) return
    // converted here, because the settling of the turn must not depend on foreign values (S2)
    open.result = { status, output: jsonOfUnsafe(output) }
    if (!this.response.isStreaming) this.drainCalls()
  }

  private drainCalls(): void {
    while (this.calls[0]?.result !== undefined) this.recordResult(this.calls[0], this.calls[0].result)
  }

  private recordResult({ call, detail }: Call, result: NonNullable<LiveCall["result"]>): void {
    this.recordAs(this.newItemId(), {
      _tag: "ToolResult",
      callId: call.callId,
      name: call.name,
      ...result,
      ...(detail === undefined ? {} : { detail })
    })
  }

  /** The knowledge of the owner that is not in the state; see `LiveTurn`. */
  get live(): LiveTurn {
    return {
      now: this.clock.currentTimeMillisUnsafe(),
      usage: this.response.usage,
      callOf: (callId) => this.callOf(callId)
    }
  }
}

/**
 * Returns an item in the form in which the journal will read it back (J3). Throws if JSON cannot represent it, which is
 * a defect of the task or the model.
 */
const toRecorded = (item: NewItem): NewItem => {
  if (item._tag === "ToolCall") return { ...item, params: jsonOfUnsafe(item.params) }
  if (item._tag !== "ToolResult") return item
  const { aborted, detail, output } = item
  return {
    ...item,
    output: jsonOfUnsafe(output),
    ...(detail === undefined ? {} : { detail: checkDetail(detail) }),
    ...(aborted === undefined ? {} : { aborted: { ...aborted, afterMillis: toFinite(aborted.afterMillis) } })
  }
}

// a tool may report a duration that is not a finite number
const checkDetail = Schema.decodeUnknownSync(CallDetail)
