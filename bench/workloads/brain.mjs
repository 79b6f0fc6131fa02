// The scripted model of every peer. It is stateless: its response depends only on the text of the last user
// message and on how many tool results follow it, so one shared agent can serve any number of sessions.
//   text                     20 text deltas, then finish
//   tools [n=5]              n rounds of one call to add(a,b), then 20 deltas
//   one                      one call to add, then one delta (the parent's half of "delegate")
//   drip                     text deltas without end, one every 2 ms
//   hang                     one call to hang(), a tool that never ends
//   deaf                     one call to deaf(), a tool that never ends and ignores the abort signal
//   addhang [n=5]            n rounds of add, then hang()
//   delegate <prompt>        one call to the child agent with <prompt>, then one delta
// "lat=1" anywhere: that many ms of latency before each response.
export const DELTAS = Array.from({ length: 20 }, (_, i) => `tok${i} `)
export const TEXT = DELTAS.join("")

export const parse = (prompt) => {
  const [kind, ...rest] = prompt.split(" ")
  const opt = (k, d) => {
    const m = prompt.match(new RegExp(`\\b${k}=(\\d+)`))
    return m ? Number(m[1]) : d
  }
  return { kind, rest: rest.join(" "), n: opt("n", 5), lat: opt("lat", 0) }
}

let callId = 0
/** Returns { lat, deltas } | { lat, tool: {id,name,args} } | { lat, drip: ms } */
export function decide(prompt, toolResults) {
  const p = parse(prompt)
  const lat = p.lat
  const tool = (name, args) => ({ lat, tool: { id: `call_${++callId}`, name, args } })
  switch (p.kind) {
    case "tools":
      return toolResults < p.n ? tool("add", { a: toolResults, b: 1 }) : { lat, deltas: DELTAS }
    case "drip":
      return { lat, drip: 2 }
    case "hang":
      return toolResults < 1 ? tool("hang", { why: "x" }) : { lat, deltas: DELTAS }
    case "one":
      return toolResults < 1 ? tool("add", { a: 1, b: 1 }) : { lat, deltas: ["ok"] }
    case "deaf":
      return toolResults < 1 ? tool("deaf", { why: "x" }) : { lat, deltas: DELTAS }
    case "addhang":
      return toolResults < p.n
        ? tool("add", { a: toolResults, b: 1 })
        : toolResults === p.n
          ? tool("hang", { why: "x" })
          : { lat, deltas: DELTAS }
    case "delegate":
      return toolResults < 1 ? tool("child", { prompt: p.rest }) : { lat, deltas: ["ok"] }
    default:
      return { lat, deltas: DELTAS }
  }
}

// What is alive: model streams (drip) and hanging tools. Workloads read this after an abort.
export const live = { drips: 0, hangs: 0, hangStarted: 0, cleaned: 0, deltasOut: 0, lastStop: 0, lastPrompt: null }
export const started = () => {
  live.drips++
}
export const stopped = () => {
  live.drips--
  live.lastStop = performance.now()
}

export const sleep = (ms, signal) =>
  new Promise((res, rej) => {
    if (signal?.aborted) return rej(signal.reason)
    const onAbort = () => {
      clearTimeout(t)
      rej(signal.reason)
    }
    const t = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort)
      res()
    }, ms)
    signal?.addEventListener("abort", onAbort, { once: true })
  })

/** Plays the text of a step as an async sequence. Every peer's model reads from this generator. */
export async function* play(step, signal) {
  if (step.lat) await sleep(step.lat, signal)
  if (step.drip) {
    started()
    try {
      for (;;) {
        await sleep(step.drip, signal)
        live.deltasOut++
        yield "tok "
      }
    } finally {
      stopped()
    }
  }
  if (step.deltas) for (const d of step.deltas) yield d
}

// Tools. hang holds a real resource (an interval) that only its clean-up releases.
export const add = async ({ a, b }) => {
  await Promise.resolve()
  return a + b
}
export const hangOpen = () => {
  live.hangs++
  live.hangStarted++
  return setInterval(() => {}, 60_000)
}
export const hangClose = (t) => {
  clearInterval(t)
  live.hangs--
  live.cleaned++
}
export const hang = async (signal) => {
  const t = hangOpen()
  try {
    await new Promise((_, rej) => {
      if (signal?.aborted) return rej(signal.reason)
      signal?.addEventListener("abort", () => rej(signal.reason), { once: true })
    })
  } finally {
    hangClose(t)
  }
}

/** Never ends, and ignores its signal. */
export const deaf = () => {
  live.hangs++
  live.hangStarted++
  return new Promise(() => {})
}

/** Returns whether a normalised list of messages can be sent: [{role, text?, calls?:[id], results?:[id]}]. */
export function validate(msgs) {
  const open = new Set(),
    bad = []
  msgs.forEach((m, i) => {
    if (m.role !== "tool" && open.size) {
      bad.push(`message ${i} (${m.role}) follows ${open.size} unanswered call(s)`)
      open.clear()
    }
    for (const r of m.results ?? []) if (!open.delete(r)) bad.push(`result ${r} without a call`)
    for (const c of m.calls ?? []) open.add(c)
  })
  if (open.size) bad.push(`ends with ${open.size} unanswered call(s)`)
  return bad
}
