// Opens the store again, in a separate process, and reads one thread. Prints one line of JSON.
import { writeSync } from "node:fs"
import { live, TEXT, validate } from "./workloads/brain.mjs"
const [, , id, file, thread, lastS] = process.argv
const [peer, variant = ""] = id.split(":"),
  last = Number(lastS)
const r = {
  open_failed: 0,
  last_ack_missing: 0,
  earlier_missing: 0,
  torn_tail: 0,
  next_turn_failed: 0,
  next_prompt_invalid: 0,
  error: null
}
const done = () => {
  writeSync(1, `\n@@${JSON.stringify(r)}\n`)
  process.exit(0)
}
process.on("unhandledRejection", (e) => {
  r.error ??= String(e?.message ?? e).slice(0, 140)
})
setTimeout(() => {
  r.next_turn_failed = 1
  r.error ??= "timeout"
  done()
}, 15_000)
try {
  const P = await import(new URL(`./peers/${peer}.mjs`, import.meta.url))
  const rt = await P.load({ ...P.variants[variant], file })
  const s = await rt.openSession(thread)
  const h = await s.history()
  const at = (k) => h.findIndex((m) => m.role === "user" && m.text?.includes(`ack=${k}.`))
  const i = at(last)
  if (i < 0 || !h.slice(i + 1).some((m) => m.role === "assistant" && m.text === TEXT)) r.last_ack_missing = 1
  for (let k = 1; k < last; k++)
    if (at(k) < 0) {
      r.earlier_missing = 1
      break
    }
  if (h.at(-1)?.role !== "assistant" || h.at(-1).calls?.length) r.torn_tail = 1
  try {
    if ((await s.turn("text")).text !== TEXT) throw new Error("wrong text")
    const bad = validate(live.lastPrompt())
    if (bad.length) {
      r.next_prompt_invalid = 1
      r.error = bad[0]
    }
  } catch (e) {
    r.next_turn_failed = 1
    r.error = String(e?.message ?? e).slice(0, 140)
  }
} catch (e) {
  r.open_failed = 1
  r.error = String(e?.message ?? e).slice(0, 140)
}
done()
