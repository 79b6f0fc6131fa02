// One function per workload: (runtime, caps) -> plain numbers. Each runs in a separate process (worker.mjs).
// sizes: one function holds everything that one workload measures
import { live, sleep, TEXT, validate } from "./brain.mjs"

const now = () => performance.now()
const q = (xs, p) => {
  const s = [...xs].sort((a, b) => a - b)
  return s[Math.min(s.length - 1, Math.floor(p * s.length))]
}
// Live bytes after a collection: the heap and the array buffers outside it, where LangGraph's savers keep their data.
const heap = async () => {
  for (let i = 0; i < 3; i++) {
    await sleep(20)
    gc()
  }
  const m = process.memoryUsage()
  return m.heapUsed + m.arrayBuffers
}
const timers = () => process.getActiveResourcesInfo().filter((r) => r === "Timeout" || r === "Immediate").length

/** Runs n turns, each in a new session. Returns microseconds per turn. Disposing of the session is not timed. */
async function turns(rt, prompt, n, check) {
  const us = [],
    c0 = process.cpuUsage()
  for (let i = 0; i < n; i++) {
    let deltas = 0
    const t = now()
    const s = await rt.newSession()
    const r = await s.turn(prompt, { onDelta: () => deltas++ })
    us.push((now() - t) * 1000)
    if (i === 0) check?.(r, deltas)
    await s.dispose?.()
  }
  const c = process.cpuUsage(c0)
  us.cpu = (c.user + c.system) / n
  return us
}
const isText = (r, deltas) => {
  if (r.text !== TEXT || deltas !== 20) throw new Error(`wrong turn: ${r.text} ${deltas}`)
}
const stats = (us) => ({
  us_mean: us.reduce((a, b) => a + b) / us.length,
  us_p50: q(us, 0.5),
  us_p99: q(us, 0.99),
  cpu_us: us.cpu
})

export async function w1(rt) {
  await turns(rt, "text", 300, isText)
  const h0 = await heap()
  const us = await turns(rt, "text", 2000)
  return { ...stats(us), retained_bytes: ((await heap()) - h0) / 2000 }
}

/** Returns the bytes allocated per turn: the median growth of the used heap over one turn, of the turns in which nothing
 *  was collected (the worker runs with a large new space, see FLAGS in run.mjs). */
export async function w1alloc(rt) {
  await turns(rt, "text", 200, isText)
  const grown = []
  for (let i = 0; i < 200; i++) {
    const h0 = process.memoryUsage().heapUsed
    await turns(rt, "text", 1)
    const d = process.memoryUsage().heapUsed - h0
    if (d > 0) grown.push(d)
  }
  return { alloc_bytes: q(grown, 0.5), clean_turns: grown.length }
}

export async function w2(rt) {
  await turns(rt, "tools", 60, (r) => {
    if (r.text !== TEXT) throw new Error("wrong turn")
  })
  return stats(await turns(rt, "tools", 300))
}

export async function w3(rt) {
  await turns(rt, "text", 200, isText)
  const s = await rt.newSession()
  const us = [],
    cpu = [],
    t0 = now()
  const h0 = await heap()
  for (let i = 0; i < 1020 && now() - t0 < 30_000; i++) {
    const t = now(),
      c = process.cpuUsage()
    await s.turn("text")
    us.push((now() - t) * 1000)
    const d = process.cpuUsage(c)
    cpu.push(d.user + d.system)
  }
  // wall and processor time of the 20 turns after n earlier ones (read the processor time on a busy machine)
  const at = (xs, n) => (xs.length >= n + 20 ? q(xs.slice(n, n + 20), 0.5) : null)
  const out = {
    us_at_10: at(us, 10),
    us_at_100: at(us, 100),
    us_at_500: at(us, 500),
    us_at_1000: at(us, 1000),
    cpu_at_10: at(cpu, 10),
    cpu_at_100: at(cpu, 100),
    cpu_at_500: at(cpu, 500),
    cpu_at_1000: at(cpu, 1000),
    turns_done: us.length,
    total_ms: us.reduce((a, b) => a + b) / 1000
  }
  out.heap_mb = ((await heap()) - h0) / 1e6
  out.prompt_messages = live.lastPrompt().length
  return out
}

export async function w4(rt) {
  await turns(rt, "tools", 30)
  const h0 = await heap()
  const sessions = []
  for (let i = 0; i < 1000; i++) sessions.push(await rt.newSession())
  const t = now()
  const rs = await Promise.all(sessions.map((s) => s.turn("tools lat=1")))
  const wall_ms = now() - t
  if (rs.some((r) => r.text !== TEXT)) throw new Error("wrong turn")
  rs.length = 0
  const out = { wall_ms, peak_rss_mb: process.resourceUsage().maxRSS / 1024, kept_bytes: ((await heap()) - h0) / 1000 }
  if (sessions.length !== 1000) throw 0
  return out
}

export async function idle(rt) {
  await turns(rt, "text", 200)
  const h0 = await heap()
  const sessions = []
  for (let i = 0; i < 1000; i++) {
    const s = await rt.newSession()
    await s.turn("text")
    sessions.push(s)
  }
  const h1 = await heap()
  for (let i = 0; i < 300; i++) {
    const s = await rt.newSession()
    await s.turn("tools")
    sessions.push(s)
  }
  const h2 = await heap()
  return sessions.length === 1300 ? { idle_bytes_w1: (h1 - h0) / 1000, idle_bytes_w2: (h2 - h1) / 300 } : null
}

