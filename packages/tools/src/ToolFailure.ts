/** The failure of a tool of this package, in words for the model. */
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

/** A tool could not do its work. The model reads `detail`. Only other arguments can succeed. */
export class ToolFailure extends Schema.TaggedError<ToolFailure>()("ToolFailure", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }

  /** The failure as plain text, which the model gets instead of an object. */
  static readonly asText = Schema.String.pipe(
    Schema.decodeTo(ToolFailure, {
      decode: SchemaGetter.transform((detail) => ({ _tag: "ToolFailure" as const, detail })),
      encode: SchemaGetter.transform(({ detail }) => detail)
    })
  )
}
