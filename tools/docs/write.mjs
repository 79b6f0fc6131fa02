// `npm run docs:api`: writes the documentation of the API into build/api with typedoc, for every public module of every library. Fails if an export has no
// doc comment, if a link leads nowhere, if a signature mentions a type that no public module exports, or if one of the exports that a user meets first has no
// example. With `--check` it writes only what the checks need.
import { spawn } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { files, packages, read, report, root } from "../../scripts/workspace.mjs"
import { unreachable } from "./reachable.mjs"

const source = (target) => target["spindle-source"]

/** Returns the sources of the public modules of a package. */
const entryPoints = ({ name, manifest: { exports } }) => {
  const named = Object.entries(exports).flatMap(([path, target]) =>
    path.includes("*") || path === "./package.json" ? [] : [source(target).replace("./", "")]
  )
  const all =
    exports["./*"] === undefined ? [] : files(`packages/${name}/src`, (path) => /\/src\/[A-Z]\w*\.ts$/.test(path))
  return [...new Set([...named.map((path) => `packages/${name}/${path}`), ...all])].filter(
    (path) => !path.endsWith("/index.ts")
  )
}

/** The exports that a user meets first, by the source of their module. */
const first = {
  "core/src/Agent": ["make"],
  "core/src/Session": ["Session", "make"],
  "core/src/Sessions": ["layer"],
  "core/src/Task": ["make"],
  "core/src/TaskKind": ["make"],
  "core/src/Tools": ["make"],
  "core/src/journal/memory": ["layerMemory"],
  "core/src/models/EffectAiModel": ["layer"],
  "core/src/ports/Approvals": ["Approvals"],
  "core/src/protocol/Op": ["answer", "userInput"],
  "delegate/src/Delegate": ["runOnce"],
  "openai/src/OpenAiModel": ["layer"],
  "testing/src/Faults": ["at"],
  "testing/src/Interrupts": ["explore"],
  "testing/src/ScriptedModel": ["make"],
  "testing/src/SessionHarness": ["make"],
  "testing/src/Simulation": ["run"],
  "testing/src/Vitest": ["extend"]
}

/** Whether a doc comment with an example is directly before an export of this name. */
const hasExample = (text, name) => {
  const parts = text.split(new RegExp(`^export (?:const|class|interface) ${name}\\b`, "m"))
  return parts.slice(0, -1).some((before) => {
    const comment = before.slice(before.lastIndexOf("/**"))
    return comment.endsWith("*/\n") && comment.includes("@example")
  })
}

const missing = Object.entries(first).flatMap(([path, names]) => {
  const text = read(`packages/${path}.ts`)
  return names.flatMap((name) => (hasExample(text, name) ? [] : [`packages/${path}.ts: ${name} has no @example`]))
})
if (missing.length > 0) report(missing)

const folder = join(root, "build/docs")
mkdirSync(folder, { recursive: true })
writeFileSync(
  join(folder, "tsconfig.json"),
  JSON.stringify({
    extends: "../../tsconfig.base.json",
    include: ["../../packages/*/src"],
    compilerOptions: {
      composite: false,
      incremental: false,
      noEmit: true,
      rootDir: "../..",
      types: ["node"],
      customConditions: ["spindle-source"]
    }
  })
)
const libraries = packages.filter(({ isPublished, name }) => isPublished && name !== "cli")
const json = join(folder, "api.json")
const options = {
  name: "Spindle",
  tsconfig: join(folder, "tsconfig.json"),
  entryPoints: libraries.flatMap(entryPoints).map((path) => join(root, path)),
  ...(process.argv.includes("--check") ? {} : { html: join(root, "build/api") }),
  json,
  readme: "none",
  basePath: root,
  displayBasePath: root,
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  // the types are checked by the build
  skipErrorChecking: true,
  // `notExported` looks at one package only; `unreachable` looks at all
  validation: { notExported: false, invalidLink: true, notDocumented: true },
  requiredToBeDocumented: ["Class", "Enum", "Function", "Interface", "Namespace", "TypeAlias", "Variable"],
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true
}
writeFileSync(join(folder, "typedoc.json"), JSON.stringify(options))
const typedoc = join(root, "tools/docs/node_modules/typedoc/bin/typedoc")
const child = spawn(process.execPath, [typedoc, "--options", join(folder, "typedoc.json")], {
  cwd: root,
  stdio: "inherit"
})
child.on("close", (code) => {
  if (code !== 0) process.exit(code ?? 1)
  report(unreachable(JSON.parse(readFileSync(json, "utf8"))), "every type that a signature mentions is exported")
})
