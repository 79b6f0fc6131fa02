// Runs turns on one thread until it is killed. Prints a line for each turn whose call has returned: its acknowledgement.
import { writeSync } from "node:fs"
const [, , id, file, thread, kind] = process.argv
const [peer, variant = ""] = id.split(":")
const P = await import(new URL(`./peers/${peer}.mjs`, import.meta.url))
const rt = await P.load({ ...P.variants[variant], file })
const s = await rt.openSession(thread)
for (let i = 1; ; i++) {
  await s.turn(`${kind} ack=${i}.`)
  writeSync(1, `${i}\n`)
}
