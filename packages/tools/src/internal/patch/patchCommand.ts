/**
 * Recognises a shell command that does nothing but call `apply_patch` with the text of a patch.
 *
 * ```
 * apply_patch <<'EOF'          apply_patch '*** Begin Patch          cd sub && apply_patch ...
 * *** Begin Patch              ...                                   bash -lc "apply_patch ..."
 * ...                          *** End Patch'
 * *** End Patch
 * EOF
 * ```
 *
 * The text is the one that the shell would pass to `apply_patch`. A line that the shell could read in another way is
 * not recognised: expansions, other commands, other operators and other redirections leave it a command.
 */
import * as Result from "effect/Result"
import * as ShellWords from "../../ShellWords.ts"
import * as Parser from "./patchParser.ts"

/** A patch whose paths are relative to `directory`, if the command changes to one. */
interface Call {
  readonly input: string
  readonly directory: string | undefined
}

/** A word of a line after quotes are removed, and the place where it ends. */
interface Word {
  readonly text: string
  readonly end: number
}

// text in single quotes, in double quotes, with ANSI-C escapes, an escaped character, harmless characters
const part =
  /'([^']*)'|"([^"\\$`]*(?:\\[^][^"\\$`]*)*)"|\$'([^'\\]*(?:\\[nt\\'"][^'\\]*)*)'|\\([^\n])|([A-Za-z0-9_./:,@%+-]+)/y
const blanks = /[ \t]*/y
const ansiEscapes: { readonly [letter: string]: string } = { n: "\n", t: "\t" }

const skipBlanks = (line: string, at: number): number => {
  blanks.lastIndex = at
  blanks.exec(line)
  return blanks.lastIndex
}

const readWord = (line: string, at: number): Word | undefined => {
  const start = skipBlanks(line, at)
  let text = ""
  let end = start
  for (;;) {
    part.lastIndex = end
    const [found, single, double, ansi, escaped, bare] = part.exec(line) ?? []
    if (found === undefined) return end === start ? undefined : { text, end }
    text +=
      single ??
      double?.replace(/\\(["\\$`])|\\\n/g, "$1") ??
      ansi?.replace(/\\(.)/g, (_, letter: string) => ansiEscapes[letter] ?? letter) ??
      escaped ??
      bare!
    end += found.length
  }
}

const names: ReadonlySet<string> = new Set(["apply_patch", "applypatch"])
const options: ReadonlySet<string> = new Set(["-c", "-lc"])

/**
 * True if a text begins as a patch does. As a command line it is a mistake: a shell would read its markers as globs.
 */
export const isPatch = (text: string): boolean => text.trimStart().startsWith("*** Begin Patch")

const isBlank = (line: string, from: number): boolean => line.slice(from).trim() === ""

/** Reads a line. `isInner` is true if a shell within the line runs it. */
const read = (line: string, isInner: boolean): Call | undefined => {
  const first = readWord(line, line.length - line.trimStart().length)
  if (first === undefined) return undefined
  if (names.has(first.text)) return readCall(line, first.end)
  if (first.text === "cd") return readCd(line, first.end)
  return isInner || !ShellWords.isShell(first.text) ? undefined : readShell(line, first.end)
}

const readCd = (line: string, at: number): Call | undefined => {
  const directory = readWord(line, at)
  if (directory === undefined || directory.text === "" || directory.text.startsWith("-")) return undefined
  const [found] = /^\s*&&\s*/.exec(line.slice(directory.end)) ?? []
  const name = found === undefined ? undefined : readWord(line, directory.end + found.length)
  if (name === undefined || !names.has(name.text)) return undefined
  const call = readCall(line, name.end)
  return call === undefined ? undefined : { ...call, directory: directory.text }
}

const readShell = (line: string, at: number): Call | undefined => {
  const option = readWord(line, at)
  const script = option === undefined || !options.has(option.text) ? undefined : readWord(line, option.end)
  return script === undefined || !isBlank(line, script.end) ? undefined : read(script.text, true)
}

/** Reads the argument after the name: a here-document or one word. */
const readCall = (line: string, at: number): Call | undefined => {
  const start = skipBlanks(line, at)
  const input = line.startsWith("<<", start) ? readDocument(line.slice(start + 2)) : readArgument(line, start)
  return input === undefined || !isPatch(input) ? undefined : { input, directory: undefined }
}

const readArgument = (line: string, at: number): string | undefined => {
  const word = readWord(line, at)
  return word === undefined || !isBlank(line, word.end) ? undefined : word.text
}

const readDocument = (text: string): string | undefined => {
  const [head, quote, tag] = /^[ \t]*(['"]?)(\w+)\1[ \t]*\n/.exec(text) ?? []
  if (head === undefined) return undefined
  const lines = text.slice(head.length).split("\n")
  const end = lines.indexOf(tag!)
  if (end === -1 || !isBlank(lines.slice(end + 1).join("\n"), 0)) return undefined
  const body = lines.slice(0, end).join("\n")
  // without quotes the shell expands these
  return quote === "" && /[$`\\]/.test(body) ? undefined : body
}

/**
 * Returns the patch that a command line applies, with paths relative to the working directory of the program; undefined
 * if the line is another command. `workdir` is the directory of the command, relative to that one.
 */
export const patchOf = (line: string, workdir: string | undefined): string | undefined => {
  const call = read(line, false)
  if (call === undefined) return undefined
  const directory = joinPaths(workdir, call.directory)
  return directory === undefined ? call.input : prefixPaths(call.input, directory)
}

const joinPaths = (directory: string | undefined, path: string | undefined): string | undefined =>
  directory === undefined || path === undefined || path.startsWith("/") ? (path ?? directory) : `${directory}/${path}`

const pathMarker = /^(\s*\*\*\* (?:Add File|Delete File|Update File|Move to):[ \t]*)([^]*)$/

/** Makes the paths of a patch relative to the parent of a directory. A text that is not a patch stays as it is. */
const prefixPaths = (input: string, directory: string): string | undefined => {
  const files = Parser.parse(input)
  if (Result.isFailure(files)) return input
  const lines = input.split("\n")
  const moveAfter = (index: number) => (/^\s*\*\*\* Move to:/.test(lines[index + 1] ?? "") ? [index + 1] : [])
  for (const file of files.success) {
    const index = file.line - 1
    for (const at of file._tag === "Update" ? [index, ...moveAfter(index)] : [index]) {
      const [, marker, path] = pathMarker.exec(lines[at]!)!
      // where such a path leads depends on symbolic links, which only the shell sees
      if (path!.split("/").includes("..")) return undefined
      if (!path!.startsWith("/")) lines[at] = `${marker}${joinPaths(directory, path)}`
    }
  }
  return lines.join("\n")
}
