/** The lines of a diff, with colours. */
import * as Ansi from "./Ansi.ts"

/** Indents and colours the lines of a unified diff. */
export const diffLines = (diff: ReadonlyArray<string>, palette: Ansi.Palette): ReadonlyArray<string> =>
  diff.flatMap((line) => Ansi.toExact(line).split("\n")).map((line) => diffLine(line, palette))

const diffLine = (line: string, palette: Ansi.Palette): string => {
  if (line.startsWith("+")) return palette.green(`  ${line}`)
  if (line.startsWith("-")) return palette.red(`  ${line}`)
  return line.startsWith("@@") ? palette.cyan(`  ${line}`) : `  ${line}`
}
