/**
 * The words of a shell command line that says exactly what it runs.
 *
 * A line is *plain* if bash, dash and zsh run nothing but the commands whose words it spells out. Plain lines can be
 * judged by rules; any other line is for a person to judge. So the scanner accepts only what it knows: words of
 * harmless characters, quoted text in which nothing is expanded, and `&&`, `||`, `;` and `|` between commands.
 * Everything else makes a line not plain: other operators, substitutions, redirections, globs, assignments, keywords,
 * comments, escapes, line breaks, control and invisible characters, and characters outside ASCII that are not quoted.
 */

/** A simple command: the name of a program or builtin, and its arguments. It has at least one word. */
export type Command = ReadonlyArray<string>

/** The longest line that is scanned. A longer one is not plain. */
export const maxLength = 65_536

// blanks, operators, text in single quotes, text in double quotes, and characters that mean nothing to a shell
const token = /([ \t]+)|(&&|\|\|?|;)|'([^']*)'|"([^"$`\\!]*)"|([A-Za-z0-9_./:,@%+=^-]+)/y

// visible characters, blanks and tabs; a character that a terminal does not show could hide a word from a reader
const visible = /^[\t\x20-\x7e\p{L}\p{M}\p{N}\p{P}\p{S}]*$/u
const invisible = /[\p{Default_Ignorable_Code_Point}\u2800]/u
const ascii = /^[\x20-\x7e]+$/

/** The first words that a shell does not run, but reads as syntax, if they are not quoted. */
const keywords: ReadonlySet<string> = new Set(
  "case coproc do done elif else end esac fi for foreach function if in namespace repeat select then time until while".split(
    " "
  )
)

/** The first words that change how zsh runs the next ones, even if they are quoted. */
const modifiers: ReadonlySet<string> = new Set(["-", "nocorrect", "noglob"])

interface Word {
  readonly text: string
  /** True if a part of it is quoted. */
  readonly isQuoted: boolean
  /** True if it has a `=` outside quotes. */
  readonly hasEquals: boolean
}

/** True if a shell runs a command with this first word. Any `=` may be that of an assignment. */
const isName = ({ hasEquals, isQuoted, text }: Word): boolean =>
  ascii.test(text) && !hasEquals && !modifiers.has(text) && (isQuoted || !keywords.has(text))

/** Returns the commands of a plain line, in order; undefined if the line is not plain. */
export const commandsOf = (line: string): ReadonlyArray<Command> | undefined => {
  if (line.length > maxLength || !visible.test(line) || invisible.test(line)) return undefined
  const commands: Array<Command> = []
  let words: Array<string> = []
  let word: Word | undefined
  let operator: string | undefined
  const endWord = (): boolean => {
    if (word === undefined) return true
    if (words.length === 0 && !isName(word)) return false
    words.push(word.text)
    word = undefined
    return true
  }
  for (token.lastIndex = 0; token.lastIndex < line.length;) {
    const [found, blank, between, single, double, text = ""] = token.exec(line) ?? []
    if (found === undefined) return undefined
    if (blank === undefined && between === undefined) {
      // zsh replaces such a word by the path of a program
      if (word === undefined && text.startsWith("=")) return undefined
      word = {
        text: (word?.text ?? "") + (single ?? double ?? text),
        isQuoted: word?.isQuoted === true || text === "",
        hasEquals: word?.hasEquals === true || text.includes("=")
      }
      continue
    }
    if (!endWord()) return undefined
    if (between === undefined) continue
    if (words.length === 0) return undefined
    commands.push(words)
    words = []
    operator = between
  }
  if (!endWord()) return undefined
  if (words.length > 0) return [...commands, words]
  return operator === ";" ? commands : undefined
}

const shells = /^(?:\/(?:usr\/)?bin\/)?(?:bash|dash|sh|zsh)$/

/** True if a program is a shell that reads lines as this module does. */
export const isShell = (program: string): boolean => shells.test(program)

/**
 * As {@link commandsOf}, but a command that only starts a shell with a line, such as `bash -lc "git status"`, is
 * replaced by the commands of that line. This is done once: a shell within such a line is a command like any other.
 */
export const commandsWithin = (line: string): ReadonlyArray<Command> | undefined => {
  const commands: Array<Command> = []
  for (const command of commandsOf(line) ?? []) {
    const inner = innerLine(command)
    const found = inner === undefined ? [command] : commandsOf(inner)
    if (found === undefined) return undefined
    commands.push(...found)
  }
  return commands.length === 0 ? undefined : commands
}

const innerLine = (words: Command): string | undefined => {
  const [program = "", option, line] = words
  const isWrapper = words.length === 3 && isShell(program) && (option === "-c" || option === "-lc")
  return isWrapper ? line : undefined
}
