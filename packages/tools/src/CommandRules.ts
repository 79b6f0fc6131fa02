/**
 * Rules about commands, and the files that hold them:
 *
 * ```
 * # a command that begins with these words
 * prefix_rule(pattern = ["npm", ["test", "ci"]], decision = "allow")
 * prefix_rule(
 *     pattern = ["git", "push"],
 *     decision = "prompt",
 *     justification = "it changes the server",
 *     match = ["git push origin"],
 *     not_match = [["git", "pull"]],
 * )
 * ```
 *
 * A `pattern` lists the first words of a command; a list in it holds alternatives for one word. `decision` is `allow`
 * (the default), `prompt` or `forbid`, for which `forbidden` can be written, too. `match` and `not_match` are examples,
 * which are checked when the file is read. Of all rules that match a command the strictest decides.
 */
import * as Parser from "./internal/ruleParser.ts"
import { type Command, commandsOf } from "./ShellWords.ts"

/** The decision of a rule: the command runs, a person is asked, or it does not run. */
export type RuleDecision = "allow" | "prompt" | "forbid"

/** A place in a rule file; line and column count from 1. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

/**
 * A rule about the commands that begin with a pattern. Each member of the pattern lists the alternatives for one word.
 */
export interface Rule {
  readonly pattern: ReadonlyArray<ReadonlyArray<string>>
  /** For a rule whose pattern cannot be read: its text. It is about every program that the text mentions. */
  readonly mentions?: string | undefined
  readonly decision: RuleDecision
  readonly justification?: string | undefined
  readonly place: Place
}

/** A fault of a rule file. */
export interface Problem extends Place {
  readonly message: string
}

/** The rules of a file, and its faults. */
export interface Rules {
  readonly rules: ReadonlyArray<Rule>
  readonly problems: ReadonlyArray<Problem>
}

/** No rules. */
export const none: Rules = { rules: [], problems: [] }

/** The rules of several files. */
export const concat = (all: ReadonlyArray<Rules>): Rules => ({
  rules: all.flatMap(({ rules }) => rules),
  problems: all.flatMap(({ problems }) => problems)
})

/**
 * Reads a rule file. An error makes nothing more permissive, and the other rules hold.
 *
 * - A rule whose pattern can be read forbids if it may have been meant to, and asks otherwise.
 * - A rule whose pattern cannot be read, or does not fit its examples, is about the commands whose program its text
 *   mentions. It forbids them if it mentions `forbid`, and asks otherwise.
 */
export const parse = (file: string, text: string): Rules => {
  const rules: Array<Rule> = []
  const problems: Array<Problem> = []
  for (const call of Parser.parse(text)) {
    const read = readRule(call)
    const place: Place = { file, line: call.line, column: call.column }
    problems.push(...read.problems.map((problem) => ({ file, ...problem })))
    rules.push(read.problems.length === 0 ? { ...read.rule, place } : { ...restrict(read, call), place })
  }
  return { rules, problems }
}

/** Makes the rules in place of a file that exists and cannot be read: a person is asked about each command. */
export const makeUnreadable = (file: string, message: string): Rules => {
  const place: Place = { file, line: 1, column: 1 }
  return {
    rules: [{ pattern: [], decision: "prompt", justification: hasError, place }],
    problems: [{ ...place, message }]
  }
}

const hasError = "this rule has an error"

interface Read {
  readonly rule: Omit<Rule, "place">
  readonly problems: ReadonlyArray<Parser.SyntaxProblem>
}

const restrict = ({ rule: { decision, pattern } }: Read, { source }: Parser.Call): Omit<Rule, "place"> =>
  pattern.length > 0
    ? { pattern, decision: decision === "allow" ? "prompt" : decision, justification: hasError }
    : {
        pattern: [],
        mentions: source,
        decision: source.includes("forbid") ? "forbid" : "prompt",
        justification: hasError
      }

/** Returns a place as text: `file:line:column`. */
export const textOf = ({ column, file, line }: Place): string => `${file}:${line}:${column}`

const decisions: { readonly [name: string]: RuleDecision } = {
  allow: "allow",
  prompt: "prompt",
  forbid: "forbid",
  forbidden: "forbid"
}
const argNames: ReadonlySet<string> = new Set(["pattern", "decision", "justification", "match", "not_match"])

