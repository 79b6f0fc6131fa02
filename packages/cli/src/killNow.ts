/**
 * Kills the processes that the program has started, synchronously, because the process exits afterwards (contract X2).
 *
 * The known process groups are not enough: a daemon may have left its group since the last look, and a process that
 * forks and exits has another number than it had then. So the process table is read here until nothing new is found.
 */
import * as Fs from "node:fs"
import type * as App from "@spindle/app/App"

/** The most time for finding processes. The next start of the program ends the remaining ones (X3). */
const limitMillis = 500

/** Kills the targets, and every process that carries the mark. Does not throw. */
export const run = ({ controlFiles, isMarked, targets }: ReturnType<App.Opened["killTargets"]>): void => {
  for (const file of controlFiles) attempt(() => Fs.writeFileSync(file, "1"))
  for (const target of targets) kill(target)
  if (isMarked === undefined) return
  const limit = performance.now() + limitMillis
  const killed = new Set<number>()
  // twice: a process in the middle of execve has no environment for a moment
  for (let calm = 0; calm < 2 && performance.now() < limit;) calm = killMarked(isMarked, killed) ? 0 : calm + 1
}

/** Kills the processes with the mark. Returns true if there may be more: one was new, or ended before it was read. */
const killMarked = (isMarked: (environment: string) => boolean, killed: Set<number>): boolean => {
  let mayBeMore = false
  const own = groupOf("self")
  // the youngest first, because they are the most likely to start others
  for (const pid of processes()) {
    try {
      const environment = Fs.readFileSync(`/proc/${pid}/environ`, "utf8")
      if (killed.has(pid) || !isMarked(environment)) continue
      kill(pid)
      // the kernel also reaches a process of the group that is being started; one that leads the group may be a service
      const group = groupOf(pid)
      const leader = attempt(() => Fs.readFileSync(`/proc/${group}/environ`, "utf8")) ?? ""
      if (group > 1 && group !== own && (leader === "" || isMarked(leader))) kill(-group)
      killed.add(pid)
      mayBeMore = true
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === "ENOENT" || code === "ESRCH") mayBeMore = true
    }
  }
  return mayBeMore
}

const processes = (): ReadonlyArray<number> => {
  const names = attempt(() => Fs.readdirSync("/proc")) ?? []
  return names
    .map(Number)
    .filter((pid) => pid > 1)
    .toSorted((one, two) => two - one)
}

const groupOf = (pid: number | "self"): number => {
  const stat = attempt(() => Fs.readFileSync(`/proc/${pid}/stat`, "utf8")) ?? ""
  // the second field is the name of the program in parentheses, and may contain anything
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2])
}

const kill = (target: number): void => void attempt(() => process.kill(target, "SIGKILL"))

const attempt = <A>(act: () => A): A | undefined => {
  try {
    return act()
  } catch {
    // it has ended already
    return undefined
  }
}
