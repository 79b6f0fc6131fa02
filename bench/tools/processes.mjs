// node --expose-gc bench/tools/processes.mjs [--runs 20]
// What a process of Spindle costs, with and without the sandbox, compared with bare child_process.spawn; how long an aborted turn takes until none of
// its processes lives; the memory while a child prints 1 GiB; and 64 processes at once. Linux only.
import { spawn } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Agent, Ids, Journal, Session, Task, Turn } from "@spindle/core"
import { Processes } from "@spindle/core/Processes"
import { ScriptedModel } from "@spindle/testing"
import { Commands, ProcessGroups, ProcessStat, Sandbox, SandboxPolicy, Signals } from "@spindle/tools"
import { Deferred, Effect, Layer, Stream } from "effect"
import { makeWorkspace } from "../workspace.mjs"

const { values } = parseArgs({ options: { runs: { type: "string", default: "20" } } })
const runs = Number(values.runs)
const { cwd, remove } = makeWorkspace()
const signals = Signals.layerKill((target, signal) => process.kill(target, signal))
const host = Commands.layer.pipe(
  Layer.provideMerge(Sandbox.layer({ platform: process.platform, architecture: process.arch })),
  Layer.provideMerge(ProcessGroups.layer),
  Layer.provide(ProcessStat.layerRead((pid) => readFileSync(`/proc/${pid}/stat`, "utf8"))),
  Layer.provideMerge(Layer.merge(NodeServices.layer, signals))
)
const services = Layer.mergeAll(host, ScriptedModel.make([]).layer, Journal.layerMemory())
const ids = Ids.sequential(`bench-${process.pid}`)
const newId = () => ids.next(0)

const percentile = (times, share) => times.toSorted((one, two) => one - two)[Math.floor(share * (times.length - 1))]
const summary = (times) => `p50 ${percentile(times, 0.5).toFixed(1)} ms, p95 ${percentile(times, 0.95).toFixed(1)} ms`

/** Milliseconds from the spawn to the first output and to the exit. */
const bare = ([program, ...args]) =>
  new Promise((resolve) => {
    const from = performance.now()
    const child = spawn(program, args, { cwd, stdio: ["ignore", "pipe", "pipe"], detached: true })
    let output
    child.stdout.once("data", () => (output = performance.now() - from))
    child.once("close", () => resolve({ output, exit: performance.now() - from }))
  })

const supervised = Effect.fnUntraced(function* (command) {
  const processes = yield* Processes
  const from = performance.now()
  const child = yield* processes.start({ processId: newId(), command, cwd })
  let output
  yield* Stream.runForEach(child.output, () => Effect.sync(() => (output ??= performance.now() - from)))
  yield* child.exit
  const exit = performance.now() - from
  yield* child.gone
  return { output, exit }
})

const workspace = { _tag: "WorkspaceWrite", roots: [cwd], scratch: [], protectedPaths: [], network: false }

const ways = {
  child_process: (command) => Effect.promise(() => bare(command)),
  Processes: supervised,
  "Processes, read-only sandbox": (command) => SandboxPolicy.confine(supervised(command), SandboxPolicy.readOnly),
  "Processes, sandbox that writes in the workspace": (command) => SandboxPolicy.confine(supervised(command), workspace)
}

const compareSpawns = Effect.gen(function* () {
  for (const [name, command, member] of [
    ["first output of echo", ["/bin/sh", "-c", "echo x"], "output"],
    ["exit of true", ["/bin/true"], "exit"]
  ]) {
    const times = Object.fromEntries(Object.keys(ways).map((way) => [way, []]))
    for (let run = -3; run < runs; run++) {
      for (const [way, start] of Object.entries(ways)) {
        const one = yield* start(command)
        if (run >= 0) times[way].push(one[member])
      }
    }
    for (const [way, all] of Object.entries(times)) {
      const ratio = percentile(all, 0.5) / percentile(times.child_process, 0.5)
      console.log(`${name}: ${way} ${summary(all)}; x${ratio.toFixed(2)}`)
    }
  }
})

/** The processor time of this program for a command, from its start until nothing of it lives, one after another and with pauses. */
const processorTimes = Effect.gen(function* () {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).length
  for (const [when, pause] of [
    ["one after another", 0],
    ["1.2 s apart", 1_200]
  ]) {
    const times = []
    for (let run = -3; run < runs; run++) {
      yield* Effect.sleep(pause)
      const before = process.cpuUsage()
      yield* supervised(["/bin/true"])
      const { system, user } = process.cpuUsage(before)
      if (run >= 0) times.push((user + system) / 1_000)
    }
    console.log(`processor time of true, ${when}, next to ${processes} processes: ${summary(times)}`)
  }
})

const read = (path) => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    // the process has ended since it was listed
    return ""
  }
}

const isAlive = (pid) => /\) [^ZX] /.test(read(`/proc/${pid}/stat`))

/** Returns the living processes that carry a marker in their environment, or that sleep for as long as a tag says. */
const carriers = (processId, tag) =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter(
      (name) =>
        read(`/proc/${name}/environ`).includes(`SPINDLE_PROCESS=${processId}\0`) ||
        (tag !== undefined && read(`/proc/${name}/cmdline`) === `sleep\0${tag}\0`)
    )
    .filter(isAlive)