const until = async (f, ms = 2000) => {
  const t = now()
  while (!f()) {
    if (now() - t > ms) throw new Error("never started")
    await sleep(1)
  }
}
const shape = (ms) =>
  ms
    .filter((m) => m.role !== "system")
    .map((m) => m.role[0] + (m.calls?.length ? "C" : "") + (m.results?.length ? "R" : ""))
    .join(" ")

/** Aborts `trials` turns of `prompt`, each in a session with one finished turn. */
async function aborts(rt, prompt, ready, trials) {
  const settle = [],
    stop = []
  let never = 0,
    resolved = 0,
    leftModel = 0,
    leftTool = 0,
    invalid = 0,
    second = 0,
    shapeNext,
    shapeStored,
    why
  await turns(rt, "text", 100)
  const c0 = live.cleaned,
    s0 = live.hangStarted
  const h0 = await heap(),
    t0 = timers()
  for (let i = 0; i < trials; i++) {
    const s = await rt.newSession()
    await s.turn("text")
    const ac = new AbortController(),
      hs = live.hangStarted
    let n = 0
    const run = s.turn(prompt, { signal: ac.signal, onDelta: () => n++ }).then(
      () => {
        resolved++
        return now()
      },
      () => now()
    )
    await until(() => ready(n, hs))
    await sleep(Math.random() * 3)
    live.lastStop = 0
    const a = now()
    ac.abort()
    const end = await Promise.race([run, sleep(1000).then(() => null)])
    if (end === null) never++
    else settle.push(end - a)
    if (live.drips || live.hangs) await sleep(30)
    if (live.lastStop) stop.push(live.lastStop - a)
    leftModel += live.drips
    leftTool += live.hangs
    if (live.drips || live.hangs) {
      live.drips = 0
      live.hangs = 0
    }
    const stored = await s.history()
    shapeStored ??= shape(stored)
    const two = await Promise.race([
      s.turn("text").then(
        (r) => r.text === TEXT,
        (e) => String(e)
      ),
      sleep(1000).then(() => "timeout")
    ])
    if (two === true) second++
    const next = live.lastPrompt(),
      bad = validate(next)
    shapeNext ??= shape(next)
    if (bad.length) {
      invalid++
      why ??= bad[0]
    }
    await s.dispose?.()
  }
  await sleep(1100) // the harness's own race timers
  return {
    n: trials,
    settle_p50: q(settle, 0.5) ?? null,
    settle_p99: q(settle, 0.99) ?? null,
    never,
    resolved,
    stop_p50: stop.length ? q(stop, 0.5) : null,
    stop_p99: stop.length ? q(stop, 0.99) : null,
    model_left: leftModel,
    tool_left: leftTool,
    tool_cleaned: live.cleaned - c0,
    tool_started: live.hangStarted - s0,
    second_ok: second,
    invalid,
    why: why ?? null,
    stored: shapeStored,
    sent_next: shapeNext,
    heap_per_trial: ((await heap()) - h0) / trials,
    timers_left: timers() - t0
  }
}
export const w5drip = (rt) => aborts(rt, "drip", (n) => n >= 3, 200)
export const w5hang = (rt) => aborts(rt, "hang", (_, hs) => live.hangStarted > hs, 200)
export const w5addhang = (rt) => aborts(rt, "addhang n=2", (_, hs) => live.hangStarted > hs, 200)
export const w5deaf = (rt) => aborts(rt, "deaf", (_, hs) => live.hangStarted > hs, 30)
export const w6abort = (rt) => aborts(rt, "delegate drip", () => live.drips > 0, 200)

export async function w6(rt) {
  for (const p of ["one", "delegate text"]) await turns(rt, p, 80)
  const one = [],
    del = []
  for (let i = 0; i < 10; i++) {
    one.push(...(await turns(rt, "one", 30)))
    del.push(...(await turns(rt, "delegate text", 30)))
  }
  return { us_one: q(one, 0.5), us_delegate: q(del, 0.5), us_overhead: q(del, 0.5) - q(one, 0.5) }
}

/** Runs w1 with the built-in store: a new thread for each turn, then one thread with 100 turns. */
export async function w8(rt, { file }) {
  const { statSync, readdirSync } = await import("node:fs")
  const { dirname, join } = await import("node:path")
  const size = () =>
    readdirSync(dirname(file), { recursive: true })
      .map((f) => statSync(join(dirname(file), f)))
      .reduce((a, st) => a + (st.isFile() ? st.size : 0), 0)
  const keep = {
    newSession: async () => {
      const s = await rt.newSession()
      return { turn: s.turn }
    }
  }
  await turns(keep, "text", 50, isText)
  const z0 = size(),
    us = await turns(keep, "text", 200)
  const z1 = size()
  const s = await rt.newSession()
  const long = []
  for (let i = 0; i < 120; i++) {
    const t = now()
    await s.turn("text")
    long.push((now() - t) * 1000)
  }
  return {
    ...stats(us),
    disk_bytes_turn: (z1 - z0) / 200,
    us_at_10: q(long.slice(0, 20), 0.5),
    us_at_100: q(long.slice(100), 0.5),
    disk_bytes_long: (size() - z1) / 120
  }
}
