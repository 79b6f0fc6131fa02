/** The lines at the end of a screen that are redrawn in place. Nothing of them stays in its scrollback. */
import * as Ansi from "../output/Ansi.ts"

/** An output: `process.stdout` is one. */
export interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  readonly write: (text: string) => unknown
}

/** A region of the screen. Each line is one text. */
export interface Region {
  /** Draws these lines in place of the ones before, unless they are the same. */
  readonly draw: (lines: ReadonlyArray<string>) => void
  /** Keeps these lines on the screen. Later output begins below them. */
  readonly keep: (lines: ReadonlyArray<string>) => void
  readonly erase: () => void
}

const eraseLine = "\r\x1b[2K"

/** Makes a region of a screen. Without a screen the region shows nothing. */
export const make = (screen: Output | undefined, isDumb: boolean): Region => {
  if (screen === undefined) return { draw: () => undefined, keep: () => undefined, erase: () => undefined }
  return isDumb ? makeDumb(screen) : makeErasable(screen)
}

const makeErasable = (screen: Output): Region => {
  let shown: ReadonlyArray<string> = []
  /** Returns the sequence that erases all rows. A line may take several rows after a screen has become narrower. */
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

/** Makes a region of a screen that cannot erase. A line that grows is continued; another line begins below. */
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
