// Writes the table of metrics into the README of the telemetry package, from the definitions in its code:
// node --conditions=spindle-source scripts/metrics.mjs
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { markdown } from "@spindle/telemetry/Metrics"
import { read, root } from "./workspace.mjs"

const path = "packages/telemetry/README.md"
const table = /(?<=<!-- metrics -->\n)[^]*?(?=<!-- \/metrics -->)/
writeFileSync(
  join(root, path),
  read(path).replace(table, () => `${markdown()}\n`)
)
