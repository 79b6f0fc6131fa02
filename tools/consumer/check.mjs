// Uses the packed packages as a user does, outside of the workspace: npm installs the tarballs of `scripts/packed.mjs` into an empty project, a program and an
// import of every public module are type-checked with strict flags, `skipLibCheck: false`, two versions of TypeScript and two module resolutions, and the
// compiled program runs on two versions of Node. The older compiler takes longest, and checks the declarations of the packages with one resolution only.
import { spawn } from "node:child_process"
import { cpSync, existsSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { packages, read, report, root } from "../../scripts/workspace.mjs"

const pins = JSON.parse(read("package.json"))
const olderNode = "22.20.0"
const prints = "completed, denied, good, 0 violations"
// without the program: it exports nothing, and `scripts/packed.mjs` starts it
const libraries = packages.filter(({ name, isPublished }) => isPublished && name !== "cli")
/** Modules with an optional peer that this project does not have. */
const withPeers = ["@spindle/telemetry/OpenTelemetry", "@spindle/testing/JournalSuite", "@spindle/testing/SessionSuite"]
const compilers = { "TypeScript 5.9": "tools/docs/node_modules/typescript", "TypeScript 7": "node_modules/typescript" }
const resolutions = { nodenext: "nodenext", bundler: "esnext" }

const problems = []
const project = mkdtempSync(join(realpathSync(tmpdir()), "spindle-consumer-"))

const run = (command, args) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { cwd: project, shell: process.platform === "win32" && command === "npm" })
    let output = ""
    child.stdout.on("data", (data) => (output += data))
    child.stderr.on("data", (data) => (output += data))
    child.on("error", (error) => resolve({ code: 1, output: String(error) }))
    child.on("close", (code) => resolve({ code, output }))
  })

const installs = async () => {
  const tarball = ({ manifest }) =>
    `file:${join(root, "build/packed", `${manifest.name.replace("@", "").replace("/", "-")}-${manifest.version}.tgz`)}`
  const platforms = ["linux-x64", "linux-arm64", "win-x64"]
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({
      private: true,
      type: "module",
      dependencies: {
        effect: pins.devDependencies.effect,
        ...Object.fromEntries(libraries.map((one) => [one.manifest.name, tarball(one)]))
      },
      devDependencies: { "@types/node": pins.devDependencies["@types/node"] },
      optionalDependencies: Object.fromEntries(platforms.map((platform) => [`node-${platform}`, olderNode]))
    })
  )
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline"]
  const { code, output } = await run("npm", ["install", "--strict-peer-deps", ...flags])
  if (code !== 0) problems.push(`npm install of the packed packages\n${output}`)
  return code === 0
}

/** The names of all public modules, as the packages export them. */
const publicModules = () =>
  libraries.flatMap(({ manifest: { exports, name } }) => {
    const named = Object.keys(exports).filter((path) => !path.includes("*") && path !== "./package.json")
    const dist = readdirSync(join(project, "node_modules", name, "dist"))
    const files = exports["./*"] === undefined ? [] : dist.filter((file) => /^[A-Z]\w*\.js$/.test(file))
    return [...named.map((path) => path.slice(2)), ...files.map((file) => file.slice(0, -3))].map((path) =>
      path === "" ? name : `${name}/${path}`
    )
  })

const writeSources = (modules) => {
  cpSync(join(root, "tools/consumer/main.ts"), join(project, "main.ts"))
  writeFileSync(
    join(project, "modules.ts"),
    modules.map((name, index) => `export * as m${index} from "${name}"\n`).join("")
  )
  for (const [resolution, module] of Object.entries(resolutions)) {
    writeFileSync(
      join(project, `tsconfig.${resolution}.json`),
      JSON.stringify({
        compilerOptions: {
          target: "es2023",
          // effect's own types need those of the browser, or skipLibCheck
          lib: ["es2024", "esnext.disposable", "dom"],
          types: ["node"],
          module,
          moduleResolution: resolution,
          outDir: `out/${resolution}`,
          skipLibCheck: false,
          strict: true,
          exactOptionalPropertyTypes: true,
          isolatedModules: true,
          noFallthroughCasesInSwitch: true,
          noImplicitOverride: true,
          noImplicitReturns: true,
          noPropertyAccessFromIndexSignature: true,
          noUncheckedIndexedAccess: true,
          noUnusedLocals: true,
          noUnusedParameters: true,
          verbatimModuleSyntax: true
        },
        include: ["*.ts"]
      })
    )
  }
}

const check = async ([compiler, path], resolution) => {
  const own = JSON.parse(read(`${path}/package.json`)).version
  if (!own.startsWith(`${compiler.split(" ")[1]}.`)) problems.push(`${path} is TypeScript ${own}, not ${compiler}`)
  const emit = compiler === "TypeScript 7" && resolution === "nodenext" ? [] : ["--noEmit"]
  const libs = compiler === "TypeScript 5.9" && resolution === "bundler" ? ["--skipLibCheck"] : []
  const tsc = join(root, path, "bin/tsc")
  const { code, output } = await run(process.execPath, [tsc, "-p", `tsconfig.${resolution}.json`, ...emit, ...libs])
  if (code !== 0) problems.push(`${compiler}, ${resolution}\n${output.split("\n").slice(0, 40).join("\n")}`)
}

const start = async (node, wanted) => {
  const version = await run(node, ["--version"])
  if (!version.output.startsWith(`v${wanted}.`))
    problems.push(`${node} is ${version.output.trim()}, not Node ${wanted}`)
  const { code, output } = await run(node, ["out/nodenext/main.js"])
  if (code !== 0 || output.trim() !== prints)
    problems.push(`Node ${wanted} should print\n${prints}\nbut prints\n${output}`)
}

let modules = []
if (await installs()) {
  modules = publicModules().filter((name) => !withPeers.includes(name))
  writeSources(modules)
  // two at a time
  for (const resolution of Object.keys(resolutions)) {
    await Promise.all(Object.entries(compilers).map((compiler) => check(compiler, resolution)))
  }
  if (problems.length === 0) {
    const older = join(project, "node_modules/.bin/node")
    const nodes = [[process.execPath, 24], ...(existsSync(older) ? [[older, 22]] : [])]
    await Promise.all(nodes.map(([node, wanted]) => start(node, wanted)))
  }
}
rmSync(project, { recursive: true, force: true })
report(problems, `${modules.length} modules with TypeScript 5.9 and 7, nodenext and bundler; Node 22 and 24`)
