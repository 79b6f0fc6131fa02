// The directions of imports, type imports included. Inside core a file imports from its own folder or from one above it in `levels`. Between
// packages, `mayImport` says which ones a package may import: siblings do not import each other, `app` combines them, and faces come last. No package
// imports the internal modules of another, and only faces and tests import the platform. No imports form a circle.
//
// And the form of option records: a field that may be absent takes undefined, so that a caller passes on what it has without a spread. An option record
// is a type whose name says so, or an object type of a parameter of a public module. Schemas are not option records.
import { dirname, posix } from "node:path"
import { parseSync } from "vite"
import { files, packages, read, report } from "./workspace.mjs"

// lowest first; "" is the top level of src. Sessions, their internals and the tasks of core are one level.
const levels = [
  ["protocol"],
  ["state"],
  ["ports"],
  ["journal", "models"],
  ["", "internal", "internal/hosting", "internal/log", "internal/session", "internal/turn", "tasks"]
]
// what a package may import, itself excepted: effect <- core <- siblings <- app <- cli
const siblings = ["delegate", "tools", "openai", "mcp", "telemetry", "testing"]
const mayImport = {
  core: [],
  ...Object.fromEntries(siblings.map((name) => [name, ["core"]])),
  // the one exception: what all models over HTTP share is in openai
  anthropic: ["core", "openai"],
  app: ["core", "delegate", "tools", "openai", "anthropic", "mcp", "telemetry"],
  cli: ["core", "telemetry", "testing", "app"]
}
const problems = []

/** The module names that a source mentions in imports, exports and import() with a literal, types included. */
const imports = (path) => {
  const out = []
  const visit = (node) => {
    if (Array.isArray(node)) return node.forEach(visit)
    if (node === null || typeof node !== "object") return
    if (
      /^(Import|Export(Named|All))(Declaration|Expression)$/.test(node.type) &&
      typeof node.source?.value === "string"
    ) {
      out.push(node.source.value)
    } else if (node.type === "TSImportType" && typeof node.source?.value === "string") out.push(node.source.value)
    Object.values(node).forEach(visit)
  }
  visit(parseSync(path, read(path)).program)
  return out
}

const levelOf = (folder) => levels.findIndex((level) => level.includes(folder))
const checkCore = (path, target) => {
  const src = "packages/core/src/"
  if (!path.startsWith(src) || path === `${src}index.ts`) return
  const [from, to] = [path, target].map((one) => one.slice(src.length).split("/").slice(0, -1).join("/"))
  if (levelOf(from) < 0) problems.push(`${path}: the folder ${from} has no level; give it one in scripts/levels.mjs`)
  else if (levelOf(to) > levelOf(from)) problems.push(`${path}: imports ${target}, which is on a later level`)
}

/** Adds a problem for each circle of imports. The linter finds those without `import()` too. */
const checkCircles = (graph) => {
  const state = new Map()
  const visit = (path, way) => {
    if (state.get(path) === "done") return
    if (state.get(path) === "open") {
      problems.push(`imports in a circle: ${[...way.slice(way.indexOf(path)), path].join(" -> ")}`)
      return
    }
    state.set(path, "open")
    for (const target of graph.get(path) ?? []) visit(target, [...way, path])
    state.set(path, "done")
  }
  for (const path of graph.keys()) visit(path, [])
}

const optionRecord = /(Options|Config|Settings|Spec|Policy|Filter)$/
const takesUndefined = new Set(["TSUndefinedKeyword", "TSUnknownKeyword", "TSAnyKeyword", "TSNeverKeyword"])
let fields = 0
const checkOptions = (path) => {
  const text = read(path)
  const isPublic = !path.includes("/internal/")
  const visit = (node, inOptions) => {
    if (Array.isArray(node)) return node.forEach((child) => visit(child, inOptions))
    if (node === null || typeof node !== "object") return
    const { key, optional, type = "", typeAnnotation } = node
    const isNamed = type === "TSInterfaceDeclaration" || type === "TSTypeAliasDeclaration"
    const isFunction = /Function|^TSMethodSignature$/.test(type) && Array.isArray(node.params)
    if (type === "TSPropertySignature" && optional && inOptions) {
      fields++
      const parts = typeAnnotation.typeAnnotation.types ?? [typeAnnotation.typeAnnotation]
      if (!parts.some((part) => takesUndefined.has(part.type))) {
        const line = text.slice(0, node.start).split("\n").length
        problems.push(`${path}:${line}: ${key.name}: a field of an option record has the type \`?: ... | undefined\``)
      }
    }
    for (const [name, child] of Object.entries(node)) {
      if (isNamed) visit(child, optionRecord.test(node.id.name))
      else visit(child, isFunction ? isPublic && name === "params" : inOptions)
    }
  }
  visit(parseSync(path, text).program, false)
}

for (const name of Object.keys(mayImport)) {
  if (!packages.some((one) => one.name === name)) problems.push(`scripts/levels.mjs: there is no package ${name}`)
}

let count = 0
/** The relative imports of each source. */
const graph = new Map()
for (const { name } of packages) {
  const allowed = mayImport[name]
  if (allowed === undefined) problems.push(`packages/${name}: not known to scripts/levels.mjs`)
  const isSource = (path) => path.endsWith(".ts")
  files(`packages/${name}/src`, isSource).forEach(checkOptions)
  for (const path of [...files(`packages/${name}/src`, isSource), ...files(`packages/${name}/test`, isSource)]) {
    for (const specifier of imports(path)) {
      count++
      if (specifier.startsWith(".")) {
        const target = posix.join(dirname(path), specifier)
        if (!target.startsWith(`packages/${name}/`) && !target.startsWith("scripts/"))
          problems.push(`${path}: ${specifier} leaves its package`)
        else checkCore(path, target)
        graph.set(path, [...(graph.get(path) ?? []), target])
        continue
      }
      if (specifier.startsWith("@effect/platform-node") && path.includes("/src/") && name !== "cli") {
        problems.push(`${path}: only cli may import ${specifier}`)
      }
      const [, other, rest] = /^@spindle\/([^/]+)\/?(.*)$/.exec(specifier) ?? []
      if (other === undefined) continue
      if (rest.startsWith("internal")) problems.push(`${path}: ${specifier} is private to its package`)
      const isOwn = other === name
      if (path.includes("/src/") && !isOwn && !(allowed ?? []).includes(other)) {
        problems.push(`${path}: ${name} may not import ${other}`)
      }
    }
  }
}
checkCircles(graph)
report(problems, `${count} imports keep the levels, ${fields} optional fields take undefined`)
