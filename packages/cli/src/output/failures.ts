/** Failures as one plain sentence: what was attempted, on which path, and why it did not work. */

const systemErrors: { readonly [code: string]: string } = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "not permitted",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of its path is not a directory",
  ENOSPC: "no space left on the disk",
  EDQUOT: "the quota of the disk is used up",
  ENXIO: "it is a socket, or a named pipe that nobody reads",
  EROFS: "the file system is read-only",
  EMFILE: "too many open files",
  EIO: "the disk failed",
  EFBIG: "the file is too large"
}

/** Returns the reason why a file could not be read or written, in words. */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const code = (error as NodeJS.ErrnoException).code ?? ""
  return systemErrors[code] ?? error.message
}

/** Matches `ENOSPC: no space left on device, open '/home/x'`, or with the path at the end: `... (/home/x)`. */
const systemMessage = /^([A-Z]\w+): ([^,]+), \w+(?: '(.*)'(?: -> '.*')?| \((.*)\))?$/

const attempts: { readonly [operation: string]: string } = {
  open: "cannot open the session",
  read: "cannot read the session",
  append: "cannot save the session",
  flush: "cannot save the session",
  list: "cannot list the sessions",
  archive: "cannot move the session",
  lease: "cannot reserve the session for writing",
  fence: "cannot save the session"
}

/** Matches the message of a `JournalFailed`. */
const journalMessage = /^the journal of session \S* failed to (\w+): (.*)$/s

/** Returns the message of an error in words for a person. It names `home` if the message names no path. */
export const textOf = (message: string, home?: string): string => {
  const [, operation = "", detail = ""] = journalMessage.exec(message) ?? []
  const attempt = attempts[operation]
  if (attempt === undefined) return message
  const [, code = "", words = "", path, bracketed] = systemMessage.exec(detail) ?? []
  const place = path ?? bracketed
  const where = place !== undefined ? ` at ${place}` : home !== undefined ? ` in ${home}` : ""
  const reason = words === "" ? detail : (systemErrors[code] ?? words)
  return `${attempt}${where}: ${reason}`
}
