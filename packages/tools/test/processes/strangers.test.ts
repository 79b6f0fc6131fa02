/** Processes of others, which the end of a command leaves alone (contract X1), although they look like its own. */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { Processes } from "@spindle/core/Processes"
import { Signals } from "../../src/index.ts"
import { carriersOf, directory, groupOf, newId } from "../host.ts"
import { awaitEnd, hostOf, pidFrom, shell } from "./hiding.ts"

/** By how much a process must be older than a command to be none of its processes. */
const margin = "1100 millis"

const isAlive = (pid: number) => !Number.isNaN(groupOf(pid))

/** Returns true if the group of a service has a process with the marker. */
const hasCarrier = (service: number, id: string) => carriersOf(id).some((pid) => groupOf(pid) === groupOf(service))

const fieldsOf = (path: string) => {
  const stat = readFileSync(path, "utf8")
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")
}

/** Starts a script that is no command, and returns the pid that it prints. The process is killed with the scope. */
const outside = Effect.fnUntraced(function* (program: ReadonlyArray<string>, env = process.env) {
  const child = spawn(program[0]!, program.slice(1), { stdio: ["ignore", "pipe", "ignore"], env })
  const pid = yield* Effect.callback<number>((resume) => {
    child.stdout.once("data", (text) => resume(Effect.succeed(Number(text))))
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => isAlive(pid) && process.kill(pid, "SIGKILL")))
  return pid
})

/** The script of a service that runs a program, which ignores TERM, for each caller, with the environment that it wants. */
const serviceIn = (folder: string) => {
  const run = `env $marks bash -c "trap \\"\\" TERM; echo > ${folder}/answer; while :; do sleep 0.05; done" &`
  return `exec 3<> ${folder}/calls; echo $$; while read marks <&3; do ${run} done`
}

const call = (folder: string) => `echo SPINDLE_PROCESS=$SPINDLE_PROCESS > ${folder}/calls; read < ${folder}/answer`

/** A directory with the pipes of a service. */
const pipes = Effect.gen(function* () {
  const folder = yield* directory
  const made = spawn("mkfifo", [join(folder, "calls"), join(folder, "answer"), join(folder, "started")])
  yield* Effect.callback<void>((resume) => void made.once("exit", () => resume(Effect.void)))
  return folder
})

describe("a service that runs a program with the environment of a command", () => {
  const daemons = { "": "exec setsid bash -c", ", whose first process has ended": "setsid bash -c '(eval \"$0\") &'" }
  for (const [what, start] of Object.entries(daemons)) {
    it.live(`X1 is left alone if it is older than the command${what}`, () =>
      Effect.gen(function* () {
        const folder = yield* pipes
        const service = serviceIn(folder).replace("$$", "$BASHPID")
        const pid = yield* outside(["bash", "-c", `${start} "$1"`, "", service])
        yield* Effect.sleep(margin)
        const child = yield* shell(`${call(folder)}; echo 1; sleep 300`)
        yield* pidFrom(child.output)
        assert.isTrue(hasCarrier(pid, child.processId))
        yield* (yield* Processes).end(child.processId, 50)
        assert.isTrue(isAlive(pid))
        assert.deepStrictEqual(carriersOf(child.processId), [])
      }).pipe(Effect.scoped, Effect.provide(hostOf({})))
    )
  }

  it.live("X1 is left alone if it is younger", () =>
    Effect.gen(function* () {
      const folder = yield* pipes
      const child = yield* shell(`read < ${folder}/started; ${call(folder)}; echo 1; sleep 300`)
      const pid = yield* outside(["setsid", "bash", "-c", serviceIn(folder)])
      yield* Effect.promise(async () => spawn("bash", ["-c", `echo > ${folder}/started`]))
      yield* pidFrom(child.output)
      yield* (yield* Processes).end(child.processId, 50)
      assert.isTrue(isAlive(pid))
      assert.deepStrictEqual(carriersOf(child.processId), [])
    }).pipe(Effect.scoped, Effect.provide(hostOf({})))
  )

  it.live("X1 is left alone if another command that still runs has started it, and ends with that", () =>
    Effect.gen(function* () {
      const folder = yield* pipes
      const child = yield* shell(`read < ${folder}/started; ${call(folder)}; echo 1; sleep 300`)
      const other = yield* shell(`setsid bash -c '${serviceIn(folder).replaceAll("'", "'\\''")}' & wait`)
      const pid = yield* pidFrom(other.output)
      yield* Effect.promise(async () => spawn("bash", ["-c", `echo > ${folder}/started`]))
      yield* pidFrom(child.output)
      yield* (yield* Processes).end(child.processId, 50)
      assert.isTrue(isAlive(pid))
      yield* (yield* Processes).end(other.processId, 50)
      assert.isFalse(isAlive(pid))
    }).pipe(Effect.scoped, Effect.provide(hostOf({})))
  )

  it.live("X3 is left alone if it is older than a host that was killed", () =>
    Effect.gen(function* () {
      const folder = yield* pipes
      const service = serviceIn(folder).replace("$$", "$BASHPID")
      const pid = yield* outside(["bash", "-c", `${daemons[", whose first process has ended"]} "$1"`, "", service])
      yield* Effect.sleep(margin)
      const child = yield* shell("echo 1; sleep 300")
      yield* pidFrom(child.output)
      // a mark of a program that started with the command, and has ended
      const mark = readFileSync(`/proc/${child.pid}/environ`, "utf8")
        .match(/SPINDLE_HOST=([^\0]*)/)![1]!
        .split("/")
      const ended = [...mark.slice(0, 3), fieldsOf(`/proc/${child.pid}/stat`)[19]].join("/")
      const id = newId()
      const marks = `SPINDLE_PROCESS=${id} SPINDLE_HOST=${ended}`
      const called = spawn("bash", ["-c", `echo ${marks} > ${folder}/calls; read < ${folder}/answer`])
      yield* Effect.callback<void>((resume) => void called.once("exit", () => resume(Effect.void)))
      assert.isTrue(hasCarrier(pid, id))
      yield* Effect.scoped(Layer.build(Layer.fresh(hostOf({}))))
      assert.deepStrictEqual(carriersOf(id), [])
      assert.isTrue(isAlive(pid))
    }).pipe(Effect.scoped, Effect.provide(hostOf({})))
  )
})

