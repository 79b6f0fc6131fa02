// Who may import whom. Inside core: a file imports from its own folder or from one above it in `levels`. Between packages: core knows no
// other, siblings do not know each other, `server` and `cli` join them; nobody reaches into another package's folders.
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
const any = packages.map(({ name }) => name)
const mayImport = {
  core: [],
  delegate: ["core"],
  tools: ["core"],
  testing: ["core"],
  telemetry: ["core"],
  openai: ["core"],
  cluster: ["core"],
  server: ["core", "delegate", "tools"],
  cli: any
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

let count = 0
for (const { name } of packages) {
  const allowed = mayImport[name]
  if (allowed === undefined) problems.push(`packages/${name}: not known to scripts/levels.mjs`)
  const isSource = (path) => path.endsWith(".ts")
  for (const path of [...files(`packages/${name}/src`, isSource), ...files(`packages/${name}/test`, isSource)]) {
    for (const specifier of imports(path)) {
      count++
      if (specifier.startsWith(".")) {
        const target = posix.join(dirname(path), specifier)
        if (!target.startsWith(`packages/${name}/`) && !target.startsWith("scripts/"))
          problems.push(`${path}: ${specifier} leaves its package`)
        else checkCore(path, target)
        continue
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
report(problems, `${count} imports keep the levels`)
