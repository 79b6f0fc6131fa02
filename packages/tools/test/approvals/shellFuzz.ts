/**
 * A differential test of `ShellWords`: bash and dash read the lines that it calls plain.
 *
 * A shell runs each line with its commands replaced by functions that log their words, and without any program on its
 * path. A reading is wrong if the shell runs a command that the scanner did not announce, or leaves a file behind.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { commandsOf } from "../../src/ShellWords.ts"

/** The result of reading a number of lines. */
export interface Result {
  readonly lineCount: number
  readonly plainCount: number
  /** The lines that were called plain and that a shell read otherwise. */
  readonly wrong: ReadonlyArray<string>
}

const programs = ["git", "ls", "rm", "cat", "wc", "a", "b", "x"]
const plain = [
  ...programs,
  ..."-x -- x=1 a=b f.js 'a_b' 'a|b' '$x' '*' \"a;b\" \"y\" 'x' '' a@b c:d p/q 1 + %s , ^ . ^x HEAD^ =x ü 'ü' '“q”'".split(
    " "
  ),
  "'a b'",
  '"a b"'
]
const separators = [" ", " ", " ", "  ", "\t", " && ", " || ", " | ", " ; ", ";", "|", "&&", "||"]
const odd = [
  ..."' \" \\ $ ` ( ) { } < > | & ; ;; # ~ * ? [ ] ! = é $x ${x} $(rm z) `rm z` <<E 2>g >g if then elif else fi do".split(
    " "
  ),
  ..."done time in for case esac while until select function coproc {a,b} [[ ]] |& &> <( >( $' $\" a[0]=1".split(" "),
  ..."=ls noglob nocorrect repeat foreach end - x+=1 x='1' 'x'=1 x\"=1\" - =x ~root !! %1 ~+ a=~ i'f' 'if' t\"i\"me \\ls ls\\ '\\'' \"\\\"\" ｌs !( ?( @( +( $(( )) ^ :".split(
    " "
  ),
  "\n",
  "\\\n",
  "\r",
  "\v",
  "\f",
  "\0",
  "\x1b[2J",
  "\u00a0",
  "\u2003",
  "\u2028",
  "\u200b",
  "\u0085",
  "\ufeff",
  "\u202e",
  "\u3164",
  "\u2800"
]

/** A generator of lines that repeats for a seed. */
const linesOf = (seed: number): (() => string) => {
  let state = seed >>> 0
  // mulberry32
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const pick = (from: ReadonlyArray<string>): string => from[Math.floor(next() * from.length)]!
  return () => {
    const oddness = pick(["none", "some", "some", "much"])
    const oddly = (chance: number) =>
      next() < (oddness === "none" ? 0 : oddness === "much" ? 2 * chance : chance) ? pick(odd) : ""
    let line = oddly(0.05)
    for (let left = 1 + Math.floor(next() * 6); left > 0; left--) {
      line +=
        (next() < 0.5 ? pick(programs) : pick(plain)) + oddly(0.12) + (left > 1 ? pick(separators) : "") + oddly(0.06)
    }
    return line
  }
}

// after each word and each command; a plain line has neither
const [endOfWord, endOfCommand] = ["\x1f", "\x1e"]

const log = (words: string) => `printf '%s\\037' "$n" ${words} '${endOfCommand}' >&3`
const functions = programs.map((name) => `${name}() { ${log(`${name} "$@"`)}; }`).join("\n")

/**
 * Reads lines from its input and runs each in a subshell. What has no function is not found. Each command is logged
 * with the number of its line, because a shell may not wait for all commands of a pipeline. At the end, the number of
 * lines is logged.
 */
const script = `exec 3>&1 1>/dev/null 2>/dev/null
command_not_found_handle() { ${log('"$@"')}; }
command_not_found_handler() { ${log('"$@"')}; }
${functions}
n=0
while IFS= read -r line; do (eval "$line") </dev/null; n=$((n+1)); done
${log("")}`

/** A shell, and the arguments with which it reads the script and no profile. */
export type Reader = readonly [shell: string, ...args: ReadonlyArray<string>]

/** The shells that read every line. */
export const readers: ReadonlyArray<Reader> = [
  ["/bin/bash", "--norc", "-c"],
  ["/bin/dash", "-c"]
]

/** The parts of a run that a caller may replace: the scanner, and the shells. */
export interface Options {
  readonly claim?: typeof commandsOf
  readonly readers?: ReadonlyArray<Reader>
}

/** Returns for each line the commands that a shell ran, as JSON, and the files that it left. */
const read = ([shell, ...args]: Reader, lines: ReadonlyArray<string>) => {
  const directory = mkdtempSync(join(tmpdir(), "spindle-shell-"))
  try {
    const { error, stdout } = spawnSync(shell, [...args, script], {
      cwd: directory,
      env: { PATH: directory, LC_ALL: "C.UTF-8" },
      input: `${lines.join("\n")}\n`,
      encoding: "utf8",
      maxBuffer: 2 ** 28
    })
    if (error !== undefined) throw error
    const ran = lines.map((): Array<string> => [])
    let count = 0
    for (const logged of stdout.split(endOfCommand + endOfWord).slice(0, -1)) {
      const [index, ...words] = logged.split(endOfWord).slice(0, -1)
      if (words.length === 0) count = Number(index)
      else ran[Number(index)]!.push(JSON.stringify(words))
    }
    if (count !== lines.length) throw new Error(`${shell} read ${count} lines of ${lines.length}`)
    return { ran, files: readdirSync(directory) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** True if every command that ran was announced, as often as it ran. */
const isAnnounced = (ran: ReadonlyArray<string>, commands: ReadonlyArray<ReadonlyArray<string>>): boolean => {
  const announced = commands.map((command) => JSON.stringify(command))
  return ran.every((command) => {
    const index = announced.indexOf(command)
    if (index >= 0) announced.splice(index, 1)
    return index >= 0
  })
}

/** Lets each shell read the plain ones of `lineCount` lines. */
export const run = (lineCount: number, seed: number, options: Options = {}): Result => {
  const claim = options.claim ?? commandsOf
  const nextLine = linesOf(seed)
  const wrong: Array<string> = []
  let plainCount = 0
  for (let left = lineCount; left > 0; left -= 2_000) {
    const claims = Array.from({ length: Math.min(left, 2_000) }, nextLine).flatMap((line) => {
      const commands = claim(line)
      return commands === undefined ? [] : [{ line, commands }]
    })
    plainCount += claims.length
    for (const reader of options.readers ?? readers) {
      const { files, ran } = read(
        reader,
        claims.map(({ line }) => line)
      )
      if (files.length > 0) wrong.push(`${reader[0]} left ${files.join(", ")}`)
      claims.forEach(({ commands, line }, index) => {
        if (!isAnnounced(ran[index]!, commands)) wrong.push(`${reader[0]} ${JSON.stringify(line)} ran ${ran[index]}`)
      })
    }
  }
  return { lineCount, plainCount, wrong }
}
