/** Plans how to take changes of a working tree back: a pure function of the trees before, after, and now. */
import type { Difference, TreeEntry } from "./shadowRepository.ts"
import type { Step } from "./restoration.ts"

/** The differences of one change to take back, from before to after. */
export type ChangeDifferences = ReadonlyArray<Difference>

/** A path that was changed since, with an explanation in words. */
export interface Conflict {
  readonly path: string
  readonly detail: string
}

/** The steps of a plan, and the conflicts that forbid it. `untouched` has the paths that are not restored. */
export interface Planned {
  readonly steps: ReadonlyArray<Step>
  readonly conflicts: ReadonlyArray<Conflict>
  readonly untouched: ReadonlyArray<Conflict>
}

/** The input of a plan. */
export interface PlanInput {
  /** The changes to take back, the latest first. */
  readonly changes: ReadonlyArray<ChangeDifferences>
  /** The differences of the tree now from the tree after the latest change. */
  readonly since: ReadonlyArray<Difference>
  /** The paths that a snapshot left out, whose earlier content is not known. */
  readonly leftOut: ReadonlySet<string>
  /** The paths that git ignored before or after a change, and that may have existed then. */
  readonly ignored: ReadonlySet<string>
}

const submodule = "160000"

const isSame = (one: TreeEntry | undefined, two: TreeEntry | undefined): boolean =>
  one?.mode === two?.mode && one?.oid === two?.oid

/**
 * Plans for each path the step from its present content to its content before the earliest change. A path whose content
 * differs from the one that a change left was changed by somebody else. That is a conflict, unless the path already has
 * its earlier content.
 */
export const plan = ({ changes, ignored, leftOut, since }: PlanInput): Planned => {
  const present = new Map(since.map((one) => [one.path, one]))
  const paths = new Map<
    string,
    { readonly now: TreeEntry | undefined; to: TreeEntry | undefined; isForeign: boolean }
  >()
  for (const differences of changes) {
    for (const { from, path, to } of differences) {
      const earlier = paths.get(path)
      if (earlier !== undefined) {
        // between two changes, the path has to be as the earlier one left it
        earlier.isForeign ||= !isSame(earlier.to, to)
        earlier.to = from
        continue
      }
      const changed = present.get(path)
      const now = changed === undefined ? to : changed.to
      paths.set(path, { now, to: from, isForeign: !isSame(now, to) })
    }
  }
  const steps: Array<Step> = []
  const conflicts: Array<Conflict> = []
  const untouched: Array<Conflict> = []
  for (const [path, { isForeign, now, to }] of paths) {
    if (isSame(now, to)) continue
    if (now?.mode === submodule || to?.mode === submodule) untouched.push({ path, detail: "is a submodule" })
    else if (leftOut.has(path)) untouched.push({ path, detail: "was left out of a snapshot" })
    else if (ignored.has(path)) untouched.push({ path, detail: "was ignored by git" })
    else {
      if (isForeign) conflicts.push({ path, detail: "was changed since" })
      steps.push({ path, ...(now === undefined ? {} : { from: now }), ...(to === undefined ? {} : { to }) })
    }
  }
  const inWay = findObstacles(steps, since)
  return { steps, conflicts: [...conflicts, ...inWay], untouched }
}

/**
 * Returns the paths that now lie below a path where a file has to be, or that are a file where a directory has to be.
 */
const findObstacles = (steps: ReadonlyArray<Step>, since: ReadonlyArray<Difference>): ReadonlyArray<Conflict> => {
  const created = new Set(steps.flatMap((step) => (step.to === undefined ? [] : [step.path])))
  const removed = new Set(steps.flatMap((step) => (step.to === undefined ? [step.path] : [])))
  const parents = new Set(Array.from(created).flatMap(directoriesAbove))
  return since.flatMap(({ path, to }) => {
    if (to === undefined || removed.has(path) || created.has(path)) return []
    const isInWay = parents.has(path) || directoriesAbove(path).some((directory) => created.has(directory))
    return isInWay ? [{ path, detail: "is where a file has to be restored" }] : []
  })
}

/** Returns the directories above a path. */
const directoriesAbove = (path: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) found.push(path.slice(0, end))
  return found
}
