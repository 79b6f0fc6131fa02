/** Processes that a look at the table alone does not catch (contract X1). */
import { spawn } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Clock, Effect, FileSystem, Layer } from "effect"
import { Processes } from "@spindle/core/Processes"
import { ProcessGroups, ProcessStat, Signals } from "../src/index.ts"
import { carriersOf, directory, groupOf, host, newId } from "./host.ts"
import { until } from "./output.ts"
import { awaitEnd, failed, hostOf, pidFrom, shell } from "./processes/hiding.ts"

const isAlive = (pid: number) => !Number.isNaN(groupOf(pid))

const hasControlGroups = (() => {
  const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync("/proc/self/mounts", "utf8"))?.[1]
  const own = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1]
  try {
    const probe = `${mount}${own}/spindle.test`
    mkdirSync(probe)
    const canKill = existsSync(`${probe}/cgroup.kill`)
    rmdirSync(probe)
    return canKill
  } catch {
    return false
  }
})()

interface CometOptions {
  readonly isStatAtOnce: boolean
  /** True if a signal to a process is too late, and only one to its group, which does not change, reaches it. */
  readonly isFaster: boolean
}

/** A host with one process that starts another one and exits, before two files could be read about it in the background. */
const makeComet = (processId: string, { isFaster, isStatAtOnce }: CometOptions) => {
  let pid = 1_000
  let isFrozen = false
  let isDead = false
  let reads = 0
  const groupOf = () => (isFaster ? 1_000 : pid)
  const statOf = (pid: number) => `${pid} (comet) S 1 ${groupOf()} ${groupOf()} 0 0 0`
  const step = () => {
    if (isFrozen || ++reads < 3) return
    pid++
    reads = 0
  }
  const files = FileSystem.layerNoop({
    access: () => Effect.void,
    readDirectory: () =>
      Effect.sync(() => {
        step()
        return isDead ? [] : [String(pid)]
      }),
    readFileString: (path) =>
      Effect.suspend(() => {
        const read = Number(/^\/proc\/(\d+)\//.exec(path)?.[1])
        if (!Number.isNaN(read) && (isDead || read !== pid)) return failed("NotFound", path)
        if (!Number.isNaN(read)) step()
        if (path.endsWith("/environ")) return Effect.succeed(`SPINDLE_PROCESS=${processId}\0`)
        if (path === "/proc/self/stat") return Effect.succeed("10 (node) S 1 10 10 0 0 0")
        return path.endsWith("/stat") ? Effect.succeed(statOf(pid)) : failed("NotFound", path)
      })
  })
  const sent = Layer.succeed(Signals.Signals, {
    send: (target, signal) =>
      Effect.sync(() => {
        const isHit = !isDead && target === (isFaster ? -groupOf() : pid)
        if (isHit && signal === "SIGSTOP") isFrozen = true
        if (isHit && signal === "SIGKILL") isDead = true
        return isHit
      })
  })
  const stats = ProcessStat.layerRead((read) => {
    if (isDead || read !== pid) throw Object.assign(new Error("gone"), { code: "ENOENT" })
    return statOf(pid)
  })
  const layer = ProcessGroups.layer.pipe(
    Layer.provide(isStatAtOnce ? Layer.mergeAll(files, sent, stats) : Layer.merge(files, sent)),
    Layer.provide(NodeServices.layer)
  )
  return { layer, isDead: () => isDead }
}

describe("a process that starts another one and exits, again and again", () => {
  for (const [options, how] of [
    [{ isFaster: false, isStatAtOnce: false }, ""],
    [{ isFaster: false, isStatAtOnce: true }, ", on a platform that reads its age at once"],
    [{ isFaster: true, isStatAtOnce: true }, " with its group, although it is faster than a signal"]
  ] as const) {
    it.live(`X1 is frozen as soon as it is found, and killed${how}`, () =>
      Effect.suspend(() => {
        const processId = newId()
        const { isDead, layer } = makeComet(processId, options)
        return Effect.gen(function* () {
          yield* (yield* Processes).end(processId, 20)
          assert.isTrue(isDead())
        }).pipe(Effect.provide(layer))
      })
    )
  }

  for (const [what, script] of [
    ["", "trap '' TERM; echo $$; exec sleep 300"],
    [", after its command has exited", "(trap '' TERM; echo $BASHPID; exec sleep 300) &"]
  ] as const) {
    it.live(`X1 is killed with the group of its command, although each look comes too late${what}`, () =>
      Effect.suspend(() => {
        let missed: number | undefined
        return Effect.gen(function* () {
          const child = yield* shell(`sleep 0.1; ${script}`)
          missed = child.pid
          const pid = yield* pidFrom(child.output)
          yield* Effect.addFinalizer(() => Effect.sync(() => isAlive(pid) && process.kill(pid, "SIGKILL")))
          // longer than the looks after an exit
          yield* Effect.sleep("500 millis")
          yield* (yield* Processes).end(child.processId, 50)
          yield* awaitEnd(pid)
        }).pipe(Effect.scoped, Effect.provide(hostOf({ isMissed: (pid) => groupOf(pid) === missed })))
      })
    )
  }

  it.live.skipIf(!hasControlGroups)("X1 is killed in one step where there are control groups", () =>
    Effect.gen(function* () {
      const folder = yield* directory
      const script = join(folder, "comet")
      const next = `[ -e ${folder}/stop ] || setsid ${script} &`
      writeFileSync(script, `#!/bin/sh\ntrap '' TERM HUP\necho >> ${folder}/beats\n${next}\n`)
      chmodSync(script, 0o755)
      yield* Effect.addFinalizer(() => Effect.sync(() => writeFileSync(join(folder, "stop"), "")))
      const child = yield* shell(`${script}; echo 1; sleep 300`)
      yield* pidFrom(child.output)
      yield* (yield* Processes).end(child.processId, 50)
      const beats = () => readFileSync(join(folder, "beats")).length
      const before = beats()
      yield* Effect.sleep(100)
      assert.strictEqual(beats(), before)
      assert.deepStrictEqual(carriersOf(child.processId), [])
    }).pipe(Effect.scoped, Effect.provide(host))
  )
})

describe("a daemon that hides its environment", () => {
  it.live("X1 ends with the process that started it, even after that has exited", () =>
    Effect.suspend(() => {
      const hidden = new Set<number>()
      return Effect.gen(function* () {
        const child = yield* shell("(setsid bash -c 'echo $$; exec sleep 300' &); sleep 0.1")
        const pid = yield* pidFrom(child.output)
        hidden.add(pid)
        yield* child.exit
        assert.isTrue(isAlive(pid))
        yield* (yield* Processes).end(child.processId, 100)
        assert.isFalse(isAlive(pid))
      }).pipe(Effect.scoped, Effect.provide(hostOf({ isHidden: (pid) => hidden.has(pid) })))
    })
  )

  it.live("X1 ends with its parent", () =>
    Effect.suspend(() => {
      const hidden = new Set<number>()
      return Effect.gen(function* () {
        const child = yield* shell("setsid bash -c 'echo $$; exec sleep 300' & wait")
        const pid = yield* pidFrom(child.output)
        hidden.add(pid)
        yield* (yield* Processes).end(child.processId, 100)
        assert.isFalse(isAlive(pid))
      }).pipe(Effect.scoped, Effect.provide(hostOf({ isHidden: (pid) => hidden.has(pid) })))
    })
  )

  it.live("of another login, or older than the process, is left alone", () =>
    Effect.suspend(() => {
      const hidden = new Set<number>()
      const other = new Set<number>()
      const layer = hostOf({
        isHidden: (pid) => hidden.has(pid),
        texts: (path) =>
          other.has(Number(/^\/proc\/(\d+)\/cgroup$/.exec(path)?.[1])) ? "0::/other.scope\n" : undefined
      })
      return Effect.gen(function* () {
        const start = Effect.gen(function* () {
          const process = spawn("bash", ["-c", "(setsid bash -c 'echo $$; exec sleep 300' &)"], { stdio: "pipe" })
          const pid = yield* Effect.callback<number>((resume) => {
            process.stdout.once("data", (text) => resume(Effect.succeed(Number(text))))
          })
          yield* Effect.addFinalizer(() => Effect.sync(() => globalThis.process.kill(pid, "SIGKILL")))
          hidden.add(pid)
          return pid
        })
        const older = yield* start
        yield* Effect.sleep(30)
        const child = yield* shell("sleep 300")
        const younger = yield* start
        other.add(younger)
        yield* (yield* Processes).end(child.processId, 100)
        assert.deepStrictEqual([isAlive(older), isAlive(younger)], [true, true])
      }).pipe(Effect.scoped, Effect.provide(layer))
    })
  )
})

describe("a process that sheds its environment", () => {
  for (const [what, script] of [
    ["in another group of the session", "set -m; env -i /bin/bash -c 'echo $$; exec /bin/sleep 300' & wait"],
    ["in a session that its parent, which lives, has not", "env -i setsid bash -c 'echo $$; exec sleep 300' & wait"]
  ] as const) {
    it.live(`X1 ends ${what}`, () =>
      Effect.gen(function* () {
        const child = yield* shell(script)
        const pid = yield* pidFrom(child.output)
        assert.notStrictEqual(groupOf(pid), child.pid)
        yield* (yield* Processes).end(child.processId, 100)
        assert.isFalse(isAlive(pid))
      }).pipe(Effect.scoped, Effect.provide(hostOf({})))
    )
  }
})

describe("a process of another program that a command runs", () => {
  it.live("X1 ends with the command, although that program cannot end it", () =>
    Effect.gen(function* () {
      const child = yield* shell("env | grep ^SPINDLE_; echo done; exec sleep 300")
      const lines = yield* until(child.output, "done\n")
      const environment = lines.replaceAll("\n", "\0")
      // the second program has this environment, and is killed before it could end anything
      const inner = yield* Layer.build(
        Layer.fresh(hostOf({ texts: (path) => (path === "/proc/self/environ" ? environment : undefined) }))
      )
      const started = yield* Effect.provide(shell("(setsid bash -c 'echo $$; exec sleep 300' &)"), inner)
      const pid = yield* pidFrom(started.output)
      yield* (yield* Processes).end(child.processId, 100)
      assert.isFalse(isAlive(pid))
    }).pipe(Effect.scoped, Effect.provide(hostOf({})))
  )
})

describe("a process that sheds its group, its session and its environment", () => {
  it.live.skipIf(!hasControlGroups)("X1 ends where there are control groups", () =>
    Effect.gen(function* () {
      const child = yield* shell("env -i setsid bash -c 'echo $$; exec sleep 300' & sleep 300")
      const pid = yield* pidFrom(child.output)
      assert.notInclude(carriersOf(child.processId), pid)
      yield* (yield* Processes).end(child.processId, 100)
      assert.isFalse(isAlive(pid))
    }).pipe(Effect.scoped, Effect.provide(host))
  )
})

describe("the time to kill", () => {
  it.live("X1 does not move when the clock of the host is set back", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let step = 0
      const stepped: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + step,
        currentTimeMillis: Effect.sync(() => clock.currentTimeMillisUnsafe() + step)
      })
      yield* Effect.gen(function* () {
        const child = yield* shell("trap '' TERM; echo 1; while :; do sleep 0.05; done")
        yield* pidFrom(child.output)
        const ending = yield* Effect.forkChild((yield* Processes).end(child.processId, 300), { startImmediately: true })
        step = -60_000
        yield* Effect.sleep(30)
        assert.isUndefined(ending.pollUnsafe())
        assert.deepStrictEqual(yield* child.exit, { exitCode: null, signal: "SIGKILL" })
      }).pipe(Effect.scoped, Effect.provide(host), Effect.provideService(Clock.Clock, stepped))
    })
  )
})

describe("killTargets", () => {
  it.live("X2 are the groups, and soon after the end has begun what has left them", () =>
    Effect.gen(function* () {
      const { killTargets } = yield* ProcessGroups.ProcessGroups
      const child = yield* shell("setsid bash -c 'trap \"\" TERM; echo $$; exec sleep 300' & sleep 300")
      const pid = yield* pidFrom(child.output)
      assert.deepStrictEqual(killTargets().targets, [-child.pid])
      yield* Effect.forkChild((yield* Processes).end(child.processId, 60_000))
      yield* Effect.repeat(Effect.sync(killTargets), { until: ({ targets }) => targets.includes(pid) })
      // SIGTERM may have ended everything by now except what ignores it
      const { send } = yield* Signals.Signals
      const killed = yield* Effect.filter(killTargets().targets, (target) => send(target, "SIGKILL"))
      assert.include(killed, pid)
      yield* child.gone
    }).pipe(Effect.scoped, Effect.provide(host))
  )
})
