// The places of the peers. Peers that need only the workspace run from here. The others run from a copy of this folder in `.peers`, next to their
// node_modules, so that Node finds their packages without help that would cost start-up time.
import { cpSync, existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

/** The folder of the benchmarks. */
export const here = dirname(fileURLToPath(import.meta.url))
/** The folder of the peers that are not part of the workspace. */
export const apart = join(here, ".peers")

const own = new Set(["floor", "effect", "spindle"])

/** The peers by id: `file` or `file:variant`. */
export const ownPeers = ["floor", "effect", "effect:sync", "spindle", "spindle:language-model"]
export const otherPeers = [
  "ai-sdk",
  "openai-agents",
  "openai-agents:notrace",
  "langchain",
  "langchain:nockpt",
  "mastra",
  "mastra:nomem"
]
/** The variants that write to disk, for w8 and the kill -9 trials. */
export const ownStores = ["effect:kvs", "spindle:file"]
export const otherStores = ["langchain:sqlite", "mastra:libsql"]

/** Returns the folder to run a peer from. */
export const placeOf = (id) => {
  const peer = id.split(":")[0]
  if (own.has(peer)) return here
  if (!existsSync(join(apart, "node_modules"))) {
    throw new Error(`${peer} is not installed: npm run bench:peers installs it into bench/.peers`)
  }
  return apart
}

/** Copies what a measurement runs to the folder with the packages of the other peers. */
export const copyApart = () => {
  for (const part of ["worker.mjs", "cold.mjs", "crash-child.mjs", "crash-verify.mjs", "workloads", "peers"]) {
    cpSync(join(here, part), join(apart, part), { recursive: true })
  }
}

/** Returns the versions of the packages that a peer measures. */
export const versionsOf = async (id) => {
  const place = placeOf(id)
  const { packages } = await import(pathToFileURL(join(place, "peers", `${id.split(":")[0]}.mjs`)).href)
  const versions = {}
  for (const name of packages) {
    const manifest = [join(place, "node_modules"), join(here, "../node_modules")]
      .map((modules) => join(modules, name, "package.json"))
      .find((path) => existsSync(path))
    versions[name] = JSON.parse(readFileSync(manifest, "utf8")).version
  }
  return versions
}
