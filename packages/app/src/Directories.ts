/** Directories of the home. */
import * as Fs from "node:fs"
import * as Path from "node:path"

/**
 * Makes a directory and those above it, for this user only. Throws what the file system throws. The recursive `mkdirSync`
 * of Node never returns where the file system says that a parent does not exist although it does, as `/proc` says.
 */
export const makeUnsafe = (path: string): void => {
  const missing: Array<string> = []
  for (let at = path; !Fs.existsSync(at) && at !== Path.dirname(at); at = Path.dirname(at)) missing.unshift(at)
  for (const one of missing) makeOne(one)
}

const makeOne = (path: string): void => {
  try {
    Fs.mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // another process has made it in the meantime
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
  }
}
