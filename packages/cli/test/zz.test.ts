import { it } from "@effect/vitest"
import { Effect } from "effect"
import { journals, processesOf, recordsOf, start, within, world } from "./fixtures/program.ts"
for (const [name, before] of [["plain", ""], ["trap", "trap '' TERM INT HUP; "]] as const)
it.live(name, () => Effect.gen(function* () {
  const seconds = `${process.pid}.75${before.length}`
  const call = { call: "exec_command", args: { cmd: `${before}sleep ${seconds} & setsid sleep ${seconds} & sleep ${seconds}`, login: false }, callId: "c1" }
  const at = yield* world({ turns: [{ events: [call] }] })
  const program = yield* start(at, ["exec", "--json", "--sandbox", "danger-full-access", "go"])
  yield* within(5000, () => processesOf(seconds).length === 3)
  const t0 = Date.now()
  yield* program.kill("SIGINT")
  yield* within(5000, () => processesOf(seconds).length === 0)
  console.log(name, "processes gone", Date.now() - t0)
  console.log(t0, (yield* program.ended).stderr)
  console.log(name, "exit", Date.now() - t0)
  for (const r of recordsOf(journals(at.home)[0]!)) if (r.at >= t0 - 5) console.log(r.at - t0, r._tag, JSON.stringify(r.stragglers ?? r.exitCode ?? ""))
}))
