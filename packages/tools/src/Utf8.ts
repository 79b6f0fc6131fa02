/**
 * UTF-8 in pieces: decodes bytes that arrive in pieces without breaking a character, and splits text into pieces of a
 * limited number of bytes.
 *
 * Synchronous and pure, apart from the decoder, which keeps the incomplete end of its last piece.
 */
declare const TextDecoder: new (
  label: "utf-8",
  options: { readonly fatal: boolean; readonly ignoreBOM: boolean }
) => { readonly decode: (input?: Uint8Array, options?: { readonly stream: boolean }) => string }
declare const TextEncoder: new () => { readonly encode: (text: string) => Uint8Array }

/** Decodes a stream of bytes piece by piece. */
export interface Decoder {
  /** Returns the text of these bytes. An incomplete character at their end waits for the next piece. */
  readonly push: (bytes: Uint8Array) => string
  /** Returns the rest: a replacement character if the stream ended inside a character, otherwise nothing. */
  readonly end: () => string
}

/**
 * Makes a decoder that never splits a code point. Bytes that are not UTF-8 become U+FFFD; a byte order mark is kept.
 */
export const makeDecoder = (): Decoder => {
  const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true })
  return { push: (bytes) => decoder.decode(bytes, { stream: true }), end: () => decoder.decode() }
}

/** Returns the text of these bytes. Bytes that are not UTF-8 become U+FFFD; a byte order mark is kept. */
export const decode = (bytes: Uint8Array): string =>
  new TextDecoder("utf-8", { fatal: false, ignoreBOM: true }).decode(bytes)

/**
 * Returns the text of these bytes, or undefined if they are not UTF-8. A byte order mark is kept, so that encoding
 * returns the same bytes.
 */
export const decodeStrict = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Returns the bytes of a text. */
export const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

/**
 * Splits a text into pieces of at most `maxBytes` bytes (at least 4), between code points. An empty text has no piece.
 */
export const split = (text: string, maxBytes: number): ReadonlyArray<string> => {
  if (text.length === 0) return []
  // a UTF-16 unit is at most three bytes
  if (text.length * 3 <= maxBytes) return [text]
  const pieces: Array<string> = []
  let start = 0
  let sizeBytes = 0
  for (let index = 0; index < text.length;) {
    const code = text.codePointAt(index)!
    const width = code > 0xffff ? 4 : code > 0x7ff ? 3 : code > 0x7f ? 2 : 1
    if (sizeBytes + width > maxBytes) {
      pieces.push(text.slice(start, index))
      start = index
      sizeBytes = 0
    }
    sizeBytes += width
    index += code > 0xffff ? 2 : 1
  }
  pieces.push(text.slice(start))
  return pieces
}
