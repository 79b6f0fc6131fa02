/** A process as `/proc/<pid>/stat` shows it. */

/** A line of the table. */
export interface Entry {
  readonly pid: number
  readonly isAlive: boolean
  /** True if the first thread of a living process has ended. Its environment is then that of another thread. */
  readonly isLeaderDead: boolean
  /** True if it ends now. It has no environment any longer, and executes no other program. */
  readonly isExiting: boolean
  readonly parent: number
  readonly group: number
  readonly session: number
  readonly hasTerminal: boolean
  readonly flags: number
  readonly startTicks: number
}

/** The flag of a kernel thread, which has no environment and is not a descendant of a command. */
const kernelThread = 0x00200000
/** The flag of a thread that ends. */
const exiting = 0x00000004

/** Reads a line of the table. */
export const entryOf = (pid: number, stat: string): Entry => {
  // the second field is the name of the program in parentheses, and may contain anything
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const at = (index: number) => Number(fields[index])
  const hasEnded = fields[0] === "Z" || fields[0] === "X"
  // the first thread is a zombie until the others have ended
  const isLeaderDead = fields[0] === "Z" && at(17) > 1
  return {
    pid,
    isAlive: !hasEnded || isLeaderDead,
    isLeaderDead,
    isExiting: !isLeaderDead && (hasEnded || (at(6) & exiting) !== 0),
    parent: at(1),
    group: at(2),
    session: at(3),
    hasTerminal: at(4) !== 0,
    flags: at(6),
    startTicks: at(19)
  }
}

/** Returns true if a line of the table is that of a kernel thread. */
export const isKernelThread = (stat: string): boolean => (entryOf(0, stat).flags & kernelThread) !== 0

/** Returns when a process started; -Infinity for a kernel thread, which never is of a command, and Infinity if it is not known. */
export const birthOf = ({ flags, startTicks }: Entry): number =>
  (flags & kernelThread) !== 0 ? -Infinity : startTicks > 0 ? startTicks : Infinity
