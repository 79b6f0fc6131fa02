// node scripts/runExamples.mjs FILE...
// Runs programs one after the other in one process, which loads the packages only once. Prints a line of JSON for each: what it printed, and its error, if it
// failed. A program has ended when it keeps nothing open that would keep the process alive. After one that does not end, no other one runs.
import { setImmediate } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import { inspect } from "node:util"

const endMillis = 10_000
const openCount = () => process.getActiveResourcesInfo().length

const write = process.stdout.write.bind(process.stdout)
let printed = ""
for (const stream of [process.stdout, process.stderr])
  stream.write = (text) => {
    printed += text
    return true
  }
const before = openCount()

const run = async (path) => {
  await import(pathToFileURL(path).href)
  const end = performance.now() + endMillis
  while (openCount() > before) {
    if (performance.now() > end) throw new Error(`does not end: ${process.getActiveResourcesInfo().join(", ")}`)
    await setImmediate()
  }
}

for (const path of process.argv.slice(2)) {
  printed = ""
  const error = await run(path).then(
    () => undefined,
    (cause) => inspect(cause)
  )
  write(`${JSON.stringify({ printed, error })}\n`)
  if (openCount() > before) process.exit(1)
}
