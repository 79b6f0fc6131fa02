/**
 * Reads and writes the files that the command line names. Each may be a pipe (`<(command)`). Waiting for a pipe blocks
 * no thread, because a signal would have to wait for that thread.
 */
import * as Fs from "node:fs"
import { Socket } from "node:net"
import { finished } from "node:stream/promises"

/** The flag that opens a pipe without waiting. Windows does not have it. */
const withoutWaiting = Fs.constants.O_NONBLOCK ?? 0

/** Returns the content of a file, or of a pipe once its writer has closed it. */
export const read = async (path: string, signal: AbortSignal): Promise<Buffer> => {
  const descriptor = Fs.openSync(path, Fs.constants.O_RDONLY | withoutWaiting)
  if (!Fs.fstatSync(descriptor).isFIFO()) {
    try {
      return Fs.readFileSync(descriptor)
    } finally {
      Fs.closeSync(descriptor)
    }
  }
  const chunks: Array<Buffer> = []
  for await (const chunk of new Socket({ fd: descriptor, readable: true, writable: false, signal })) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Replaces the content of a file, or writes to a pipe. A named pipe that nobody reads is refused. */
export const write = async (path: string, text: string, signal: AbortSignal): Promise<void> => {
  const { O_CREAT, O_TRUNC, O_WRONLY } = Fs.constants
  const descriptor = Fs.openSync(path, O_WRONLY | O_CREAT | O_TRUNC | withoutWaiting)
  if (!Fs.fstatSync(descriptor).isFIFO()) {
    try {
      return Fs.writeFileSync(descriptor, text)
    } finally {
      Fs.closeSync(descriptor)
    }
  }
  const pipe = new Socket({ fd: descriptor, readable: false, writable: true, signal })
  pipe.end(text)
  await finished(pipe)
}
