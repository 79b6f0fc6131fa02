// npm exec -- node bench/snapshots.mjs [--files 10000,100000] [--reps 3] [--turns 500]     what snapshots of a working tree and an undo cost
// A repository of small files, of which 50 are changed and 5 are new. `git stash create` runs in the same rounds, on the same tree. Then turns with one
// tool call that changes nothing, with snapshots on and off. Needs the build.
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as TurnSnapshots from "@spindle/app/TurnSnapshots"
import { MutationGate } from "@spindle/core/MutationGate"
import { SessionObserver } from "@spindle/core/SessionObserver"
import * as Journal from "@spindle/core/Journal"
import * as Git from "@spindle/tools/Git"
import * as Snapshots from "@spindle/tools/Snapshots"
import * as Harness from "@spindle/testing/SessionHarness"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Effect, Layer } from "effect"

const { values: options } = parseArgs({
  options: {
    files: { type: "string", default: "10000,100000" },
    reps: { type: "string", default: "3" },
    turns: { type: "string", default: "500" }
  }
})
const reps = Number(options.reps)
const work = mkdtempSync(join(tmpdir(), "spindle-snapshots-"))
process.on("exit", () => rmSync(work, { recursive: true, force: true }))

const git = (cwd, ...args) =>
  execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "gc.auto=0", ...args], {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"]
  })

/** Makes a repository of this many files of 1 KiB, 100 in a directory. */
const makeRepository = (count) => {
  const top = join(work, `files-${count}`)
  for (let index = 0; index < count; index++) {
    const directory = join(top, `d${Math.floor(index / 10_000)}`, `e${Math.floor(index / 100)}`)
    if (index % 100 === 0) mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, `f${index}.txt`), `${index}\n`.padEnd(1_024, "x"))
  }
  git(top, "init", "-q")
  git(top, "add", "-A")
  git(top, "commit", "-qm", "first")
  return top
}

/** Changes 50 files and adds 5. */
const edit = (top, round) => {
  for (let index = 0; index < 50; index++) {
    const directory = join(top, "d0", `e${index}`)
    writeFileSync(join(directory, `f${index * 100}.txt`), `round ${round}\n`.padEnd(1_024, "y"))
  }
  for (let index = 0; index < 5; index++) writeFileSync(join(top, `new${index}.txt`), `round ${round}\n`)
}

const bytesOf = (directory) =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)

const timed = (times, name, effect) =>
  Effect.gen(function* () {
    const start = performance.now()
    const result = yield* effect
    ;(times[name] ??= []).push(performance.now() - start)
    return result
  })

const shown = (values, digits = 0) => {
  const sorted = [...values].sort((a, b) => a - b)
  const text = (value) => value.toFixed(digits)
  return `${text(sorted[Math.floor(sorted.length / 2)])} [${text(sorted[0])}-${text(sorted.at(-1))}]`
}

const measure = (count) =>
  Effect.gen(function* () {
    const top = makeRepository(count)
    const home = join(work, `home-${count}`)
    const services = Snapshots.layer({ directory: home }).pipe(
      Layer.provideMerge(Git.layer),
      Layer.provideMerge(NodeServices.layer)
    )
    const times = {}
    yield* Effect.gen(function* () {
      const store = yield* Snapshots.Snapshots
      for (let round = 0; round < reps; round++) {
        edit(top, round)
        const stash = Effect.sync(() => git(top, "stash", "create"))
        yield* timed(times, "git stash create", stash)
        const { id } = yield* timed(times, "first snapshot", store.begin(`fresh-${round}`, top))
        yield* store.complete(`fresh-${round}`, id)
        yield* timed(times, "second snapshot, nothing changed", store.begin(`fresh-${round}`, top))
        const change = yield* store.begin(`undo-${round}`, top)
        edit(top, `${round} again`)
        yield* timed(times, "snapshot after 55 changes", store.complete(`undo-${round}`, change.id))
        const undo = Effect.flatMap(store.plan(`undo-${round}`, { count: 1 }), (plan) =>
          store.restore(`undo-${round}`, plan, { force: false })
        )
        yield* timed(times, "undo of 55 files", undo)
      }
    }).pipe(Effect.provide(services))
    console.log(`\n${count.toLocaleString("en-US")} files: milliseconds, median [least-most] of ${reps}`)
    for (const [name, values] of Object.entries(times)) console.log(`  ${name}: ${shown(values)}`)
    console.log(`  one owner on disk: ${(bytesOf(join(home, "undo-0")) / 1_048_576).toFixed(1)} MiB`)
  })

/** Runs turns with one call of a tool that changes nothing; returns the microseconds of one. */
const turns = (isOn) =>
  Effect.gen(function* () {
    const journal = yield* Harness.memoryJournal
    const snapshots = yield* Snapshots.Snapshots
    const around = yield* TurnSnapshots.make(work).pipe(
      Effect.provideService(Journal.Journal, journal),
      Effect.provideService(Snapshots.Snapshots, snapshots)
    )
    const script = (request) =>
      request.items.at(-1)._tag === "ToolResult"
        ? [ScriptedModel.text("done")]
        : [ScriptedModel.call("read", {}, `c${request.items.length}`)]
    const making = Harness.make({
      script,
      tools: { read: { run: () => Effect.succeed("x"), policy: { mutates: false } } }
    })
    const { session, submit } = yield* isOn
      ? making.pipe(
          Effect.provideService(MutationGate, around.gate),
          Effect.provideService(SessionObserver, around.observer)
        )
      : making
    const count = Number(options.turns)
    const start = performance.now()
    for (let turn = 0; turn < count; turn++) {
      yield* submit("go")
      yield* session.awaitIdle
    }
    return ((performance.now() - start) * 1_000) / count
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Snapshots.layer({ directory: join(work, "turns") }).pipe(
        Layer.provideMerge(Git.layer),
        Layer.provideMerge(NodeServices.layer)
      )
    )
  )

for (const count of options.files.split(",").map(Number)) await Effect.runPromise(measure(count))

const micros = { off: [], on: [] }
for (let rep = 0; rep < 2 * reps; rep++) {
  for (const name of ["off", "on"]) micros[name].push(await Effect.runPromise(turns(name === "on")))
}
console.log(`\nA turn with a call that reads, microseconds, median [least-most] of ${2 * reps}`)
for (const name of ["off", "on"]) console.log(`  snapshots ${name}: ${shown(micros[name])}`)
