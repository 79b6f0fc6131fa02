import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import {
  Clock,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  FileSystem,
  Layer,
  Option,
  PlatformError,
  Scope,
  Stream
} from "effect"
import { ChildProcessSpawner } from "effect/process"
import { TestClock } from "effect/testing"
import { Processes } from "@spindle/core/Processes"
import { ProcessGroups } from "../src/index.ts"
import { carriersOf, directory, groupOf, host, newId, platform, signals } from "./host.ts"
import { until } from "./output.ts"

const cwd = tmpdir()

/** Waits for a turn of the event loop of Node. */
const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

const shell = Effect.fnUntraced(function* (script: string, processId = newId()) {
  return yield* (yield* Processes).start({ processId, command: ["bash", "-c", script], cwd })
})

const textOf = (output: Stream.Stream<Uint8Array>) => Stream.mkString(Stream.decodeText(output))

/** How many milliseconds this takes. */
const millisOf = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const begin = yield* Clock.currentTimeMillis
  yield* effect
  return (yield* Clock.currentTimeMillis) - begin
})

const end = Effect.fnUntraced(function* (processId: ReturnType<typeof newId>, grace: number) {
  return yield* (yield* Processes).end(processId, grace)
})

const withoutTable = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, (fileSystem) => ({
    ...fileSystem,
    access: (path: string) =>
      path.startsWith("/proc/")
        ? Effect.fail(PlatformError.systemError({ _tag: "NotFound", module: "FileSystem", method: "access" }))
        : fileSystem.access(path)
  }))
)

/** A host without control groups whose table cannot be read while `isBroken`: it has no file descriptor to spare. */
const withBrokenTable = (isBroken: () => boolean) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fileSystem) => {
      const unlessBroken = <A>(method: string, path: string, effect: Effect.Effect<A, PlatformError.PlatformError>) =>
        Effect.suspend(() => {
          const isMissing = path === "/proc/self/mounts"
          if (!isMissing && (!path.startsWith("/proc") || !isBroken())) return effect
          const cause = Object.assign(new Error("too many open files"), { code: "EMFILE" })
          return Effect.fail(PlatformError.systemError({ _tag: "Unknown", module: "FileSystem", method, cause }))
        })
      return {
        ...fileSystem,
        readDirectory: (path) => unlessBroken("readDirectory", path, fileSystem.readDirectory(path)),
        readFileString: (path) => unlessBroken("readFileString", path, fileSystem.readFileString(path))
      } satisfies typeof fileSystem
    })
  )

/** A host whose files are seen through a layer, until the scope closes. */
const hostOn = Effect.fnUntraced(function* (files: Layer.Layer<FileSystem.FileSystem, never, FileSystem.FileSystem>) {
  const scope = yield* Effect.scope
  const services = yield* Layer.buildWithScope(Layer.merge(NodeServices.layer, signals), scope)
  return yield* ProcessGroups.layer.pipe(Layer.provide(files), Layer.provide(Layer.succeedContext(services)), (layer) =>
    Layer.buildWithScope(layer, scope)
  )
})

