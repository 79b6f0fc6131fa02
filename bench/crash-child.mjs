// Runs turns on one thread for ever; acknowledges each with a line once the turn call has returned.
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
