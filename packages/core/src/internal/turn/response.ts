/**
 * The open model request of a turn, and its response so far: texts, usage, the last message. Like the ledger that it
 * belongs to, it is complete at every moment, so that the owner can end it without the task (contract I7).
 */
import type { ItemId, ModelRequestId, TurnId } from "../../protocol/Ids.ts"
import { type Item, type NewItem, toFinite } from "../../protocol/Item.ts"
import type { Delta, ModelResponded } from "../../protocol/SessionEvent.ts"
import * as TokenUsage from "../../protocol/TokenUsage.ts"
import * as History from "../../state/History.ts"
import type { RequestUsage } from "../../state/TurnEnd.ts"
import type { Recorder } from "../log/recorder.ts"

/** Gives the items of a turn their ids, and records them. */
export interface ItemWriter {
  readonly newItemId: () => ItemId
  readonly recordAs: (id: ItemId, item: NewItem) => Item
}

/** Text of an item that has not ended. */
interface OpenText {
  readonly itemId: ItemId
  readonly kind: "AssistantMessage" | "Reasoning"
  text: string
}

/**
 * The end of a response. The default of `usage` is the reported usage. `partial` marks the texts that have not ended.
 */
export interface ResponseEnd {
  readonly finish: (typeof ModelResponded.Type)["finish"]
  readonly usage?: TokenUsage.TokenUsage | undefined
  readonly partial?: "aborted" | "superseded" | undefined
}

/** The open model request of a turn, and its response. */
export class Response {
  /** The open texts, by their id in the stream of the model. */
  private readonly texts = new Map<string, OpenText>()
  /** The request that was recorded and has not ended. */
  private openRequest: ModelRequestId | undefined
  private latestRequest: ModelRequestId | undefined
  /** The items of that request, once it was sent. */
  private sent: ReadonlyArray<Item> | undefined
  /** The number of characters of that response. */
  private answeredCharacters = 0
  private latestText: string | undefined
  /** The usage that the response has reported. */
  private reported: TokenUsage.TokenUsage | undefined
  private readonly turnId: TurnId
  private readonly recorder: Recorder
  private readonly items: ItemWriter

  constructor(turnId: TurnId, recorder: Recorder, items: ItemWriter) {
    this.turnId = turnId
    this.recorder = recorder
    this.items = items
  }

  /** The last message of the response, if nothing followed it. */
  get lastText(): string | undefined {
    return this.latestText
  }

  /** The last model request of the turn. */
  get lastRequest(): ModelRequestId | undefined {
    return this.latestRequest
  }

  /** True if a request was sent and its response has not ended. Results of its calls wait until then. */
  get isStreaming(): boolean {
    return this.sent !== undefined
  }

  /**
   * Records a request that is about to be sent. Throws while another request is open, because the texts and calls of
   * two responses could not be distinguished.
   */
  startRequest(
    requestId: ModelRequestId,
    details: { readonly attempt: number; readonly provider: string; readonly model: string; readonly aside?: true }
  ): void {
    if (this.openRequest !== undefined) {
      throw new Error(`a turn samples one request at a time: ${this.openRequest} has not ended`)
    }
    this.openRequest = requestId
    this.latestRequest = requestId
    const attempt = toFinite(details.attempt)
    this.recorder.append({ _tag: "ModelRequested", turnId: this.turnId, requestId, ...details, attempt })
  }

  /** True if a request was recorded and has not ended. */
  get isRequested(): boolean {
    return this.openRequest !== undefined
  }

  /** Notes that the open request is sent with these items. */
  send(items: ReadonlyArray<Item>): void {
    this.sent = items
    this.answeredCharacters = 0
    this.latestText = undefined
    this.reported = undefined
  }

  /** Adds a piece to a text, and publishes the piece. A text starts with its first piece. */
  addText(streamId: string, kind: OpenText["kind"], text: string): void {
    if (text.length === 0) return
    let open = this.texts.get(streamId)
    if (open === undefined) {
      open = { itemId: this.items.newItemId(), kind, text: "" }
      this.texts.set(streamId, open)
    }
    const offset = open.text.length
    open.text += text
    this.answeredCharacters += text.length
    this.recorder.publishDelta(this.delta(open, offset, text))
  }

  /** Counts text that is not recorded, for the estimate of the usage. */
  count(text: string): void {
    this.answeredCharacters += text.length
  }

  private delta(open: OpenText, offset: number, text: string): Delta {
    return {
      _tag: open.kind === "Reasoning" ? "ReasoningDelta" : "TextDelta",
      turnId: this.turnId,
      itemId: open.itemId,
      offset,
      text
    }
  }

  /** Ends a text and records it, unless it is empty and has nothing for the provider. */
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
    this.items.recordAs(open?.itemId ?? this.items.newItemId(), item)
  }

  /** Notes that an item was recorded after the text. */
  noteItem(item: Item): void {
    this.latestText = item._tag === "AssistantMessage" ? item.text : undefined
  }

  /** Notes the usage that the response has reported. Values that are not counts are ignored. */
  report({ cachedInput, input, output, reasoning, total }: TokenUsage.TokenUsage): void {
    const usage = { input, cachedInput, output, reasoning, total }
    const isCount = Object.values(usage).every((count) => Number.isFinite(count) && count >= 0)
    this.reported = isCount ? usage : undefined
  }

  /** The usage of the open request: as reported, or else estimated. A request that was not sent has cost nothing. */
  get usage(): RequestUsage {
    if (this.sent === undefined) return { usage: TokenUsage.zero }
    return this.reported === undefined
      ? { usage: History.estimateUsage(this.sent, this.answeredCharacters), estimated: true }
      : { usage: this.reported }
  }

  /** Ends a request, if it is open: records its texts and then its usage, which it returns. */
  end(requestId: ModelRequestId, { finish, partial, usage: given }: ResponseEnd): TokenUsage.TokenUsage {
    // mutant request-ends-once (I7: the ledger ends a request once): drop
    if (this.openRequest !== requestId) return TokenUsage.zero
    this.cut(partial)
    const usage = given === undefined || this.sent === undefined ? this.usage : { usage: given }
    this.openRequest = undefined
    this.sent = undefined
    this.recorder.append({ _tag: "ModelResponded", turnId: this.turnId, requestId, finish, ...usage })
    return usage.usage
  }

  /** Records the texts that have not ended. */
  cut(partial: ResponseEnd["partial"]): void {
    for (const [streamId, open] of this.texts) {
      this.endText(streamId, open.kind, partial === undefined ? {} : { partial })
    }
  }
}
