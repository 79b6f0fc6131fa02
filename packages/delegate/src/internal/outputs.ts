/** The answer of a one-shot delegate as a value. */
import type { OutputFormat } from "@spindle/core/Model"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"

/** What the model is told about the wanted answer. */
export const formatOf = (schema: Schema.Top): OutputFormat => ({
  name: "answer",
  schema: Tool.getJsonSchemaFromSchema(schema)
})

/** Reads the answer; fails with what is wrong with it. */
export const decode = <A, I>(schema: Schema.Codec<A, I>, message: string | undefined): Effect.Effect<A, string> =>
  message === undefined
    ? Effect.fail("it said nothing")
    : Effect.mapError(Schema.decodeEffect(Schema.fromJsonString(schema))(message), (error) => error.message)
