// Checks what npm would publish. Each package is packed, checked by publint and attw, installed into an empty folder with only its declared dependencies,
// and imported there; its programs are started there. The links of its documents must lead to its own files, and its modules are bundled for browsers,
// except those that need Node. Needs the build and the bundle.
import { spawn } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { dirname, join, sep } from "node:path"
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core"
import { build } from "esbuild"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import { packages, report, root } from "./workspace.mjs"

const problems = []
/** Where the packed packages are left, for `tools/consumer/check.mjs`. */
const tarballs = join(root, "build/packed")
const temporary = mkdtempSync(join(realpathSync(tmpdir()), "spindle-packed-"))

/** Runs a program. Returns its output, or undefined after it has added a problem. */
const run = (what, [command, ...args], cwd = root) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { cwd, shell: process.platform === "win32" })
    let output = ""
    let errors = ""
    child.stdout.on("data", (data) => (output += data))
    child.stderr.on("data", (data) => (errors += data))
    const fail = (error) => {
      problems.push(`${what}\n${error}${output}${errors}`)
      resolve(undefined)
    }
    child.on("error", fail)
    child.on("close", (code) => (code === 0 ? resolve(output) : fail("")))
  })

/** Does something for each package, for as many at a time as there are cores. Keeps the order of the results. */
const forEachPackage = async (all, work) => {
  const results = []
  const waiting = all.entries()
  const worker = async () => {
    for (const [index, one] of waiting) results[index] = await work(one)
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  return results
}

const bare = (path) => path.replace(/^\.\//, "")

/** Returns the files that a manifest exports by name. */
const exportedFiles = ({ exports }) =>
  Object.entries(exports)
    .filter(([name]) => name !== "./package.json" && !name.includes("*"))
    .flatMap(([, targets]) => Object.values(targets))

/** Packs packages. Returns what npm says of each, by name. */
const pack = async (all) => {
  const workspaces = all.flatMap(({ name }) => ["--workspace", `packages/${name}`])
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", tarballs, ...workspaces]
  const out = await run("npm pack", ["npm", ...args])
  const results = out === undefined ? [] : JSON.parse(out.slice(out.indexOf("[")))
  return new Map(results.map((packed) => [packed.name, packed]))
}

/** Unpacks a package, and adds a problem for each file that it lacks or should not have. */
const unpack = async ({ name, manifest }, packed) => {
  const paths = packed.files.map((file) => file.path)
  for (const wanted of [
    "package.json",
    "README.md",
    "LICENSE",
    ...exportedFiles(manifest),
    ...Object.values(manifest.bin ?? {})
  ].map(bare)) {
    if (!paths.includes(wanted)) problems.push(`${manifest.name}: the package lacks ${wanted}`)
  }
  // the example of the demo is a project with tests
  const own = paths.filter((path) => !path.startsWith("example/"))
  for (const path of own.filter((one) => /(^|\/)\.|\.test\.|^test\//.test(one))) {
    problems.push(`${manifest.name}: the package holds ${path}`)
  }
  const tarball = join(tarballs, packed.filename)
  const unpacked = join(temporary, name)
  mkdirSync(unpacked)
  const tar = ["tar", "-xzf", tarball, "-C", unpacked, "--strip-components=1"]
  if ((await run(`${manifest.name}: tar`, tar)) === undefined) return
  const isModule = (path) => /^dist\/[^/]+\.js$/.test(path)
  const all = manifest.exports["./*"] !== undefined
  const modules = all ? paths.filter(isModule) : exportedFiles(manifest).map(bare).filter(isModule)
  return {
    name,
    manifest,
    tarball,
    unpacked,
    modules,
    hidden: paths.filter(isModule).filter((path) => !modules.includes(path))
  }
}

/** Makes an empty project in which only this package and its declared dependencies can be imported. */
const install = (one, all) => {
  const project = join(temporary, `user-of-${one.name}`)
  mkdirSync(project)
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }))
  const link = ({ manifest, unpacked }, modules) => {
    const target = join(modules, manifest.name)
    if (existsSync(target)) return
    mkdirSync(dirname(target), { recursive: true })
    // a copy, not a link: Node resolves the imports of a package from the real place of its files
    cpSync(unpacked, target, { recursive: true })
    for (const name of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) {
      const sibling = all.find((other) => other.manifest.name === name)
      if (sibling !== undefined) link(sibling, modules)
      else if (!existsSync(join(modules, name))) {
        mkdirSync(dirname(join(modules, name)), { recursive: true })
        symlinkSync(join(root, "node_modules", name), join(modules, name), "junction")
      }
    }
  }
  link(one, join(project, "node_modules"))
  return project
}

