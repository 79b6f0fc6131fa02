// w7: the time from process start to the end of the first turn.
import { writeSync } from "node:fs"
const [peer, variant = ""] = process.argv[2].split(":")
const P = await import(new URL(`./peers/${peer}.mjs`, import.meta.url))
const rt = await P.load({ ...P.variants[variant], file: process.argv[3] })
const loaded = performance.now()
const r = await (await rt.newSession()).turn("text")
writeSync(
  1,
  `\n@@${JSON.stringify({ loaded_ms: loaded, in_process_ms: performance.now(), rss_mb: process.memoryUsage.rss() / 1048576, ok: r.text.length > 50 })}\n`
)
process.exit(0)