describe("an orphan that hides its environment", () => {
  it.live("X1 is left alone in the session of the host, which no command can enter", () =>
    Effect.suspend(() => {
      const hidden = new Set<number>()
      return Effect.gen(function* () {
        const child = yield* shell("sleep 300")
        hidden.add(yield* outside(["bash", "-c", "(bash -c 'echo $$; exec sleep 300' &)"]))
        yield* (yield* Processes).end(child.processId, 50)
        assert.isTrue(Array.from(hidden).every(isAlive))
      }).pipe(Effect.scoped, Effect.provide(hostOf({ isHidden: (pid) => hidden.has(pid) })))
    })
  )

  it.live("X1 is left alone if it is older than the host, in a container that counts time from its own start", () =>
    Effect.gen(function* () {
      const pid = yield* outside(["bash", "-c", "(setsid bash -c 'echo $$; exec sleep 300' &)"])
      yield* Effect.sleep(margin)
      // the host of this test starts now
      const { pid: now } = yield* Effect.acquireRelease(
        Effect.sync(() => spawn("sleep", ["300"])),
        (child) => Effect.sync(() => child.kill())
      )
      const texts = (path: string) => {
        if (path === "/proc/uptime") return "5.00 5.00\n"
        if (path !== "/proc/self/stat") return undefined
        const [own, start] = [fieldsOf(path), fieldsOf(`/proc/${now}/stat`)[19]]
        return `${process.pid} (node) ${own.with(19, start!).join(" ")}`
      }
      yield* Effect.gen(function* () {
        const child = yield* shell("sleep 300")
        yield* (yield* Processes).end(child.processId, 50)
        assert.isTrue(isAlive(pid))
      }).pipe(Effect.provide(Layer.fresh(hostOf({ isHidden: (one) => one === pid, texts }))))
    }).pipe(Effect.scoped)
  )
})

describe("a process that is frozen", () => {
  it.live("X1 is killed although the layer has been closed before the look has ended", () =>
    Effect.suspend(() => {
      let isFrozen = false
      const signals = Signals.layerKill((target, signal) => {
        isFrozen ||= signal === "SIGSTOP"
        process.kill(target, signal)
      })
      const before = Effect.suspend(() => (isFrozen ? Effect.sleep("2 seconds") : Effect.void))
      return Effect.gen(function* () {
        const scope = yield* Scope.make()
        const services = yield* Layer.buildWithScope(Layer.fresh(hostOf({ before, signals })), scope)
        const child = yield* Effect.provideContext(
          shell("trap '' TERM; echo 1; while :; do sleep 0.05; done"),
          services
        )
        yield* Effect.addFinalizer(() => Effect.sync(() => isAlive(child.pid) && process.kill(-child.pid, "SIGKILL")))
        yield* pidFrom(child.output)
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(isFrozen)
        yield* awaitEnd(child.pid)
      }).pipe(Effect.scoped)
    })
  )
})
