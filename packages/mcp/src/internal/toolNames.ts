/** The names of the tools of servers, as a model sees them. */
import * as Effect from "effect/Effect"

declare const crypto: {
  readonly subtle: { readonly digest: (algorithm: "SHA-1", data: Uint8Array) => Promise<ArrayBuffer> }
}
declare const TextEncoder: new () => { readonly encode: (text: string) => Uint8Array }

const longest = 64

/**
 * Returns the name of a tool: `mcp__server__tool`, with an underscore for each character that models do not take. A
 * name of more than 64 characters ends in its hash, so that it stays unique.
 */
export const of = Effect.fnUntraced(function* (server: string, tool: string) {
  const raw = `mcp__${server}__${tool}`
  const name = raw.replace(/[^a-zA-Z0-9_-]/g, "_")
  if (name.length <= longest) return name
  const hash = yield* sha1(raw)
  return name.slice(0, longest - hash.length) + hash
})

const sha1 = (text: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-1", new TextEncoder().encode(text))),
    (digest) => Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")
  )
