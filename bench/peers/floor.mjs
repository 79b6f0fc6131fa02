// Hand-written plain-Promise loop: the floor. It races every tool against the signal and closes open calls on abort.
import { add, deaf, decide, hang, live, play } from "../workloads/brain.mjs"
export const packages = []
export const variants = { "": {} }
export const caps = { stream: true, store: false }

const norm = (ms) =>
  ms.map((m) => ({
    role: m.role,
    text: m.text,
    calls: m.calls?.map((c) => c.id),
    results: m.result ? [m.result.id] : undefined
  }))

async function* model(messages, signal) {
  live.lastPrompt = () => norm(messages)
  let results = 0,
    i = messages.length - 1
  for (; messages[i].role !== "user"; i--) if (messages[i].role === "tool") results++
  const step = decide(messages[i].text, results)
  for await (const d of play(step, signal)) yield { type: "delta", d }
  if (step.tool) yield { type: "call", call: step.tool }
}

const aborted = (signal) => {
  let off
  const p = new Promise((_, rej) => {
    const f = () => rej(signal.reason)
    off = () => signal.removeEventListener("abort", f)
    signal.addEventListener("abort", f, { once: true })
  })
  return { p, off }
}

export async function load() {
  const tools = {
    add: { run: (args) => add(args) },
    hang: { run: (_, signal) => hang(signal) },
    deaf: { run: deaf },
    child: {
      run: (args, signal) =>
        newSession()
          .turn(args.prompt, { signal })
          .then((r) => r.text)
    }
  }
  function newSession() {
    const messages = []
    return {
      async turn(prompt, { signal, onDelta } = {}) {
        messages.push({ role: "user", text: prompt })
        for (;;) {
          const msg = { role: "assistant", text: "", calls: [] }
          let open = msg.calls
          try {
            for await (const p of model(messages, signal)) {
              if (p.type === "delta") {
                msg.text += p.d
                onDelta?.(p.d)
              } else msg.calls.push(p.call)
            }
            messages.push(msg)
            if (!msg.calls.length) return { text: msg.text }
            open = [...msg.calls]
            const ab = signal && aborted(signal)
            try {
              await Promise.all(
                msg.calls.map(async (c) => {
                  const run = Promise.resolve(tools[c.name].run(c.args, signal))
                  const value = await (ab ? Promise.race([run, ab.p]) : run)
                  open.splice(open.indexOf(c), 1)
                  messages.push({ role: "tool", result: { id: c.id, value } })
                })
              )
            } finally {
              ab?.off()
            }
          } catch (e) {
            if (messages.at(-1) !== msg && !messages.includes(msg)) {
              msg.calls = []
              if (msg.text) messages.push(msg)
            } else for (const c of open) messages.push({ role: "tool", result: { id: c.id, value: "aborted" } })
            throw e
          }
        }
      },
      history: async () => norm(messages)
    }
  }
  return { newSession, close: async () => {} }
}
