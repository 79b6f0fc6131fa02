/** Directories of unix sockets below the home, each named after the pid of its program. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Directories from "./Directories.ts"

/** Returns the name of a socket of this program. Each number is used once. */
export const nameOf = (number: number): string => `${process.pid}-${number}.sock`

/**
 * Makes the directory of sockets, for this user only, and removes those of programs that were killed. Throws the errors
 * of the file system.
 */
export const makeRoomUnsafe = (directory: string): void => {
  Directories.makeUnsafe(directory)
  for (const name of Fs.readdirSync(directory)) {
    const pid = Number(/^(\d+)-\d+\.sock$/.exec(name)?.[1])
    if (pid > 0 && !isAlive(pid)) Fs.rmSync(Path.join(directory, name), { force: true })
  }
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH"
  }
}
