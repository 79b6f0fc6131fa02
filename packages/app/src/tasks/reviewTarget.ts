/** The subject of a review, as a prompt for the model that reviews. */
import * as Git from "@spindle/tools/Git"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** The subject of a review. */
export const ReviewTarget = Schema.Union([
  Schema.Struct({ type: Schema.Literal("uncommitted") }),
  Schema.Struct({ type: Schema.Literal("base"), branch: Schema.NonEmptyString }),
  Schema.Struct({ type: Schema.Literal("commit"), sha: Schema.NonEmptyString }),
  Schema.Struct({ type: Schema.Literal("custom"), instructions: Schema.NonEmptyString })
])
/** @see {@link ReviewTarget} */
export type ReviewTarget = typeof ReviewTarget.Type

/** There are no changes to review. */
export class NothingToReview extends Schema.TaggedError<NothingToReview>()("NothingToReview", {
  hint: Schema.String
}) {
  override get message() {
    return `there is nothing to review: ${this.hint}`
  }
}

/** Two revisions have no commit in common. */
export class NoCommonCommit extends Schema.TaggedError<NoCommonCommit>()("NoCommonCommit", { branch: Schema.String }) {
  override get message() {
    return `HEAD and ${this.branch} have no commit in common`
  }
}

/** Describes a target for a person, in a few words. */
export const hintOf = (target: ReviewTarget): string => {
  switch (target.type) {
    case "uncommitted":
      return "changes that are not committed"
    case "base":
      return `changes against ${target.branch}`
    case "commit":
      return `commit ${target.sha}`
    case "custom":
      return target.instructions
  }
}

/** The most characters of a difference in the prompt. The model reads the rest with its tools. */
const limitCharacters = 200_000

/**
 * Returns the prompt for a target. **Errors**: `GitFailed` if there is no repository or no such revision;
 * `NothingToReview`.
 */
export const promptOf = Effect.fnUntraced(function* (
  cwd: string,
  target: ReviewTarget
): Effect.fn.Return<string, Git.GitFailed | NothingToReview | NoCommonCommit, Git.Git> {
  const { top } = yield* Git.repositoryOf(cwd)
  switch (target.type) {
    case "uncommitted": {
      const head = yield* Effect.orElseSucceed(Git.commitOf(top, "HEAD"), () => undefined)
      const changes = yield* changesSince(top, head)
      if (changes === undefined) return yield* new NothingToReview({ hint: "every change is committed" })
      return `Review the changes of the working tree that are not committed.\n\n${changes}`
    }
    case "base": {
      const { branch } = target
      const base = yield* Git.mergeBase(top, "HEAD", branch)
      if (base === undefined) return yield* new NoCommonCommit({ branch })
      const changes = yield* changesSince(top, base)
      if (changes === undefined) return yield* new NothingToReview({ hint: `nothing differs from ${branch}` })
      return `Review the changes that would be merged into ${branch}.\n\n${changes}`
    }
    case "commit": {
      const commit = yield* Git.commitOf(top, target.sha)
      return `Review the changes of one commit.\n\n${cut(yield* Git.show(top, commit))}`
    }
    case "custom":
      return target.instructions
  }
})

/** The id of the tree without files, which every repository knows. */
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
const emptyTree256 = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"

const changesSince = Effect.fnUntraced(function* (top: string, commit: string | undefined) {
  const { objectFormat } = yield* Git.repositoryOf(top)
  const from = commit ?? (objectFormat === "sha1" ? emptyTree : emptyTree256)
  const [diff, untracked] = [yield* Git.diff(top, [from, "--"]), yield* Git.untrackedPaths(top)]
  if (diff === "" && untracked.length === 0) return undefined
  const named = untracked.slice(0, 200).map((path) => `- ${path}`)
  const more = untracked.length > named.length ? [`- and ${untracked.length - named.length} more`] : []
  const files =
    named.length === 0 ? [] : ["New files, which git does not track yet. Read them with read_file:", ...named, ...more]
  return [...files, ...(diff === "" ? [] : ["The differences:", cut(diff)])].join("\n")
})

const cut = (diff: string): string => {
  if (diff.length <= limitCharacters) return diff
  const end = diff.lastIndexOf("\n", limitCharacters)
  const files = Array.from(diff.slice(end).matchAll(/^diff --git a\/.* b\/(.*)$/gm), ([, path]) => `- ${path}`)
  return `${diff.slice(0, end)}\nThe differences are cut here. Also changed, to be read with read_file:\n${files.join("\n")}`
}