const checkImports = async (one, project) => {
  const name = one.manifest.name
  const publics = one.modules.map((path) => (path === "dist/index.js" ? name : `${name}/${path.slice(5, -3)}`))
  const dist = join(one.unpacked, "dist")
  // a public module has one flat name, wherever its file is
  const privates = (existsSync(dist) ? readdirSync(dist, { recursive: true }) : [])
    .map((file) => file.replaceAll(sep, "/"))
    .filter((file) => file.endsWith(".js") && file.includes("/"))
    .concat(one.hidden.flatMap((path) => [path, path.slice(5)]))
    .map((path) => `${name}/${path.replace(/\.js$/, "")}`)
  writeFileSync(
    join(project, "main.js"),
    `const failed = []
for (const name of ${JSON.stringify(publics)}) await import(name).catch((error) => failed.push(name + ": " + error.message))
for (const name of ${JSON.stringify(privates)}) await import(name).then(
  () => failed.push(name + " can be imported"),
  (error) => { if (error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") failed.push(name + ": " + error.message) })
if (failed.length > 0) { console.log(failed.join("\\n")); process.exit(1) }
`
  )
  await run(`${name}: imports of its users`, [process.execPath, join(project, "main.js")], project)
  return publics.length
}

/** Checks that the programs of a package start where only the package is installed. */
const checkPrograms = async ({ manifest }, project) => {
  for (const [program, path] of Object.entries(manifest.bin ?? {})) {
    const installed = join(project, "node_modules", manifest.name, path)
    const said = await run(
      `${manifest.name}: ${program} --version`,
      [process.execPath, installed, "--version"],
      project
    )
    if (said !== undefined && said.trim() !== `${program} ${manifest.version}`)
      problems.push(`${manifest.name}: ${program} --version says ${said}`)
  }
}

/** Adds a problem for each error and each warning of publint. */
const checkExports = async ({ manifest, tarball }) => {
  const { buffer, byteLength, byteOffset } = readFileSync(tarball)
  const { messages } = await publint({
    pack: { tarball: buffer.slice(byteOffset, byteOffset + byteLength) },
    strict: true
  })
  for (const message of messages.filter(({ type }) => type === "error"))
    problems.push(`${manifest.name}: publint: ${formatMessage(message, manifest)}`)
}

/** The resolutions of compilers that import no ES modules: the packages have nothing else. */
const withoutModules = ["node10", "node16-cjs"]

/**
 * Adds a problem for each import that a compiler resolves otherwise than Node. The checker runs in this process: it loads a compiler, which would take longer
 * than the check of most packages.
 */
const checkTypes = async ({ manifest, tarball }) => {
  const { problems: found, types } = await checkPackage(createPackageFromTarballData(readFileSync(tarball)))
  // a package that only runs has no types
  if (types === false) return
  for (const problem of found.filter(({ resolutionKind }) => !withoutModules.includes(resolutionKind)))
    problems.push(`${manifest.name}: types: ${JSON.stringify(problem)}`)
}

/** Adds a problem for each relative link of a document that leads out of the package, or to no file or heading of it. */
const checkLinks = ({ manifest, unpacked }) => {
  for (const path of readdirSync(unpacked, { recursive: true }).filter((one) => one.endsWith(".md"))) {
    const text = readFileSync(join(unpacked, path), "utf8")
    for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue
      const [file, anchor] = link.split("#")
      const target = file === "" ? join(unpacked, path) : join(unpacked, dirname(path), file)
      const isInside = target.startsWith(unpacked) && existsSync(target)
      if (!isInside) problems.push(`${manifest.name}: ${path} links to ${link}, which is not in the package`)
      else if (anchor !== undefined && !headings(readFileSync(target, "utf8")).includes(anchor))
        problems.push(`${manifest.name}: ${path} links to ${link}, which has no such heading`)
    }
  }
}

