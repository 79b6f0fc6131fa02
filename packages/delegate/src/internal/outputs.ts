/** Decodes the answer of a one-shot delegate. */
import type { OutputFormat } from "@spindle/core/Model"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"

/** Returns the format that the model has to answer in. */
export const formatOf = (schema: Schema.Top): OutputFormat => ({
  name: "answer",
  schema: Tool.getJsonSchemaFromSchema(schema)
})

/** Decodes the answer. Fails with a description of its fault. */
export const decode = <A, I>(schema: Schema.Codec<A, I>, message: string | undefined): Effect.Effect<A, string> =>
  message === undefined
    ? Effect.fail("it is empty")
    : Effect.mapError(Schema.decodeEffect(Schema.fromJsonString(schema))(message), (error) => error.message)
