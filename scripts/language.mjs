// npm run language [-- --counts]
// Finds phrases that only this repository used, in comments, names of tests and Markdown, and prints a better one for each. `--counts` prints only how
// many each package has. Code in backticks is left out. In the sources of packages it also finds doc comments that begin with a question word.
import { parseSync } from "vite"
import { files, read, report } from "./workspace.mjs"

/** Phrases and what to write instead. Every form of a verb is listed, because a stem would match too much. */
const phrases = [
  ["all the same", "anyway, regardless"],
  ["also (?:when|where)", "even if, including when"],
  ["any more", "no longer, no further"],
  ["beside", "next to, in addition to"],
  ["(?:goes?|went|going) on(?! (?:the|a) )", "continues, keeps running"],
  ["(?:lets?|letting) go of", "releases, closes"],
  ["(?:holds?|held|holding) up", "blocks, delays"],
  ["in the step that", "atomically with"],
  ["in vain", "without effect"],
  ["(?:leaves?|left|leaving) behind", "leaves running, leaves"],
  ["may at most what", "never has more authority than"],
  ["(?:meets?|met) a defect", "dies, throws"],
  ["(?:nobody|no one|who) else", "no other fiber, another caller"],
  ["of (?:its|one's|our|their|his) own", "its own, separate, custom"],
  ["side by side", "concurrently"],
  ["(?:stands?|stood|standing) (?:for|in)", "means, is in"],
  ["(?:is|are|was|were|be|been|being) told(?! apart)", "receives, is called with"],
  ["(?:tells?|told) of", "reports, emits"],
  ["what is late", "whatever has not finished in time"],
  ["whoever", "the caller, the subscriber, the owner"]
].map(([pattern, better]) => ({
  better,
  // a phrase may continue on the next line of a comment
  pattern: new RegExp(`(?<![\\w-])(?:${pattern.replaceAll(" ", "[\\s*/]+")})(?![\\w-])`, "gi")
}))

/** The sources in which no doc comment begins with a question word. */
const checksOpenings = /^packages\/[^/]+\/src\//
/** The beginning of a doc comment, as the parser returns it, with its first word. */
const opening = /^\*[\s*]*(Whether|How|What|Which|Where|When|That|Who|Why)\b/

const blank = (text) => text.replace(/[^\n]/g, " ")
const withoutCode = (text) => text.replace(/`[^`]*`/g, blank)

/** Returns the name of the function that a call of a call starts with: `it` for `it.effect.each(cases)("name", ...)`. */
const rootOf = (node) => {
  if (node.type === "MemberExpression") return rootOf(node.object)
  if (node.type === "CallExpression") return rootOf(node.callee)
  return node.name
}

/** Returns the first arguments of calls of `it`, `test` and `describe`. */
const testNames = (program) => {
  const names = []
  const visit = (node) => {
    if (Array.isArray(node)) return node.forEach(visit)
    if (node === null || typeof node !== "object") return
    const isTest = node.type === "CallExpression" && /^(it|test|describe)$/.test(rootOf(node.callee))
    if (isTest && /^(Literal|TemplateLiteral)$/.test(node.arguments[0]?.type)) names.push(node.arguments[0])
    Object.values(node).forEach(visit)
  }
  visit(program)
  return names
}

const parse = (path, text) => {
  const parsed = parseSync(path, text)
  if (parsed.errors.length > 0) throw new Error(`cannot parse ${path}: ${parsed.errors[0].message}`)
  return parsed
}

/** Returns the comments and the names of tests of a source, at their places, with spaces for everything else. */
const proseOfSource = ({ comments, program }, text) => {
  const kept = [
    ...comments.map(({ end, start }) => ({ start, end, prose: withoutCode(text.slice(start, end)) })),
    ...testNames(program).map(({ end, start }) => ({ start, end, prose: text.slice(start, end) }))
  ].sort((a, b) => a.start - b.start)
  let prose = ""
  for (const one of kept) prose += blank(text.slice(prose.length, one.start)) + one.prose
  return prose
}

/** Returns a Markdown text without code; of fenced blocks it keeps the comments. */
const proseOfMarkdown = (text) => {
  let isFenced = false
  const lines = text.split("\n").map((line) => {
    if (/^\s*```/.test(line)) {
      isFenced = !isFenced
      return ""
    }
    return isFenced ? (/\/\/ .*/.exec(line)?.[0] ?? "") : line
  })
  return withoutCode(lines.join("\n"))
}

const packageOf = (path) => /^packages\/[^/]+/.exec(path)?.[0] ?? path.split("/")[0]
const problems = []
const counts = new Map()
const paths = files("", (path) => /\.(ts|mjs|mts|js|md)$/.test(path))
for (const path of paths) {
  const text = read(path)
  const source = path.endsWith(".md") ? undefined : parse(path, text)
  const prose = source === undefined ? proseOfMarkdown(text) : proseOfSource(source, text)
  const note = (offset, found, better) => {
    problems.push(`${path}:${text.slice(0, offset).split("\n").length}: ${found}: write ${better}`)
    counts.set(packageOf(path), (counts.get(packageOf(path)) ?? 0) + 1)
  }
  for (const { better, pattern } of phrases) {
    for (const match of prose.matchAll(pattern)) note(match.index, match[0].replace(/[\s*/]+/g, " "), better)
  }
  if (source === undefined || !checksOpenings.test(path)) continue
  for (const { start, type, value } of source.comments) {
    const word = type === "Block" ? opening.exec(value)?.[1] : undefined
    if (word !== undefined) note(start, word, "a verb (Returns, Runs), True if, or a noun first")
  }
}
if (process.argv.includes("--counts")) for (const [name, count] of counts) console.log(`${name}: ${count}`)
else report(problems, `${paths.length} files have no phrase of the list`)
