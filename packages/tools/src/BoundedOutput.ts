/**
 * The head and the tail of an output, and the number of bytes between them (contract X4).
 *
 * The reader of an output appends each chunk and asks for the text at any time. Synchronous, no Effect. It uses at most
 * one and a half times the limit in memory, however the output is cut into chunks. There are two forms: a buffer
 * ({@link make}), and a value ({@link empty}) for a fold.
 */
import { dual } from "effect/Function"
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
  readonly toKept: (limitBytes?: number) => Kept
}

/** The head and the tail of an output as a value, which never changes. */
export interface BoundedValue {
  readonly limitBytes: number
  readonly head: Grown
  readonly tail: Grown
  readonly totalBytes: number
}

/** Bytes that grow at their end. Values of the same bytes share an array, each with its size. */
export interface Grown {
  readonly shared: { readonly array: Uint8Array; used: number }
  readonly size: number
}

/** Makes an empty buffer that keeps `limitBytes` (default 1 MiB; 0 keeps nothing): half of them for each end. */
export const make = (limitBytes = defaultLimitBytes): BoundedOutput => {
  let value = empty(limitBytes)
  return {
    append: (chunk) => {
      // no other reference to the earlier value exists
      value = addTo(value, chunk, true)
    },
    totalBytes: () => value.totalBytes,
    toKept: (keptBytes) => toKept(value, keptBytes)
  }
}

const nothing = (): Grown => ({ shared: { array: new Uint8Array(0), used: 0 }, size: 0 })

/** Returns the value of no output; see {@link make}. */
export const empty = (limitBytes = defaultLimitBytes): BoundedValue => ({
  limitBytes,
  head: nothing(),
  tail: nothing(),
  totalBytes: 0
})

/** Returns the value with a copy of these bytes. */
export const add: {
  (chunk: Uint8Array): (self: BoundedValue) => BoundedValue
  (self: BoundedValue, chunk: Uint8Array): BoundedValue
} = dual(2, (self: BoundedValue, chunk: Uint8Array): BoundedValue => addTo(self, chunk, false))

/** Returns the value with bytes that were lost: only their number is known. */
export const skip: {
  (bytesCount: number): (self: BoundedValue) => BoundedValue
  (self: BoundedValue, bytesCount: number): BoundedValue
} = dual(2, (self: BoundedValue, bytesCount: number): BoundedValue => ({
  ...self,
  totalBytes: self.totalBytes + bytesCount
}))

/** `isOnly` is true if no other reference to the value exists, so that its arrays may be changed. */
const addTo = (self: BoundedValue, chunk: Uint8Array, isOnly: boolean): BoundedValue => {
  const { head, limitBytes, tail, totalBytes } = self
  // the head is complete once anything was not in it
  const room = totalBytes > head.size ? 0 : Math.ceil(limitBytes / 2) - head.size
  const taken = Math.min(chunk.length, room)
  return {
    limitBytes,
    head: taken === 0 ? head : grow(head, chunk.subarray(0, taken), Math.ceil(limitBytes / 2)),
    tail:
      taken === chunk.length
        ? tail
        : growTail(tail, chunk.subarray(taken), { limitBytes: Math.floor(limitBytes / 2), isOnly }),
    totalBytes: totalBytes + chunk.length
  }
}

/** Returns the kept output of a value; see {@link BoundedOutput}. */
export const toKept = (self: BoundedValue, keptBytes = self.limitBytes): Kept => {
  const { limitBytes, totalBytes: total } = self
  const head = bytesOf(self.head)
  const tail = lastOf(bytesOf(self.tail), Math.floor(limitBytes / 2))
  const isComplete = head.length + tail.length === total
  if (isComplete && total <= keptBytes) return { head: Utf8.decode(concat(head, tail)), tail: "", omittedBytes: 0 }
  const limit = Math.min(limitBytes, keptBytes)
  // a complete output may be shorter than the two halves of the buffer, and all of it is then in the head
  const all = isComplete ? concat(head, tail) : undefined
  const first = (all ?? head).subarray(0, Math.ceil(limit / 2))
  const last = lastOf(all ?? tail, Math.floor(limit / 2))
  const cut = lengthWithoutCutCharacter(first)
  const from = continuations(last)
  return {
    head: Utf8.decode(first.subarray(0, cut)),
    tail: Utf8.decode(last.subarray(from)),
    omittedBytes: total - cut - (last.length - from)
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
const lengthWithoutCutCharacter = (bytes: Uint8Array): number => {
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

const bytesOf = ({ shared, size }: Grown): Uint8Array => shared.array.subarray(0, size)

const lastOf = (bytes: Uint8Array, count: number): Uint8Array => bytes.subarray(Math.max(0, bytes.length - count))

/** Appends bytes: in place if no other value continues the array, and there is room. */
const grow = ({ shared, size }: Grown, bytes: Uint8Array, limitBytes: number): Grown => {
  const needed = size + bytes.length
  let own = shared
  if (shared.used !== size || needed > shared.array.length) {
    const array = new Uint8Array(Math.min(limitBytes, Math.max(needed, shared.array.length * 2, 4_096)))
    array.set(shared.array.subarray(0, size))
    own = { array, used: size }
  }
  own.array.set(bytes, size)
  own.used = needed
  return { shared: own, size: needed }
}

/**
 * Keeps the last bytes in an array of twice their size, so that moving them to its front is constant time for each
 * byte.
 */
const growTail = (
  tail: Grown,
  chunk: Uint8Array,
  { isOnly, limitBytes }: { readonly limitBytes: number; readonly isOnly: boolean }
): Grown => {
  const bytes = lastOf(chunk, limitBytes)
  if (tail.size + bytes.length <= 2 * limitBytes) return grow(tail, bytes, 2 * limitBytes)
  const rest = lastOf(bytesOf(tail), limitBytes - bytes.length)
  if (!isOnly) return grow(grow(nothing(), rest, 2 * limitBytes), bytes, 2 * limitBytes)
  tail.shared.array.copyWithin(0, tail.size - rest.length, tail.size)
  tail.shared.used = rest.length
  return grow({ shared: tail.shared, size: rest.length }, bytes, 2 * limitBytes)
}
