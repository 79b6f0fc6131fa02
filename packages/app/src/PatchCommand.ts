/**
 * `apply_patch` as a program: scripts that an agent runs can call it, with a patch as its argument or on standard
 * input.
 *
 * It is a shell script below the home that starts `spindle apply-patch`. Commands find it on their path, and its writes
 * are confined like all writes of a command.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as ApplyPatch from "@spindle/tools/ApplyPatch"
import type { ToolFailure } from "@spindle/tools/ToolFailure"
import type * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as EffectPath from "effect/Path"
import * as Directories from "./storage/Directories.ts"

/** The directory of the script. */
export const directoryOf = (home: string): string => Path.join(home, "bin")

/** Returns true if the script exists. */
export const isInstalled = (home: string): boolean => Fs.existsSync(Path.join(directoryOf(home), "apply_patch"))

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

/**
 * Writes the script, unless it exists already. `program` are the words that start this program. Throws the errors of
 * the file system.
 */
export const installUnsafe = (home: string, program: ReadonlyArray<string>): void => {
  const path = Path.join(directoryOf(home), "apply_patch")
  const script = `#!/bin/sh\nexec ${program.map(quote).join(" ")} apply-patch -- "$@"\n`
  if (Fs.existsSync(path) && Fs.readFileSync(path, "utf8") === script) return
  Directories.makeUnsafe(directoryOf(home))
  // another program may run the old script at this moment
  Fs.writeFileSync(`${path}~`, script, { mode: 0o755 })
  Fs.renameSync(`${path}~`, path)
}

/**
 * Makes the directory for the journals of the patches that commands apply, and returns it: in the first directory of
 * temporary files that commands may write, or below the home. Returns undefined if it belongs to another user. Throws
 * the errors of the file system.
 */
export const journalsUnsafe = (home: string, scratch: ReadonlyArray<string>): string | undefined => {
  const uid = Os.userInfo().uid
  const [parent] = scratch
  const path =
    parent === undefined ? Path.join(home, "patches", "commands") : Path.join(parent, `spindle-patches-${uid}`)
  Fs.mkdirSync(path, { recursive: true, mode: 0o700 })
  const info = Fs.lstatSync(path)
  return info.isDirectory() && (uid < 0 || info.uid === uid) ? path : undefined
}

/**
 * Applies a patch to the files below a directory, and returns the list of files that were changed. If a command of a
 * session runs this program, the patch is part of the diff of its turn. **Interruption** and **errors**: those of
 * `ApplyPatch.apply`.
 */
export const run: (
  input: string,
  cwd: string
) => Effect.Effect<string, ToolFailure, FileSystem.FileSystem | EffectPath.Path> = (input, cwd) =>
  ApplyPatch.applyInCommand(input, { cwd }, process.env)
