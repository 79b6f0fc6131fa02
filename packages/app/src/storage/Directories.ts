/** Directories of the home. */
import * as Fs from "node:fs"
import * as Path from "node:path"

/**
 * Makes a directory and those above it, for this user only. Throws the errors of the file system. The recursive
 * `mkdirSync` of Node never returns if the file system reports that an existing parent does not exist, as `/proc` does.
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
