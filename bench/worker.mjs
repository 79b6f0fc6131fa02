// node [flags] worker.mjs <peer[:variant]> <workload> [file]  ->  one JSON line on fd 3 or stdout
import { writeSync } from "node:fs"
const [, , id, workload, file] = process.argv
const [peer, variant = ""] = id.split(":")
process.on("unhandledRejection", () => {
  globalThis.unhandled = (globalThis.unhandled ?? 0) + 1
})
const P = await import(new URL(`./peers/${peer}.mjs`, import.meta.url))
const rt = await P.load({ ...P.variants[variant], file })
const w = await import("./workloads/index.mjs")
const out = await w[workload](rt, { file })
if (globalThis.unhandled) out.unhandled_rejections = globalThis.unhandled
writeSync(1, `\n@@${JSON.stringify(out)}\n`)
process.exit(0)