const kinds = {
  sleep: "exec sleep 300",
  "a shell that ignores TERM and INT": "trap '' TERM INT; while :; do sleep 1; done",
  "a tree of 50 grandchildren":
    "for i in 1 2 3 4 5; do (for j in 1 2 3 4 5 6 7 8 9 10; do sleep 300 & done; wait) & done; wait",
  "a setsid daemon": "setsid sleep 300 & exec sleep 300",
  "a setsid daemon without environment (sandboxed)": "env -i setsid sleep TAG & exec sleep TAG",
  "a stopped process": "sleep 300 & kill -STOP $! $$"
}
const expected = { "a tree of 50 grandchildren": 56, "a setsid daemon": 2, "a stopped process": 2 }
const sandboxed = "a setsid daemon without environment (sandboxed)"
let tags = 0

/** Aborts a turn with a process and returns how long it takes until nothing of the process lives, and what lives after 2 s. */
const abort = Effect.fnUntraced(function* (name) {
  const session = yield* Session.make(Agent.make({}))
  const started = yield* Deferred.make()
  // distinguishes the processes of this run without their environment
  const tag = name === sandboxed ? `30${process.pid}.${++tags}` : undefined
  const isReady = (living) =>
    tag === undefined
      ? living.length >= (expected[name] ?? 1)
      : living.filter((pid) => read(`/proc/${pid}/cmdline`).startsWith("sleep")).length >= 2
  const task = Effect.gen(function* () {
    const turn = yield* Turn.Turn
    const child = yield* turn
      .process({ command: ["bash", "-c", kinds[name].replaceAll("TAG", tag)], cwd })
      .pipe(name === sandboxed ? SandboxPolicy.confine(SandboxPolicy.readOnly) : (start) => start)
    yield* Deferred.succeed(started, child.processId)
    return yield* Effect.never
  })
  yield* session.start(Task.make("bench", task))
  const processId = yield* Deferred.await(started)
  while (!isReady(carriers(processId, tag))) yield* Effect.sleep(20)
  // the commands that the shell starts are in place of its copies
  yield* Effect.sleep(100)
  // only these are looked at meanwhile: a look at all processes would take time from what is measured
  let living = carriers(processId, tag)
  const from = performance.now()
  yield* session.abort()
  while (living.length > 0 && performance.now() - from < 2_000) {
    yield* Effect.sleep(5)
    living = living.filter(isAlive)
  }
  const millis = performance.now() - from
  yield* Effect.sleep(Math.max(0, 2_000 - millis))
  return { millis, survivors: carriers(processId, tag).length }
}, Effect.scoped)

const aborts = Effect.gen(function* () {
  for (const name of Object.keys(kinds)) {
    const all = []
    for (let run = 0; run < runs; run++) all.push(yield* abort(name))
    const survivors = all.reduce((sum, one) => sum + one.survivors, 0)
    const slowest = Math.max(...all.map(({ millis }) => millis))
    const times = all.map(({ millis }) => millis)
    console.log(`abort, ${name}: ${summary(times)}, max ${slowest.toFixed(0)} ms, ${survivors} alive after 2 s`)
  }
})

const inUse = () => {
  gc()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / 1_048_576
}

const printing = Effect.gen(function* () {
  const commands = yield* Commands.Commands
  const processes = yield* Processes
  const command = ["/bin/sh", "-c", "head -c 1073741824 /dev/zero"]
  const before = inUse()
  let peak = -Infinity
  const from = performance.now()
  const child = yield* processes.start({ processId: newId(), command, cwd })
  const running = yield* commands.start(child, { command: command[2], cwd })
  while (running.ending() === undefined) {
    peak = Math.max(peak, inUse() - before)
    yield* Effect.sleep(1_000)
  }
  const bytes = running.peek().totalBytes()
  const seconds = (performance.now() - from) / 1_000
  console.log(
    `a child that prints ${bytes} bytes: at most ${peak.toFixed(1)} MB more in use, ${(inUse() - before).toFixed(1)} MB at the end, ${seconds.toFixed(1)} s`
  )
})

const many = Effect.gen(function* () {
  const processes = yield* Processes
  const from = performance.now()
  const all = yield* Effect.forEach(
    Array.from({ length: 64 }, newId),
    (processId) => processes.start({ processId, command: ["sleep", "300"], cwd }),
    { concurrency: "unbounded" }
  )
  const started = performance.now()
  yield* Effect.forEach(all, ({ processId }) => processes.end(processId, 500), { concurrency: "unbounded" })
  const ended = performance.now()
  const left = all.flatMap(({ processId }) => carriers(processId)).length
  console.log(
    `64 processes at once: started in ${(started - from).toFixed(0)} ms, ended in ${(ended - started).toFixed(0)} ms, ${left} alive`
  )
})

await Effect.runPromise(
  Effect.gen(function* () {
    yield* compareSpawns
    yield* processorTimes
    yield* aborts
    yield* printing
    yield* many
  }).pipe(Effect.provide(services))
)
remove()
