/**
 * The terminal at which a person can be asked: standard input and standard error if they are terminals, else the
 * terminal that controls the process.
 */
import * as Fs from "node:fs"
import * as Tty from "node:tty"
import type { Output } from "./Region.ts"
import type { Keyboard } from "./Terminal.ts"

/** A keyboard, and the screen that shows the questions. */
export interface Person {
  readonly keyboard: Keyboard
  readonly screen: Output
}

/** Finds the person at the terminal; undefined if nobody can be asked. */
export const find = (): Person | undefined => {
  const { stderr, stdin } = process
  if (stdin.isTTY === true && stderr.isTTY === true) return { keyboard: stdin, screen: stderr }
  const opened = isForeground() ? open() : undefined
  if (opened === undefined) return undefined
  return {
    keyboard: stdin.isTTY === true ? stdin : opened.keyboard,
    screen: stderr.isTTY === true ? stderr : opened.screen
  }
}

const open = (): Person | undefined => {
  try {
    const descriptor = Fs.openSync("/dev/tty", "r+")
    return { keyboard: new Tty.ReadStream(descriptor), screen: new Tty.WriteStream(descriptor) }
  } catch {
    // no terminal controls the process
    return undefined
  }
}

/** Returns true if the process may read its terminal. Reading stops a job in the background. */
const isForeground = (): boolean => {
  try {
    const stat = Fs.readFileSync("/proc/self/stat", "utf8")
    // after the name, which may contain anything: state, parent, group, session, terminal, group in the foreground
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return group === foreground
  } catch {
    // only Linux has the file
    return true
  }
}
