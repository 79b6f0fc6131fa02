/**
 * A buffer that keeps the head and the tail of an output and counts what it leaves out (contract X4).
 *
 * Who runs a command appends what arrives and asks for the text at the end. Synchronous, no Effect; memory is at most
 * one and a half times the limit, however the output is cut.
 */
import * as Utf8 from "./Utf8.ts"

/** How many bytes are kept by default: 1 MiB. */
export const defaultLimitBytes = 1_048_576

/** What is kept of an output: its first and its last characters, and how many bytes between them are left out. */
export interface Kept {
  readonly head: string
  /** Empty when nothing is left out: the head is then the whole output. */
  readonly tail: string
  /** 0 when everything is kept. Bytes of a character that the limit cuts are left out as well. */
  readonly omittedBytes: number
}

/** A buffer of the head and the tail of an output. */
export interface BoundedOutput {
  /** Appends a copy of these bytes. */
  readonly append: (chunk: Uint8Array) => void
  /** How many bytes were appended, those left out included. */
  readonly totalBytes: () => number
  /** What is kept, as text; bytes that are not UTF-8 become U+FFFD. */
  readonly kept: () => Kept
}

/** Makes an empty buffer that keeps `limitBytes` (default 1 MiB; 0 keeps nothing): the first half, and the last. */
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
    kept: () => {
      const first = head.bytes()
      const last = tail.bytes()
      if (first.length + last.length === total) {
        return { head: Utf8.decode(concat(first, last)), tail: "", omittedBytes: 0 }
      }
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

const concat = (first: Uint8Array, last: Uint8Array): Uint8Array => {
  const joined = new Uint8Array(first.length + last.length)
  joined.set(first)
  joined.set(last, first.length)
  return joined
}

/** Where the last character of these bytes begins if more bytes would belong to it, else their end. */
const unfinished = (bytes: Uint8Array): number => {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!
    if ((byte & 0xc0) === 0x80) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > back ? bytes.length - back : bytes.length
  }
  return bytes.length
}

/** How many bytes at the beginning, three at most, belong to a character that begins before them. */
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
