/** The reasons why a file cannot be used, in words. */
import type { PlatformError } from "effect/PlatformError"

const byCode: { readonly [code: string]: string } = {
  ELOOP: "its symbolic links lead to each other",
  ENOTDIR: "a part of its path is not a directory",
  ENAMETOOLONG: "its name is too long",
  ENOSPC: "no space is left on the disk",
  EROFS: "the file system is read-only",
  EMFILE: "too many files are open",
  EIO: "the disk failed"
}

const byTag: { readonly [tag: string]: string } = {
  NotFound: "it does not exist",
  PermissionDenied: "permission denied"
}

/** Returns the reason, to be read after the name of the file. */
export const reasonOf = ({ reason }: PlatformError): string => {
  const { code } = (reason.cause ?? {}) as { readonly code?: unknown }
  const known = typeof code === "string" ? (byCode[code] ?? byTag[reason._tag] ?? code) : byTag[reason._tag]
  return known ?? reason.message
}