const headings = (text) =>
  Array.from(text.matchAll(/^#+ (.*)$/gm), ([, title]) =>
    title
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-")
  )

const workspace = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const coreVersion = packages.find(({ name }) => name === "core").manifest.version
const license = readFileSync(join(root, "LICENSE"), "utf8")

/** The packages that are programs: they bring their own core, and the libraries share that of the application. */
const programs = ["app", "cli"]

/** Adds a problem for each field of a manifest that is missing, or that differs from what all packages have. */
const checkManifest = ({ name, manifest, unpacked }) => {
  const { url } = workspace.repository
  const { dependencies = {}, keywords = [], peerDependencies = {}, repository } = manifest
  const add = (problem) => problems.push(`${manifest.name}: ${problem}`)
  if (repository?.url !== url || repository.directory !== `packages/${name}`)
    add(`repository must be ${url}, with the directory packages/${name}`)
  if (keywords.length === 0) add("there are no keywords")
  if (manifest.license !== workspace.license) add(`license must be ${workspace.license}`)
  const file = join(unpacked, "LICENSE")
  if (existsSync(file) && readFileSync(file, "utf8") !== license) add("LICENSE differs from that of the workspace")
  if (name === "core") return
  const [dependency, peer] = [dependencies["@spindle/core"], peerDependencies["@spindle/core"]]
  if (programs.includes(name)) {
    if (dependency !== coreVersion) add(`@spindle/core must be a dependency, ${coreVersion}`)
  } else if (peer !== `^${coreVersion}` || dependency !== undefined)
    add(`@spindle/core must be a peer dependency, ^${coreVersion}, and no other one`)
}

/** Modules that need Node, by package; `true`: all. All other modules must bundle for browsers. */
const nodeModules = { app: true, cli: true, telemetry: ["OpenTelemetry"], testing: ["ResponsesServer"], tools: true }

/** Bundles all modules of a package for browsers, except those that need Node. Returns the size of the bundle. */
const browserBytes = async ({ name, manifest, modules }, project) => {
  const needsNode = nodeModules[name] ?? []
  if (needsNode === true) return 0
  const imports = modules
    .map((path) => (path === "dist/index.js" ? manifest.name : `${manifest.name}/${path.slice(5, -3)}`))
    .filter((path) => !needsNode.some((one) => path.endsWith(`/${one}`)))
  const result = await build({
    stdin: {
      contents: imports.map((path, index) => `export * as m${index} from "${path}"`).join("\n"),
      resolveDir: project
    },
    bundle: true,
    platform: "browser",
    format: "esm",
    write: false,
    minify: true,
    logLevel: "silent",
    // the test runner provides itself
    external: ["vitest"]
  }).catch((error) => ({ errors: error.errors }))
  if (result.outputFiles !== undefined) return result.outputFiles[0].contents.length
  for (const { text, location } of result.errors)
    problems.push(`${manifest.name} in a browser: ${location?.file}: ${text}`)
  return 0
}

rmSync(tarballs, { recursive: true, force: true })
mkdirSync(tarballs, { recursive: true })
const published = packages.filter(({ isPublished }) => isPublished)
const archives = await pack(published)
const packed = (
  await forEachPackage(published, (one) => {
    const archive = archives.get(one.manifest.name)
    if (archive !== undefined) return unpack(one, archive)
    problems.push(`${one.manifest.name}: npm has not packed it`)
  })
).filter((one) => one !== undefined)
const checked = await forEachPackage(packed, async (one) => {
  await checkExports(one)
  await checkTypes(one)
  checkManifest(one)
  checkLinks(one)
  const project = install(one, packed)
  const modules = await checkImports(one, project)
  await checkPrograms(one, project)
  return { name: one.name, modules, bytes: await browserBytes(one, project) }
})
rmSync(temporary, { recursive: true, force: true })
const modules = checked.reduce((sum, one) => sum + one.modules, 0)
const sizes = checked.flatMap(({ bytes, name }) => (bytes === 0 ? [] : [`${name} ${Math.round(bytes / 1000)} kB`]))
report(problems, `${packed.length} packages with ${modules} public modules; minified for browsers: ${sizes.join(", ")}`)
