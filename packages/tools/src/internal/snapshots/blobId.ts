/** The ids that git gives to the contents of files. */
import * as Effect from "effect/Effect"
import * as Utf8 from "../../Utf8.ts"

declare const crypto: {
  readonly subtle: { readonly digest: (algorithm: string, data: Uint8Array) => Promise<ArrayBuffer> }
}

/** Returns the id of a content in a repository with this object format, `sha1` or `sha256`. */
export const blobIdOf = Effect.fnUntraced(function* (objectFormat: string, content: Uint8Array) {
  const header = Utf8.encode(`blob ${content.length}\0`)
  const object = new Uint8Array(header.length + content.length)
  object.set(header)
  object.set(content, header.length)
  const algorithm = objectFormat === "sha1" ? "SHA-1" : "SHA-256"
  const digest = yield* Effect.promise(() => crypto.subtle.digest(algorithm, object))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")
})
