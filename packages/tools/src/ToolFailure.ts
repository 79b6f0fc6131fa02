/**
 * Why a tool of this package could not do its work, in words for the model.
 */
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

/** A tool could not do its work; `detail` is what the model reads. Trying again helps only with other arguments. */
export class ToolFailure extends Schema.TaggedError<ToolFailure>()("ToolFailure", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }

  /** The failure as a plain text, which is what a model gets instead of an object. */
  static readonly asText = Schema.String.pipe(
    Schema.decodeTo(ToolFailure, {
      decode: SchemaGetter.transform((detail) => ({ _tag: "ToolFailure" as const, detail })),
      encode: SchemaGetter.transform(({ detail }) => detail)
    })
  )
}
