// Checks the size limits of CONTRIBUTING.md. A code line has more than comments and blanks. A file may exceed a limit if its header (first 12 lines) says
// `sizes: <reason>`.
import { dirname } from "node:path"
import { parseSync } from "vite"
import { files, packages, read, report } from "./workspace.mjs"

const limits = {
  publicModule: 400,
  privateModule: 300,
  test: 600,
  document: 350,
  folder: 25,
  function: 80,
  make: 120,
  parameters: 3,
  generators: 2
}
const problems = []
const isExcepted = (text) => /^\W*sizes: \S/m.test(text.split("\n").slice(0, 12).join("\n"))

/** Returns for each line of a source whether it is a code line. */
const codeLines = (text, comments) => {
  const bare = text.split("")
  for (const { start, end } of comments) {
    for (let i = start; i < end; i++) if (bare[i] !== "\n") bare[i] = " "
  }
  return bare
    .join("")
    .split("\n")
    .map((line) => line.trim() !== "")
}

/** Returns all functions of a tree: the node, its name, and how many generators are around it. */
const functionsOf = (program) => {
  const out = []
  const visit = (node, name, depth) => {
    if (Array.isArray(node)) return node.forEach((child) => visit(child, name, depth))
    if (node === null || typeof node !== "object" || typeof node.type !== "string") return
    const known = node.id?.name ?? node.key?.name ?? name
    const isFunction = /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)
    if (isFunction) out.push({ node, name: known, depth })
    for (const child of Object.values(node)) visit(child, known, isFunction && node.generator ? depth + 1 : depth)
  }
  visit(program, "(anonymous)", 0)
  return out
}

const checkFunctions = (path, program, isCode) => {
  const text = read(path)
  const isPublic = !isPrivate(path)
  const lineOf = (offset) => text.slice(0, offset).split("\n").length
  for (const { node, name, depth } of functionsOf(program)) {
    const first = lineOf(node.start)
    const count = isCode.slice(first - 1, lineOf(node.end)).filter(Boolean).length
    const limit = name.startsWith("make") ? limits.make : limits.function
    const at = `${path}:${first}`
    if (count > limit) problems.push(`${at}: function ${name} has ${count} code lines, the limit is ${limit}`)
    const parameters = node.params.filter((parameter) => parameter.name !== "this").length
    if (isPublic && parameters > limits.parameters) {
      problems.push(`${at}: function ${name} has ${parameters} parameters, the limit is ${limits.parameters}`)
    }
    if (node.generator && depth >= limits.generators) {
      problems.push(`${at}: generator ${name} is inside ${depth} others, the limit is ${limits.generators - 1}`)
    }
  }
}

const isPrivate = (path) => path.includes("/internal/") || !path.startsWith("packages/")
const isSource = (path) => /\.(ts|mjs|js)$/.test(path)
const checked = [
  ...packages.flatMap(({ name }) =>
    ["src", "test", "bin"].flatMap((part) => files(`packages/${name}/${part}`, isSource))
  ),
  ...files("scripts", isSource),
  ...files("tools", isSource),
  ...files("bench", isSource)
]
for (const path of checked) {
  const text = read(path)
  if (isExcepted(text)) continue
  const { program, comments, errors } = parseSync(path, text)
  if (errors.length > 0) {
    problems.push(`${path}: cannot be parsed: ${errors[0].message}`)
    continue
  }
  const isCode = codeLines(text, comments)
  const count = isCode.filter(Boolean).length
  const isTest = path.includes("/test/")
  const limit = isTest ? limits.test : isPrivate(path) ? limits.privateModule : limits.publicModule
  if (count > limit) problems.push(`${path}: ${count} code lines, the limit is ${limit}`)
  if (!isTest) checkFunctions(path, program, isCode)
}

const documents = ["README.md", "CONTRIBUTING.md", ...files("docs", (path) => path.endsWith(".md"))]
for (const path of documents.filter((path) => files(dirname(path)).includes(path))) {
  const text = read(path)
  const count = text.split("\n").length - 1
  if (count > limits.document && !isExcepted(text)) {
    problems.push(`${path}: ${count} lines, the limit is ${limits.document}`)
  }
}

const perFolder = new Map()
for (const path of [...checked, ...files("docs")]) perFolder.set(dirname(path), (perFolder.get(dirname(path)) ?? 0) + 1)
// its pages are numbered, and its README.md is their index
perFolder.delete("docs/decisions")
for (const [folder, count] of perFolder) {
  if (count > limits.folder) problems.push(`${folder}: ${count} files, the limit is ${limits.folder}`)
}

report(problems, `${checked.length} sources and ${documents.length} documents are within the limits`)
