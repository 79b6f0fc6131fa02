/** The lines at the end of a screen that are redrawn in place. They leave nothing in its scrollback. */
import * as Ansi from "../output/Ansi.ts"

/** An output: `process.stdout` is one. */
export interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  readonly write: (text: string) => unknown
}

/** A region of the screen. Lines are drawn in it, one text for each line. */
export interface Region {
  /** Draws these lines in place of the ones before, unless they are the same. */
  readonly draw: (lines: ReadonlyArray<string>) => void
  /** Leaves these lines on the screen; what follows begins below them. */
  readonly keep: (lines: ReadonlyArray<string>) => void
  readonly erase: () => void
}

const eraseLine = "\r\x1b[2K"

/** Makes a region of a screen, without one a region that shows nothing. */
export const make = (screen: Output | undefined, isDumb: boolean): Region => {
  if (screen === undefined) return { draw: () => undefined, keep: () => undefined, erase: () => undefined }
  return isDumb ? makeDumb(screen) : makeErasable(screen)
}

const makeErasable = (screen: Output): Region => {
  let shown: ReadonlyArray<string> = []
  /** Erases all rows: after a screen has become narrower, a line may take several. */
  const erasure = (): string => {
    const columns = screen.columns || 80
    const rows = shown.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(Ansi.width(Ansi.stripColors(line)) / columns)),
      0
    )
    return rows < 2 ? eraseLine : `\r\x1b[${rows - 1}A\x1b[J`
  }
  const draw = (lines: ReadonlyArray<string>) => {
    if (lines.join("\n") === shown.join("\n")) return
    screen.write(erasure() + lines.join("\n"))
    shown = lines
  }
  return {
    draw,
    keep: (lines) => {
      draw(lines)
      screen.write("\n")
      shown = []
    },
    erase: () => {
      if (shown.length > 0) screen.write(erasure())
      shown = []
    }
  }
}

/** Makes a region of a screen that cannot erase: a line that grows is continued, another one begins below. */
const makeDumb = (screen: Output): Region => {
  let shown = ""
  const draw = (lines: ReadonlyArray<string>) => {
    const text = lines.join("\n")
    screen.write(text.startsWith(shown) ? text.slice(shown.length) : `\n${text}`)
    shown = text
  }
  const erase = () => {
    if (shown !== "") screen.write("\n")
    shown = ""
  }
  return {
    draw,
    keep: (lines) => {
      draw(lines)
      erase()
    },
    erase
  }
}