const readRule = (call: Parser.Call): Read => {
  if (call.error !== undefined) return { rule: { pattern: [], decision: "prompt" }, problems: [call.error] }
  const problems: Array<Parser.SyntaxProblem> = []
  const report = ({ column, line }: Parser.Place, message: string) => void problems.push({ line, column, message })
  if (call.name !== "prefix_rule") report(call, `there is no function ${call.name}`)
  const args = new Map<string, Parser.Value>()
  for (const { name, value, ...place } of call.args) {
    if (!argNames.has(name)) report(place, `prefix_rule has no argument ${name}`)
    else if (args.has(name)) report(place, `the argument ${name} is given twice`)
    else args.set(name, value)
  }
  const pattern = readPattern(args.get("pattern") ?? call, report)
  const given = args.get("decision")
  const decision = given === undefined ? "allow" : given._tag === "Text" ? decisions[given.text] : undefined
  if (given !== undefined && decision === undefined) report(given, "the decision must be allow, prompt or forbid")
  const justification = args.get("justification")
  if (justification?._tag === "List") report(justification, "the justification must be a text")
  const holds = [
    checkExamples(args.get("match"), true, { pattern, report }),
    checkExamples(args.get("not_match"), false, { pattern, report })
  ]
  return {
    rule: {
      // examples show what was meant: without them, the pattern says nothing
      pattern: holds.includes(false) ? [] : pattern,
      decision: decision ?? "forbid",
      ...(justification?._tag === "Text" ? { justification: justification.text } : {})
    },
    problems
  }
}

type Report = (place: Parser.Place, message: string) => void

/** Reads the alternatives for each word; returns an empty list if one of them is wrong. */
const readPattern = (value: Parser.Value | Parser.Call, report: Report): Rule["pattern"] => {
  if (!("_tag" in value)) {
    report(value, "the rule has no pattern")
    return []
  }
  if (value._tag === "Text" || value.values.length === 0) {
    report(value, 'the pattern must be a list of words, such as ["git", "status"]')
    return []
  }
  const pattern: Array<ReadonlyArray<string>> = []
  for (const part of value.values) {
    const words = part._tag === "Text" ? [part.text] : textsOf(part)
    if (words === undefined || words.length === 0) {
      report(part, "a word of the pattern must be a text or a list of texts")
      return []
    }
    pattern.push(words)
  }
  return pattern
}

const textsOf = (value: Parser.Value): ReadonlyArray<string> | undefined => {
  if (value._tag === "Text") return undefined
  const texts = value.values.flatMap((one) => (one._tag === "Text" ? [one.text] : []))
  return texts.length === value.values.length ? texts : undefined
}

/** Returns whether each example matches, or does not match, as it should. */
const checkExamples = (
  examples: Parser.Value | undefined,
  matches: boolean,
  { pattern, report }: { readonly pattern: Rule["pattern"]; readonly report: Report }
): boolean => {
  if (examples === undefined) return true
  const wrong =
    examples._tag === "Text"
      ? [[examples, "the examples must be a list of commands"] as const]
      : wrongExamples(examples.values, matches, pattern)
  for (const [example, message] of wrong) report(example, message)
  return wrong.length === 0
}

const wrongExamples = (examples: ReadonlyArray<Parser.Value>, matches: boolean, pattern: Rule["pattern"]) =>
  examples.flatMap((example): ReadonlyArray<readonly [Parser.Value, string]> => {
    const commands = example._tag === "Text" ? commandsOf(example.text) : undefined
    const words = commands?.length === 1 ? commands[0] : textsOf(example)
    if (words === undefined) return [[example, "an example must be one plain command"]]
    if (isPrefix(pattern, words) === matches) return []
    return [[example, `the rule ${matches ? "does not match" : "matches"} this example`]]
  })

const isPrefix = (pattern: Rule["pattern"], words: Command): boolean =>
  pattern.length <= words.length && pattern.every((alternatives, index) => alternatives.includes(words[index]!))

const strictness: { readonly [decision in RuleDecision]: number } = { allow: 0, prompt: 1, forbid: 2 }

/** True if the text of a rule that cannot be read may be about a program. An escape may hide a name. */
const isMentioned = (text: string, program: string): boolean => text.includes(program) || text.includes("\\")

/**
 * Returns the strictest rule that matches a command; undefined if none does. A rule that restricts a program also
 * restricts its path: a rule about `rm` forbids `/bin/rm`, but does not allow it.
 */
export const ruleFor = (rules: ReadonlyArray<Rule>, command: Command): Rule | undefined => {
  const [program = "", ...args] = command
  const name = program.slice(program.lastIndexOf("/") + 1)
  const matches = ({ decision, mentions, pattern }: Rule): boolean => {
    if (mentions !== undefined) return isMentioned(mentions, name)
    return isPrefix(pattern, command) || (decision !== "allow" && isPrefix(pattern, [name, ...args]))
  }
  let found: Rule | undefined
  for (const rule of rules) {
    if (found !== undefined && strictness[rule.decision] <= strictness[found.decision]) continue
    if (matches(rule)) found = rule
  }
  return found
}

/**
 * Returns a rule that may restrict a line of which the words are not known: the line mentions its program. Quotes and
 * escapes can hide a program.
 */
export const restrictionIn = (rules: ReadonlyArray<Rule>, line: string): Rule | undefined =>
  rules.find(
    ({ decision, pattern: [programs] }) =>
      decision !== "allow" && (programs === undefined || programs.some((program) => line.includes(program)))
  )

/** Writes the rule that allows the commands that begin with these words, as one line of a rule file. */
export const allowLine = (words: Command): string =>
  `prefix_rule(pattern = [${words.map((word) => JSON.stringify(word)).join(", ")}], decision = "allow")`
