/** Real git repositories, and everything in them that a snapshot must not touch. */
import { execFileSync } from "node:child_process"
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import { Git, Snapshots } from "../src/index.ts"
import { directory } from "./host.ts"

const identity = { GIT_AUTHOR_NAME: "a", GIT_AUTHOR_EMAIL: "a@b", GIT_COMMITTER_NAME: "a", GIT_COMMITTER_EMAIL: "a@b" }

/** Runs git as its user would. */
export const git = (cwd: string, ...args: ReadonlyArray<string>): string =>
  execFileSync("git", ["-c", "protocol.file.allow=always", ...args], {
    cwd,
    encoding: "utf8",
    env: { ...process.env, ...identity, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" },
    stdio: ["ignore", "pipe", "pipe"]
  })

/** Writes a file and the directories above it. */
export const write = (top: string, path: string, content: string | Uint8Array, mode?: number): void => {
  mkdirSync(dirname(join(top, path)), { recursive: true })
  writeFileSync(join(top, path), content, mode === undefined ? {} : { mode })
}

/** Every file of a directory with its mode and content, except those of git. */
export const tree = (top: string): { readonly [path: string]: string } => {
  const found: { [path: string]: string } = {}
  const visit = (folder: string) => {
    for (const name of readdirSync(join(top, folder)).toSorted()) {
      if (name === ".git") continue
      const path = join(folder, name)
      const info = lstatSync(join(top, path))
      if (info.isDirectory()) visit(path)
      else if (info.isSymbolicLink()) found[path] = `link ${readlinkSync(join(top, path))}`
      else found[path] = `${(info.mode & 0o777).toString(8)} ${readFileSync(join(top, path)).toString("base64")}`
    }
  }
  visit("")
  return found
}

/** Returns the state of git outside the working tree: its index, refs, stash, and the names of all its files. */
export const gitState = (top: string) => {
  const dotGit = join(top, ".git")
  // in a separate working tree, a file names the directory
  const gitDir = lstatSync(dotGit).isDirectory()
    ? dotGit
    : resolve(top, readFileSync(dotGit, "utf8").slice("gitdir: ".length).trim())
  const files = readdirSync(gitDir, { recursive: true, encoding: "utf8" }).toSorted()
  const index = join(gitDir, "index")
  return {
    files,
    index: existsSync(index) ? readFileSync(index).toString("base64") : undefined,
    indexTime: existsSync(index) ? lstatSync(index).mtimeMs : undefined,
    refs: git(top, "for-each-ref")
  }
}

type Files = { readonly [path: string]: string | Uint8Array }

/** The files and directories in `.git` of the repositories that were made, by the files in them. A directory has no content. */
const made = new Map<string, ReadonlyArray<readonly [path: string, content: Uint8Array | undefined]>>()

/** Makes a repository with these files committed. */
export const makeRepository = (top: string, files: Files): void => {
  const dotGit = join(top, ".git")
  mkdirSync(dotGit, { recursive: true })
  for (const [path, content] of Object.entries(files)) write(top, path, content)
  const key = JSON.stringify(files)
  const known = made.get(key)
  if (known !== undefined) {
    for (const [path, content] of known) {
      if (content === undefined) mkdirSync(join(dotGit, path), { recursive: true })
      else write(dotGit, path, content)
    }
    // the index has the times of the files of the first one
    git(top, "update-index", "--refresh")
    return
  }
  // without the hooks that git copies into each repository
  git(top, "init", "-q", "--template=", "-b", "main")
  git(top, "add", "-A")
  if (Object.keys(files).length > 0) git(top, "commit", "-qm", "first")
  made.set(
    key,
    readdirSync(dotGit, { recursive: true, encoding: "utf8" }).map((path) => {
      const at = join(dotGit, path)
      return [path, lstatSync(at).isDirectory() ? undefined : readFileSync(at)]
    })
  )
}

/** A new repository with these files committed. */
export const repository = (files: Files = {}) =>
  Effect.tap(directory, (top) => Effect.sync(() => makeRepository(top, files)))

/** `Snapshots` in a new directory, with git and the files of this host. */
export const snapshots = (limits?: Partial<Snapshots.Limits>) =>
  Layer.unwrap(Effect.map(directory, (home) => Snapshots.layer({ directory: join(home, "snapshots"), limits }))).pipe(
    Layer.provideMerge(Git.layer),
    Layer.provideMerge(NodeServices.layer)
  )
