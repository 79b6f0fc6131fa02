/**
 * A buffer that keeps the head and the tail of an output and counts the bytes between them (contract X4).
 *
 * The reader of an output appends each chunk and asks for the text at any time. Synchronous, no Effect. It uses at most
 * one and a half times the limit in memory, however the output is cut into chunks.
 */
import * as Utf8 from "./Utf8.ts"

/** The default limit: 1 MiB. */
export const defaultLimitBytes = 1_048_576

/** The head and the tail of an output, and the number of bytes between them. */
export interface Kept {
  readonly head: string
  /** Empty when nothing is omitted: the head is then the complete output. */
  readonly tail: string
  /** 0 when everything is kept. A character that the limit would cut is omitted entirely. */
  readonly omittedBytes: number
}

/** A buffer of the head and the tail of an output. */
export interface BoundedOutput {
  /** Appends a copy of these bytes. */
  readonly append: (chunk: Uint8Array) => void
  /** Returns how many bytes were appended, including the omitted ones. */
  readonly totalBytes: () => number
  /**
   * Returns the kept output as text, cut to `limitBytes` if that is less than the limit of the buffer. Bytes that are
   * not UTF-8 become U+FFFD.
   */
  readonly kept: (limitBytes?: number) => Kept
}

/** Makes an empty buffer that keeps `limitBytes` (default 1 MiB; 0 keeps nothing): half of them for each end. */
export const make = (limitBytes = defaultLimitBytes): BoundedOutput => {
  const head = makeHead(Math.ceil(limitBytes / 2))
  const tail = makeTail(Math.floor(limitBytes / 2))
  let total = 0
  return {
    append: (chunk) => {
      total += chunk.length
      const taken = head.append(chunk)
      if (taken < chunk.length) tail.append(chunk.subarray(taken))
    },
    totalBytes: () => total,
    kept: (keptBytes = limitBytes) => {
      const isComplete = head.bytes().length + tail.bytes().length === total
      if (isComplete && total <= keptBytes) {
        return { head: Utf8.decode(concat(head.bytes(), tail.bytes())), tail: "", omittedBytes: 0 }
      }
      const limit = Math.min(limitBytes, keptBytes)
      // a complete output may be shorter than the two halves of the buffer, and all of it is then in the head
      const all = isComplete ? concat(head.bytes(), tail.bytes()) : undefined
      const first = (all ?? head.bytes()).subarray(0, Math.ceil(limit / 2))
      const end = all ?? tail.bytes()
      const last = end.subarray(Math.max(0, end.length - Math.floor(limit / 2)))
      const cut = unfinished(first)
      const from = continuations(last)
      return {
        head: Utf8.decode(first.subarray(0, cut)),
        tail: Utf8.decode(last.subarray(from)),
        omittedBytes: total - cut - (last.length - from)
      }
    }
  }
}

/** Joins head and tail to one text, with a line between them that says how many bytes are omitted. */
export const toText = ({ head, omittedBytes, tail }: Kept): string =>
  omittedBytes === 0 ? head : `${head}\n[${omittedBytes} bytes of the output are left out here]\n${tail}`

const concat = (first: Uint8Array, last: Uint8Array): Uint8Array => {
  const joined = new Uint8Array(first.length + last.length)
  joined.set(first)
  joined.set(last, first.length)
  return joined
}

/** Returns where the last character begins if it is incomplete, otherwise the end of the bytes. */
const unfinished = (bytes: Uint8Array): number => {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!
    if ((byte & 0xc0) === 0x80) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > back ? bytes.length - back : bytes.length
  }
  return bytes.length
}

/** Counts the bytes at the beginning, at most three, of a character that starts before them. */
const continuations = (bytes: Uint8Array): number => {
  let count = 0
  while (count < 3 && count < bytes.length && (bytes[count]! & 0xc0) === 0x80) count++
  return count
}

const grown = (buffer: Uint8Array, neededBytes: number, limitBytes: number): Uint8Array => {
  const larger = new Uint8Array(Math.min(limitBytes, Math.max(neededBytes, buffer.length * 2, 4_096)))
  larger.set(buffer)
  return larger
}

const makeHead = (limitBytes: number) => {
  let buffer = new Uint8Array(0)
  let size = 0
  return {
    append: (chunk: Uint8Array): number => {
      const taken = Math.min(chunk.length, limitBytes - size)
      if (size + taken > buffer.length) buffer = grown(buffer, size + taken, limitBytes) as typeof buffer
      buffer.set(chunk.subarray(0, taken), size)
      size += taken
      return taken
    },
    bytes: () => buffer.subarray(0, size)
  }
}

/**
 * Keeps the last bytes in a buffer of twice their size, so that moving them to its front is constant time for each
 * byte.
 */
const makeTail = (limitBytes: number) => {
  let buffer = new Uint8Array(0)
  let size = 0
  return {
    append: (chunk: Uint8Array): void => {
      const added = chunk.subarray(Math.max(0, chunk.length - limitBytes))
      if (size + added.length > 2 * limitBytes) {
        const keep = limitBytes - added.length
        buffer.copyWithin(0, size - keep, size)
        size = keep
      }
      if (size + added.length > buffer.length) {
        buffer = grown(buffer, size + added.length, 2 * limitBytes) as typeof buffer
      }
      buffer.set(added, size)
      size += added.length
    },
    bytes: () => buffer.subarray(Math.max(0, size - limitBytes), size)
  }
}
