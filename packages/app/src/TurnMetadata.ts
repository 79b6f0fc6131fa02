/**
 * The metadata of a turn for MCP servers that are configured to receive it: the session, the turn, the sandbox and,
 * once it is known, the state of the repository.
 *
 * The headers have the names that servers of the reference expect.
 */
import * as Local from "@spindle/core/Local"
import type { Turn } from "@spindle/core/Turn"
import * as TurnContext from "@spindle/core/TurnContext"
import type { Headers } from "@spindle/mcp/TurnHeaders"
import * as Git from "@spindle/tools/Git"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** The directory and the sandbox of turns whose context names none. */
export interface Options {
  readonly cwd: string
  readonly sandbox: string
}

/** The state of a repository. */
export interface Repository {
  readonly root: string
  readonly commit: string | undefined
  /** The addresses of its remotes by name, without user and password. */
  readonly remotes: { readonly [name: string]: string }
  readonly hasChanges: boolean
}

/** The limit of a git command. */
const gitLimit = "10 seconds"

/**
 * Makes the function that returns the headers of a turn. The first call of a turn starts git in the background, and the
 * headers of later calls contain its result. Git ends with the turn.
 */
export const make = (options: Options): Effect.Effect<(turn: Turn) => Effect.Effect<Headers>, never, Git.Git> =>
  Effect.map(Git.Git, (git) => {
    const ofTurn = Local.make((): Found => ({ hasStarted: false, repository: undefined }))
    return (turn) =>
      Effect.flatMap(TurnContext.ofTurn, ({ cwd = options.cwd, sandbox = options.sandbox }) => {
        const found = Local.get(ofTurn, turn)
        if (found.hasStarted) return Effect.succeed(headersOf(sandbox, turn, found.repository))
        found.hasStarted = true
        const look = Effect.provideService(repositoryOf(cwd), Git.Git, git)
        return Effect.as(lookFor(turn, found, look), headersOf(sandbox, turn, undefined))
      })
  })

/** The repository of one turn. `hasStarted` is true once git was started. */
interface Found {
  hasStarted: boolean
  repository: Repository | undefined
}

/** Starts to look for the repository, in a fiber that the turn owns. */
const lookFor = (turn: Turn, found: Found, look: Effect.Effect<Repository | undefined>): Effect.Effect<void> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const looking = yield* Effect.forkDetach(
        Effect.interruptible(Effect.map(look, (repository) => void (found.repository = repository)))
      )
      const release = yield* turn.own({
        kind: "process",
        id: `git ${turn.turnId}`,
        name: "git",
        end: () => Fiber.interrupt(looking),
        drain: 0
      })
      yield* Effect.forkDetach(Effect.andThen(Fiber.await(looking), release))
    })
  )

const headersOf = (sandbox: unknown, turn: Turn, repository: Repository | undefined): Headers => ({
  session_id: turn.sessionId,
  "x-client-request-id": turn.sessionId,
  "x-codex-turn-metadata": ascii({
    turn_id: turn.turnId,
    sandbox,
    ...(repository === undefined ? {} : { workspaces: workspacesOf(repository) })
  })
})

const workspacesOf = ({ commit, hasChanges, remotes, root }: Repository): object => ({
  [root]: {
    ...(Object.keys(remotes).length === 0 ? {} : { associated_remote_urls: remotes }),
    ...(commit === undefined ? {} : { latest_git_commit_hash: commit }),
    has_changes: hasChanges
  }
})

/** Writes JSON with ASCII characters only: a path may have others, and a header may not. */
const ascii = (value: object): string =>
  JSON.stringify(value).replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)

/**
 * Reads the repository of a directory with git; undefined without a repository, without git, or without a result in
 * time.
 */
export const repositoryOf = Effect.fnUntraced(
  function* (cwd: string) {
    const { top: root } = yield* Git.repositoryOf(cwd)
    const [commit, addresses, hasChanges] = yield* Effect.all(
      [Effect.option(Git.commitOf(cwd, "HEAD")), Git.config(cwd, "^remote\\..*\\.url$"), Git.hasChanges(cwd)],
      { concurrency: "unbounded" }
    )
    const found: Repository = {
      root,
      commit: commit._tag === "Some" ? commit.value : undefined,
      remotes: remotesOf(addresses),
      hasChanges
    }
    return found
  },
  (effect) =>
    effect.pipe(
      Effect.timeoutOption(gitLimit),
      Effect.map((found) => (found._tag === "Some" ? found.value : undefined)),
      // there is no git, or no repository
      Effect.catchTag("GitFailed", () => Effect.undefined)
    )
)

const remotesOf = (addresses: ReadonlyMap<string, string>): { readonly [name: string]: string } =>
  Object.fromEntries(
    Array.from(addresses, ([key, url]) => [
      key.slice("remote.".length, -".url".length),
      url.replace(/^([a-z+]+:\/\/)[^/@]*@/i, "$1")
    ])
  )
