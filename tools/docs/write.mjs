// `npm run docs:api`: writes the documentation of the API into build/api with typedoc, for every public module of every library. Fails if an export has no
// doc comment, or if a link leads nowhere.
import { spawn } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { files, packages, root } from "../../scripts/workspace.mjs"

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
const options = {
  name: "Spindle",
  tsconfig: join(folder, "tsconfig.json"),
  entryPoints: libraries.flatMap(entryPoints).map((path) => join(root, path)),
  out: join(root, "build/api"),
  readme: "none",
  basePath: root,
  displayBasePath: root,
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  // the types are checked by the build
  skipErrorChecking: true,
  validation: { notExported: false, invalidLink: true, notDocumented: true },
  requiredToBeDocumented: ["Class", "Enum", "Function", "Interface", "Namespace", "TypeAlias", "Variable"],
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true
}
writeFileSync(join(folder, "typedoc.json"), JSON.stringify(options))
const typedoc = join(root, "tools/docs/node_modules/typedoc/bin/typedoc")
const child = spawn(process.execPath, [typedoc, "--options", join(folder, "typedoc.json"), ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit"
})
child.on("close", (code) => process.exit(code ?? 1))
