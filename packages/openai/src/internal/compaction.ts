/** The response of the endpoint that compacts a conversation, as parts. */
import { textOf as textOfInput } from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import { contentOf } from "./eventItems.ts"
import { isObject, type Json, parse, textOf } from "./json.ts"
import { type ReadingContext, ResponseReader } from "./reader.ts"
import { responsesUsage, usageOf } from "./usage.ts"

/**
 * Reads a compacted conversation. Its sealed item becomes a `SealedSummary`, and its messages become the text of the
 * summary. The endpoint also repeats messages of the request; they are left out, because the session keeps them.
 */
export class CompactionReader extends ResponseReader {
  readonly api = "the compaction API"
  private readonly known: ReadonlySet<string>

  constructor(context: ReadingContext, items: ReadonlyArray<Item>) {
    super(context)
    this.known = new Set(
      items.flatMap((item) => (item._tag === "UserMessage" ? [textOfInput(item.content).trim()] : []))
    )
  }

  readResponse(body: string): void {
    const response = parse(body)
    if (!isObject(response) || !Array.isArray(response["output"])) return
    const output = response["output"].filter(isObject)
    const texts = output.flatMap((item) => this.summaryTextOf(item))
    if (texts.length > 0) this.parts.push({ _tag: "TextDelta", id: "summary", delta: texts.join("\n\n") })
    const encrypted = output.flatMap((item) => {
      const content = isSealed(item) ? textOf(item["encrypted_content"]) : undefined
      return content === undefined ? [] : [content]
    })
    if (encrypted.length > 0) {
      const { provider: sealedBy } = this.context
      this.parts.push({ _tag: "SealedSummary", summary: { encrypted: encrypted.at(-1)!, sealedBy } })
    }
    this.parts.push({ _tag: "Finish", reason: "stop", usage: usageOf(response["usage"], responsesUsage) })
    this.isFinished = true
  }

  /** Does nothing: the endpoint sends one body, and no events. */
  end(): void {}

  protected step(): boolean {
    return false
  }

  /** Returns the text of a message that the request did not have. The session makes messages of the program again. */
  private summaryTextOf(item: Json): ReadonlyArray<string> {
    if (item["type"] !== "message" || (item["role"] !== "user" && item["role"] !== "assistant")) return []
    const text = contentOf(item).trim()
    return text === "" || this.known.has(text) ? [] : [text]
  }
}

const isSealed = ({ type }: Json): boolean => type === "compaction" || type === "compaction_summary"
