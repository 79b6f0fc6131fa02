/**
 * Splits the bytes of a journal into lines, chunk by chunk.
 *
 * A newline ends a line, and so does a run of NUL bytes. JSON cannot contain them, and a file system may leave them
 * where a crash lost data.
 */

/** Emits the lines of a file that are not empty. `position` is the offset of its first chunk. */
export class LineSplitter {
  private parts: Array<Uint8Array> = []
  private partBytes = 0
  private start: number
  private position: number
  private readonly emit: (line: Line) => void

  constructor(emit: (line: Line) => void, position = 0) {
    this.emit = emit
    this.start = position
    this.position = position
  }

  /** Takes the next chunk. Its bytes may be overwritten afterwards. */
  push(chunk: Uint8Array): void {
    let newline = -1
    let nul = -1
    for (let from = 0; from < chunk.length;) {
      // searched again only after it was passed, so that a chunk is read twice at most
      if (nul < from) nul = indexOf(chunk, nulByte, from)
      if (nul > from && newline < from) newline = indexOf(chunk, newlineByte, from)
      const end = nul === from ? nul : Math.min(newline, nul)
      // the rest of a chunk is copied, since its line ends in another chunk
      this.keep(end === chunk.length ? chunk.slice(from) : chunk.subarray(from, end))
      if (end === chunk.length) break
      this.endLine(this.position + end, end !== nul)
      from = end === nul ? afterNuls(chunk, end) : end + 1
      this.start = this.position + from
    }
    this.position += chunk.length
  }

  /** Emits the last line, if the file does not end in a newline. */
  finish(): void {
    this.endLine(this.position, false)
  }

  private keep(bytes: Uint8Array): void {
    this.partBytes += bytes.length
    if (this.partBytes > maxLineBytes) this.parts = []
    else if (bytes.length > 0) this.parts.push(bytes)
  }

  private endLine(end: number, hasNewline: boolean): void {
    if (this.partBytes === 0) return
    const line = { bytes: concat(this.parts), start: this.start, end: hasNewline ? end + 1 : end, hasNewline }
    this.parts = []
    this.partBytes = 0
    this.emit(line)
  }
}

/** A line of a file. */
export interface Line {
  /**
   * The bytes without the newline, valid until the next chunk. Empty for a line that is too long to be kept in memory.
   */
  readonly bytes: Uint8Array
  /** The offset of the first byte. */
  readonly start: number
  /** The offset after the line and its newline. */
  readonly end: number
  readonly hasNewline: boolean
}

const newlineByte = 10
const nulByte = 0

/** The longest line, in bytes. A JavaScript string can hold about twice as much. */
const maxLineBytes = 256 * 1024 * 1024

/** Returns the index of a byte, or the length if there is none. */
const indexOf = (bytes: Uint8Array, byte: number, from: number): number => {
  const index = bytes.indexOf(byte, from)
  return index < 0 ? bytes.length : index
}

/** Returns the index of the first byte from `from` onwards that is not NUL, or the length. */
export const afterNuls = (bytes: Uint8Array, from: number): number => {
  let at = from
  while (at < bytes.length && bytes[at] === nulByte && (bytes.byteOffset + at) % 4 !== 0) at++
  if (at === bytes.length || bytes[at] !== nulByte) return at
  // four bytes at a time, because a hole in a file may be gigabytes long
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (bytes.length - at) >> 2)
  let word = 0
  while (word < words.length && words[word] === 0) word++
  at += 4 * word
  while (at < bytes.length && bytes[at] === nulByte) at++
  return at
}

/** Returns one array with the bytes of many. */
export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (parts.length === 1) return parts[0]!
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
