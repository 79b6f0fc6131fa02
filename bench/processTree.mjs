// Measures wall time and memory of a program with everything that it starts. Reads /proc: Linux only.
import { spawn } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"

const sampleMillis = 5

const read = (path) => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    // the process has ended since it was listed
    return ""
  }
}

/** Returns a process and its living descendants. */
export const descendants = (pid) => {
  const children = new Map()
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    const stat = read(`/proc/${name}/stat`)
    // the name of the program, in parentheses, may contain any character
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])
    children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const found = []
  const walk = (one) => {
    found.push(one)
    for (const child of children.get(one) ?? []) walk(child)
  }
  walk(pid)
  return found
}

/** Returns the resident memory of one process, now and at its highest, in kB. */
const memoryOf = (pid) => {
  const status = read(`/proc/${pid}/status`)
  const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0)
  return { rssKb: field("VmRSS"), peakKb: field("VmHWM") }
}

/**
 * Runs a command to its end. `peakKb` is the highest sum of the tree's resident memory that was observed, and at least the peak of each single
 * process. Shared pages count in each process that maps them.
 */
export const measure = ([command, ...args], { cwd, env }) =>
  new Promise((resolve, reject) => {
    const started = performance.now()
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] })
    let stdout = ""
    let stderr = ""
    let firstLineMs
    const peaks = new Map()
    let highest = 0
    const sample = () => {
      let sum = 0
      for (const pid of descendants(child.pid)) {
        const { peakKb, rssKb } = memoryOf(pid)
        peaks.set(pid, Math.max(peaks.get(pid) ?? 0, peakKb))
        sum += rssKb
      }
      highest = Math.max(highest, sum)
    }
    const timer = setInterval(sample, sampleMillis)
    child.stdout.on("data", (data) => {
      stdout += data
      if (firstLineMs === undefined && stdout.includes("\n")) firstLineMs = performance.now() - started
    })
    child.stderr.on("data", (data) => (stderr += data))
    child.on("error", (error) => {
      clearInterval(timer)
      reject(error)
    })
    let wallMs
    child.on("exit", () => {
      wallMs = performance.now() - started
      clearInterval(timer)
    })
    child.on("close", (code, signal) => {
      const peakKb = Math.max(highest, ...peaks.values())
      resolve({ code: signal ?? code, stdout, stderr, wallMs, firstLineMs, peakKb, processes: peaks.size })
    })
  })