describe("start", () => {
  it.live("X1 a process leads its own group and carries its marker", () =>
    Effect.gen(function* () {
      const child = yield* shell("echo marker=$SPINDLE_PROCESS; sleep 300")
      assert.strictEqual(yield* until(child.output, "\n"), `marker=${child.processId}\n`)
      assert.strictEqual(groupOf(child.pid), child.pid)
      assert.include(carriersOf(child.processId), child.pid)
      assert.deepStrictEqual((yield* ProcessGroups.ProcessGroups).killTargets().targets, [-child.pid])
      yield* end(child.processId, 500)
      assert.deepStrictEqual((yield* ProcessGroups.ProcessGroups).killTargets().targets, [])
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("both output streams arrive in order, the input is empty, and the exit code is reported", () =>
    Effect.gen(function* () {
      const seen = yield* directory
      const wait = (word: string) => `until [ -e ${seen}/${word} ]; do :; done`
      const child = yield* shell(`cat; echo one; ${wait("one")}; echo two >&2; ${wait("two")}; echo three; exit 3`)
      let all = ""
      yield* Stream.runForEach(Stream.decodeText(child.output), (piece) =>
        Effect.sync(() => {
          all += piece
          for (const word of all.split("\n")) if (word !== "") writeFileSync(join(seen, word), "")
        })
      )
      assert.strictEqual(all, "one\ntwo\nthree\n")
      assert.deepStrictEqual(yield* child.exit, { exitCode: 3 })
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("death by a signal is reported with its name", () =>
    Effect.gen(function* () {
      const child = yield* shell("kill -9 $$")
      assert.deepStrictEqual(yield* child.exit, { exitCode: null, signal: "SIGKILL" })
    }).pipe(Effect.provide(host))
  )

  it.live(
    "a missing program, a missing directory, a file as directory, a file without permission and no command are typed failures",
    () =>
      Effect.gen(function* () {
        const processes = yield* Processes
        const folder = yield* directory
        const file = join(folder, "file")
        writeFileSync(file, "", { mode: 0o644 })
        const detailOf = (command: ReadonlyArray<string>, where = cwd) =>
          Effect.map(Effect.flip(processes.start({ processId: newId(), command, cwd: where })), (error) => error.detail)
        assert.strictEqual(yield* detailOf(["no-such-program"]), "there is no such program")
        assert.strictEqual(yield* detailOf(["true"], join(folder, "none")), "there is no such directory")
        assert.strictEqual(yield* detailOf(["true"], file), "the host refused: ENOTDIR")
        assert.strictEqual(yield* detailOf([file]), "no permission for this program")
        assert.strictEqual(yield* detailOf([]), "there is no command")
        assert.deepStrictEqual((yield* ProcessGroups.ProcessGroups).killTargets().targets, [])
      }).pipe(Effect.provide(host))
  )

  it.live("an interruption before start returns ends the process", () =>
    Effect.gen(function* () {
      const spawned = yield* Deferred.make<ChildProcessSpawner.ChildProcessHandle>()
      const gate = yield* Deferred.make<void>()
      const held = Layer.effect(
        ChildProcessSpawner.ChildProcessSpawner,
        Effect.map(ChildProcessSpawner.ChildProcessSpawner, (spawner) => ({
          ...spawner,
          spawn: (command) =>
            spawner.spawn(command).pipe(
              Effect.tap((handle) => Deferred.succeed(spawned, handle)),
              Effect.tap(() => Deferred.await(gate))
            )
        }))
      )
      const processId = newId()
      yield* Effect.gen(function* () {
        const starting = yield* Effect.forkChild(shell("sleep 300", processId))
        const handle = yield* Deferred.await(spawned)
        starting.interruptUnsafe()
        yield* Deferred.succeed(gate, undefined)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(starting)))
        // it ends by itself, long before its 300 seconds, which no test may last
        yield* Effect.exit(handle.exitCode)
      }).pipe(
        Effect.provide(
          ProcessGroups.layer.pipe(Layer.provide(held), Layer.provide(Layer.merge(NodeServices.layer, signals)))
        )
      )
    })
  )
})

describe("exit and output", () => {
  it.live("a daemon that holds the pipes delays neither the exit nor the end of the output", () =>
    Effect.gen(function* () {
      const child = yield* shell("setsid sleep 300 & echo started")
      assert.strictEqual(yield* textOf(child.output), "started\n")
      assert.deepStrictEqual(yield* child.exit, { exitCode: 0 })
      assert.strictEqual(carriersOf(child.processId).length, 1)
      yield* end(child.processId, 500)
      assert.deepStrictEqual(carriersOf(child.processId), [])
    }).pipe(Effect.provide(host))
  )

  it.live("a daemon that writes without end does not keep the output open", () =>
    Effect.gen(function* () {
      const begun = join(yield* directory, "begun")
      const daemon = `echo begun; : > ${begun}; exec yes`
      const child = yield* shell(`setsid sh -c '${daemon}' & until [ -e ${begun} ]; do sleep 0.01; done`)
      const sizeBytes = yield* Stream.runFold(
        child.output,
        () => 0,
        (sum, chunk) => sum + chunk.length
      )
      assert.isAbove(sizeBytes, 0)
      yield* end(child.processId, 0)
      assert.deepStrictEqual(carriersOf(child.processId), [])
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("X4 a process whose output is not read waits, and continues when it is read", () =>
    Effect.gen(function* () {
      const child = yield* shell("head -c 4194304 /dev/zero")
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(child.exit, 400)))
      const sizeBytes = yield* Stream.runFold(
        child.output,
        () => 0,
        (sum, chunk) => sum + chunk.length
      )
      assert.strictEqual(sizeBytes, 4_194_304)
      assert.deepStrictEqual(yield* child.exit, { exitCode: 0 })
    }).pipe(Effect.provide(host))
  )

  it.live("output is complete for a reader that comes after the exit", () =>
    Effect.gen(function* () {
      const child = yield* shell("head -c 50000 /dev/zero | tr '\\0' x")
      yield* child.exit
      assert.strictEqual((yield* textOf(child.output)).length, 50_000)
    }).pipe(Effect.provide(host))
  )
})

describe("end", () => {
  it.live("X1 children, grandchildren, setsid daemons and double-forked daemons end", () =>
    Effect.gen(function* () {
      const child = yield* shell(
        "sleep 300 & (sleep 300; true) & setsid sleep 300 & (setsid bash -c 'sleep 300 & sleep 300' &) ; echo ready; wait"
      )
      yield* until(child.output, "ready")
      // a grace that is longer than a test may last: nobody waits for its end
      yield* end(child.processId, 60_000)
      assert.deepStrictEqual(carriersOf(child.processId), [])
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("X1 a shell and a daemon that ignore TERM are killed after the grace", () =>
    Effect.gen(function* () {
      const child = yield* shell(
        "trap '' TERM HUP INT; setsid bash -c 'echo daemon; while :; do sleep 0.05; done' & echo shell; while :; do sleep 0.05; done"
      )
      yield* until(child.output, "daemon")
      const millis = yield* millisOf(end(child.processId, 200))
      assert.deepStrictEqual(carriersOf(child.processId), [])
      assert.isAtLeast(millis, 200)
      assert.deepStrictEqual(yield* child.exit, { exitCode: null, signal: "SIGKILL" })
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("X1 a descendant without the marker ends with its group", () =>
    Effect.gen(function* () {
      const child = yield* shell("env -i sleep 31.5 & echo pid $!; wait")
      const pid = Number(/pid (\d+)/.exec(yield* until(child.output, "\n"))![1])
      assert.strictEqual(groupOf(pid), child.pid)
      yield* end(child.processId, 500)
      assert.isNaN(groupOf(pid))
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("a process gets one TERM and its grace", () =>
    Effect.gen(function* () {
      const child = yield* shell(
        "exec 2> /dev/null; trap 'echo term; sleep 0.15; echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done"
      )
      const reading = yield* Effect.forkChild(textOf(child.output))
      yield* Effect.repeat(
        Effect.sync(() => carriersOf(child.processId).length),
        { until: (count) => count > 1 }
      )
      yield* end(child.processId, 2_000)
      assert.strictEqual(yield* Fiber.join(reading), "ready\nterm\nbye\n")
      assert.deepStrictEqual(yield* child.exit, { exitCode: 7 })
    }).pipe(Effect.provide(host))
  )

  it.live("a second call with a shorter grace brings the kill forward", () =>
    Effect.gen(function* () {
      const child = yield* shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")
      yield* until(child.output, "ready")
      const patient = yield* Effect.forkChild(end(child.processId, 60_000))
      yield* Effect.yieldNow
      yield* end(child.processId, 0)
      yield* Fiber.join(patient)
      assert.deepStrictEqual(carriersOf(child.processId), [])
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("an interruption of the wait does not stop the ending", () =>
    Effect.gen(function* () {
      const child = yield* shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")
      yield* until(child.output, "ready")
      const waiting = yield* Effect.forkChild(end(child.processId, 100), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      assert.deepStrictEqual(yield* child.exit, { exitCode: null, signal: "SIGKILL" })
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("ending what has ended does nothing", () =>
    Effect.gen(function* () {
      const child = yield* shell("true")
      yield* child.exit
      yield* end(child.processId, 500)
      yield* end(child.processId, 500)
      yield* end(newId(), 500)
    }).pipe(Effect.provide(host))
  )

  it.effect("X1 waits until the program has been waited for, because a zombie may outlive this program", () =>
    Effect.gen(function* () {
      const waited = yield* Deferred.make<void>()
      const held = Layer.effect(
        ChildProcessSpawner.ChildProcessSpawner,
        Effect.map(ChildProcessSpawner.ChildProcessSpawner, (spawner) =>
          ChildProcessSpawner.make((command) =>
            Effect.map(spawner.spawn(command), (handle) =>
              Object.assign(Object.create(handle) as typeof handle, {
                exitCode: Effect.andThen(Deferred.await(waited), handle.exitCode)
              })
            )
          )
        )
      )
      const layer = ProcessGroups.layer.pipe(Layer.provide(held), Layer.provideMerge(platform))
      yield* Effect.gen(function* () {
        const child = yield* shell("true")
        yield* Effect.repeat(
          Effect.promise(() => nextTurn()).pipe(Effect.map(() => carriersOf(child.processId).length)),
          { until: (count) => count === 0 }
        )
        const ending = yield* Effect.forkChild(end(child.processId, 0), { startImmediately: true })
        const pass = Effect.gen(function* () {
          for (let turn = 0; turn < 10; turn++) yield* Effect.promise(() => nextTurn())
          yield* TestClock.adjust(1)
        })
        for (let millis = 0; millis < 100; millis++) yield* pass
        assert.isUndefined(ending.pollUnsafe())
        Deferred.doneUnsafe(waited, Effect.void)
        yield* Effect.repeat(pass, { until: () => ending.pollUnsafe() !== undefined })
        yield* Fiber.join(ending)
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("X3 what an earlier host left is ended by its marker", () =>
    Effect.gen(function* () {
      const processId = newId()
      const earlier = yield* Scope.make()
      yield* Effect.addFinalizer(() => Scope.close(earlier, Exit.void))
      const other = yield* Layer.buildWithScope(host, earlier)
      const left = yield* Effect.provideContext(shell("sleep 300 & echo ready; sleep 300", processId), other)
      yield* until(left.output, "ready")
      assert.isAbove(carriersOf(processId).length, 0)
      yield* end(processId, 500)
      assert.deepStrictEqual(carriersOf(processId), [])
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("X3 a start ends what a host that was killed has left, and nothing else", () =>
    Effect.gen(function* () {
      const child = yield* shell("sleep 300 & echo $SPINDLE_HOST; sleep 300")
      const [boot, namespace, pid, ticks] = (yield* until(child.output, "\n")).trim().split("/")
      assert.strictEqual(pid, String(process.pid))
      const left = [boot, namespace, pid, Number(ticks) - 1].join("/")
      const others = {
        "a host that lives": [boot, namespace, pid, ticks].join("/"),
        "another boot": left.replace(boot!, "boot"),
        "another process namespace": left.replace(namespace!, "pid:[1]")
      }
      const start = (mark: string) => {
        const processId = newId()
        const env = { ...process.env, SPINDLE_PROCESS: processId, SPINDLE_HOST: mark }
        const sleeping = spawn("sleep", ["300"], { detached: true, stdio: "ignore", env })
        return Effect.as(
          Effect.addFinalizer(() => Effect.sync(() => void sleeping.kill("SIGKILL"))),
          { processId, sleeping }
        )
      }
      const kept = yield* Effect.forEach(Object.values(others), start)
      const { processId, sleeping } = yield* start(left)
      const gone = new Promise((resolve) => sleeping.once("exit", (_, signal) => resolve(signal)))
      yield* Effect.scoped(Layer.build(Layer.fresh(host)))
      assert.strictEqual(yield* Effect.promise(() => gone), "SIGTERM")
      assert.deepStrictEqual(carriersOf(processId), [])
      assert.deepStrictEqual(
        kept.map((one) => carriersOf(one.processId).length),
        [1, 1, 1]
      )
      assert.isAbove(carriersOf(child.processId).length, 1)
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("without a process table the group ends", () =>
    Effect.gen(function* () {
      const blind = yield* hostOn(withoutTable)
      const child = yield* Effect.provideContext(shell("trap '' TERM; sleep 300 & echo ready; wait; sleep 300"), blind)
      yield* until(child.output, "ready")
      yield* Effect.provideContext(end(child.processId, 100), blind)
      assert.deepStrictEqual(carriersOf(child.processId), [])
    }).pipe(Effect.scoped)
  )
})

describe("a process table that cannot be read", () => {
  it.live("X1 no process counts as gone, the group is killed, and a daemon as soon as it can be seen", () =>
    Effect.gen(function* () {
      let isBroken = false
      const host = yield* hostOn(withBrokenTable(() => isBroken))
      const script = "trap '' TERM; sleep 300 & setsid sh -c 'echo ready; exec sleep 300' & wait; sleep 300"
      const child = yield* Effect.provideContext(shell(script), host)
      yield* until(child.output, "ready")
      isBroken = true
      const ending = yield* Effect.forkChild(Effect.provideContext(end(child.processId, 50), host))
      assert.deepStrictEqual(yield* child.exit, { exitCode: null, signal: "SIGKILL" })
      yield* Effect.repeat(
        Effect.sync(() => carriersOf(child.processId).length),
        { until: (count) => count === 1 }
      )
      assert.isUndefined(ending.pollUnsafe())
      isBroken = false
      yield* Fiber.join(ending)
      assert.deepStrictEqual(carriersOf(child.processId), [])
    }).pipe(Effect.scoped)
  )
})

describe("layer", () => {
  it.live("X1 closing the layer ends every process, and nothing starts from then on", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(host, scope)
      const first = yield* Effect.provideContext(shell("trap '' TERM; while :; do sleep 0.05; done"), services)
      const second = yield* Effect.provideContext(shell("setsid sleep 300 & wait"), services)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([...carriersOf(first.processId), ...carriersOf(second.processId)], [])
      const refused = yield* Effect.flip(Effect.provideContext(shell("true"), services))
      assert.strictEqual(refused.detail, "this host is closing")
      yield* Effect.provideContext(end(first.processId, 0), services)
      assert.deepStrictEqual(Context.get(services, ProcessGroups.ProcessGroups).killTargets().targets, [])
    })
  )
})
