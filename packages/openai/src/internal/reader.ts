/** The base of the readers of all APIs: they turn the events of one response into parts. */
import type { ModelPart } from "@spindle/core/Model"
import type { ModelFailed } from "@spindle/core/SessionError"
import * as Failures from "./failures.ts"
import { isObject, type Json, parse, shorten, textOf } from "./json.ts"

/** The parts of a request that the reader of its response needs. */
export interface ReadingContext extends Failures.FailureContext {
  /** The seal that is recorded with sealed reasoning; see {@link sealOf}. */
  readonly seal: string
  /** The name of a tool by its name on the wire, where the two differ. */
  readonly toolNames: ReadonlyMap<string, string>
  /** The models that the server has named, for {@link ResponseReader.servedBy}. */
  readonly served?: Set<string>
}

/** Returns the name of the maker of sealed reasoning: the provider and the model, without the date of its snapshot. */
export const sealOf = (provider: string, model: string): string =>
  `${provider} ${model.replace(/-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$/, "")}`

/** Returns the name of a model without its vendor and the date of its snapshot. */
const plainName = (model: string): string =>
  model
    .toLowerCase()
    .replace(/^.*\//, "")
    .replace(/-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$/, "")

const longestSample = 200

/**
 * Reads the events of one response. After the first failure, or after `Finish`, it takes nothing more.
 *
 * It fails only when the server says that the response failed. A frame that makes no sense is skipped and counted:
 * gateways put keep-alives, `null`, chunks of other APIs and broken JSON between the events.
 */
export abstract class ResponseReader {
  /** The name of the API, for failures. */
  abstract readonly api: string
  readonly context: ReadingContext
  /** The failure of the response, once it has failed. */
  failure: ModelFailed | undefined = undefined
  /** True if `Finish` was read. */
  isFinished = false
  /** The number of frames that made sense. */
  understood = 0
  /** True if the mark `[DONE]` was read. */
  isMarked = false
  /** The number of frames that made no sense, and the beginning of the first of them. */
  skipped: { readonly count: number; readonly first: string } = { count: 0, first: "" }
  protected parts: Array<ModelPart> = []

  constructor(context: ReadingContext) {
    this.context = context
  }

  /** True if nothing more is taken. */
  get isOver(): boolean {
    return this.failure !== undefined || this.isFinished
  }

  /** Returns the parts that were read since the last call, and forgets them. */
  take(): Array<ModelPart> {
    const parts = this.parts
    if (parts.length > 0) this.parts = []
    return parts
  }

  /** Reads the data of one server-sent event. `name` is its event name, which counts when the data has no type. */
  read(data: string, name = ""): void {
    if (this.isOver) return
    if (data.trim() === "[DONE]") {
      this.isMarked = true
      this.end(true)
      return
    }
    const event = parse(data)
    if (isObject(event) && this.step(event, name)) this.understood++
    else if (name === "error" && textOf(data) !== undefined) this.fail(data)
    else {
      const { count, first } = this.skipped
      this.skipped = { count: count + 1, first: count === 0 ? shorten(data, longestSample) : first }
    }
  }

  /** Reads a body that is not a stream: a complete response in JSON. Ignores any other body. */
  abstract readResponse(body: string): void

  /**
   * Finishes a response that is complete, and leaves any other as it is. Called at the mark `[DONE]`, and at the end of
   * the stream.
   */
  abstract end(isMarked: boolean): void

  /** Takes one event. Returns false if it makes no sense. */
  protected abstract step(event: Json, name: string): boolean

  /** Warns that the server uses another model than the request names, once for each model. */
  protected servedBy(model: unknown): void {
    const { model: wanted, provider, served } = this.context
    if (served === undefined || typeof model !== "string" || model === "" || served.has(model)) return
    served.add(model)
    if (plainName(model) === plainName(wanted)) return
    const message = `${provider} uses the model ${shorten(model, longestSample)} in place of ${wanted}`
    this.parts.push({ _tag: "Warning", message: Failures.toPlainLine(message) })
  }

  /** Fails with an error in the words of the provider. Returns true. */
  protected fail(error: unknown): boolean {
    const { code, message, type } = Failures.providerErrorOf(error)
    // the type of an `error` event is its own name
    this.failure = Failures.fromEvent(this.context, { code, message, type: type === "error" ? undefined : type })
    return true
  }
}
