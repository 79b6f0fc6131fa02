/** Decodes the arguments of a tool call. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

type Codec = Schema.Codec<unknown, unknown>

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/**
 * Makes the decoder of a schema. Models write `null` for an argument that they leave out, so a property that is null
 * where the schema refuses null is decoded as if it were absent.
 */
export const decoder = (schema: Codec): ((params: unknown) => Effect.Effect<unknown, Schema.SchemaError>) => {
  const decode = Schema.decodeUnknownEffect(schema)
  const again = (params: unknown): Effect.Effect<unknown, Schema.SchemaError> =>
    Effect.catch(decode(params), (error) =>
      Effect.catch(decode(params, { errors: "all" }), ({ issue }) => {
        const paths = issuesOf(issue).issues.map(({ path }) => (path ?? []).map(keyOf))
        const rest = paths.reduce(withoutNull, params)
        return rest === params ? Effect.fail(error) : again(rest)
      })
    )
  return again
}

const keyOf = (segment: PropertyKey | { readonly key: PropertyKey }): PropertyKey =>
  typeof segment === "object" ? segment.key : segment

/** Returns the value without the property at a path if that property is null, and otherwise the same value. */
const withoutNull = (value: unknown, [key, ...rest]: ReadonlyArray<PropertyKey>): unknown => {
  if (typeof value !== "object" || value === null || key === undefined || !Object.hasOwn(value, key)) return value
  const inner = (value as { readonly [key: PropertyKey]: unknown })[key]
  if (rest.length === 0) {
    if (inner !== null || Array.isArray(value)) return value
    const { [key]: _, ...others } = value as { readonly [key: PropertyKey]: unknown }
    return others
  }
  const changed = withoutNull(inner, rest)
  if (changed === inner) return value
  return Array.isArray(value) ? value.with(Number(key), changed) : { ...value, [key]: changed }
}
