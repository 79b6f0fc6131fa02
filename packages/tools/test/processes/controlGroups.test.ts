import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as ControlGroups from "../../src/internal/controlGroups.ts"
import * as ProcessLimit from "../../src/internal/sandbox/processLimit.ts"
import { leave, makeHierarchy, type Options } from "./controlGroups.ts"

const unified = {
  mounts: "proc /proc proc rw 0 0\ncgroup2 {root} cgroup2 rw,relatime 0 0\n",
  groups: "0::/\n",
  files: ["cgroup.procs", "cgroup.kill", "pids.max"]
} satisfies Options

const separate = {
  mounts: "cgroup {root}/memory cgroup rw,memory 0 0\ncgroup {root} cgroup rw,relatime,pids 0 0\n",
  groups: "8:pids:/\n1:name=systemd:/\n",
  files: ["cgroup.procs", "pids.max"]
} satisfies Options

const run = (command: ReadonlyArray<string>) =>
  execFileSync(command[0]!, command.slice(1), { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })

/** Makes the groups of a host. */
const groupsOf = Effect.fnUntraced(function* (options: Options) {
  const { fileSystem, root } = yield* makeHierarchy(options)
  return { root, open: yield* ControlGroups.make(fileSystem) }
})

describe("open", () => {
  const without: ReadonlyArray<readonly [what: string, options: Options]> = [
    ["has none of version 2", { ...unified, mounts: "cgroup {root} cgroup rw,pids 0 0\n" }],
    ["says nothing about the group of this program", { ...unified, groups: "4:memory:/\n" }],
    ["lets this program make none", { ...unified, isRefused: true }],
    ["cannot kill one", { ...unified, files: ["cgroup.procs"] }]
  ]
  for (const [what, options] of without) {
    it.effect(`returns undefined on a host that ${what}, and leaves nothing there`, () =>
      Effect.gen(function* () {
        const { open, root } = yield* groupsOf(options)
        assert.isUndefined(yield* open("one", false))
        assert.deepStrictEqual(readdirSync(root), [])
      })
    )
  }

  it.effect("makes a group below that of this program", () =>
    Effect.gen(function* () {
      const { fileSystem, root } = yield* makeHierarchy({ ...unified, groups: "4:memory:/x\n0::/user.slice\n" })
      yield* fileSystem.makeDirectory(join(root, "user.slice"))
      const open = yield* ControlGroups.make(fileSystem)
      assert.isDefined(yield* open("one", false))
      assert.include(readdirSync(join(root, "user.slice")), "spindle-one")
      assert.notInclude(readdirSync(root), "spindle-one")
    })
  )

  it.effect("finds the group of an earlier program, makes none for it, and no second one of a name", () =>
    Effect.gen(function* () {
      const { open, root } = yield* groupsOf(unified)
      assert.isUndefined(yield* open("one", true))
      assert.isDefined(yield* open("one", false))
      assert.isDefined(yield* open("one", true))
      assert.isUndefined(yield* open("one", false))
      assert.isUndefined(yield* open("../one", false))
      assert.deepStrictEqual(readdirSync(root), ["spindle-one"])
    })
  )
})

describe("a group", () => {
  const make = Effect.gen(function* () {
    const { open, root } = yield* groupsOf(unified)
    const group = yield* open("one", false)
    const path = join(root, "spindle-one")
    return { group: group!, procs: join(path, "cgroup.procs"), path, root }
  })

  it.effect("is entered by the process that becomes the command", () =>
    Effect.gen(function* () {
      const { group, procs } = yield* make
      const output = run(group.commandInside(["/bin/sh", "-c", 'echo "$$ $0 $1"', "a b", "$c"]))
      assert.strictEqual(output, `${readFileSync(procs, "utf8").trim()} a b $c\n`)
    })
  )

  it.effect("that cannot be entered keeps no command from running", () =>
    Effect.gen(function* () {
      const { group, root } = yield* make
      const { remove } = group
      assert.isTrue(yield* remove)
      assert.strictEqual(run(group.commandInside(["/bin/sh", "-c", "echo ran 2>&1"])), "ran\n")
      assert.deepStrictEqual(readdirSync(root), [])
    })
  )

  it.effect("has its members, without those of other process namespaces, and none when it is gone", () =>
    Effect.gen(function* () {
      const { group, procs } = yield* make
      assert.deepStrictEqual(yield* group.members, [])
      writeFileSync(procs, "12\n0\n345\n")
      assert.deepStrictEqual(yield* group.members, [12, 345])
      writeFileSync(procs, "")
      yield* group.remove
      assert.deepStrictEqual(yield* group.members, [])
    })
  )

  it.effect("is killed with one write, and stays until it is empty", () =>
    Effect.gen(function* () {
      const { group, path, procs, root } = yield* make
      writeFileSync(procs, "12\n")
      yield* group.kill
      assert.strictEqual(readFileSync(join(path, "cgroup.kill"), "utf8"), "1")
      assert.isFalse(yield* group.remove)
      writeFileSync(procs, "")
      assert.isTrue(yield* group.remove)
      assert.deepStrictEqual(readdirSync(root), [])
      // what has ended cannot be killed, and needs not be
      yield* group.kill
    })
  )
})

describe("the groups that an earlier program has left", () => {
  it.live("are removed if they are empty and not young, and no other", () =>
    Effect.gen(function* () {
      const { fileSystem, root } = yield* makeHierarchy(unified)
      for (const [name, members] of [
        ["spindle-empty", ""],
        ["spindle-lives", "12\n"],
        ["other", ""]
      ] as const) {
        leave(join(root, name), members)
        utimesSync(join(root, name), 1_000, 1_000)
      }
      leave(join(root, "spindle-young"), "")
      yield* ControlGroups.make(fileSystem)
      assert.deepStrictEqual(readdirSync(root).sort(), ["other", "spindle-lives", "spindle-young"])
    })
  )
})

describe("a limit of processes", () => {
  /** Makes the limits of a host. */
  const limitOf = Effect.fnUntraced(function* (options: Options, controllers?: string) {
    const { fileSystem, root } = yield* makeHierarchy(options)
    if (controllers !== undefined) writeFileSync(join(root, "cgroup.subtree_control"), controllers)
    const limit = yield* Effect.provideService(ProcessLimit.make, FileSystem.FileSystem, fileSystem)
    return { limit, root }
  })

  it.effect("of version 1 has a group, which the shell of the command enters, and which goes with it", () =>
    Effect.gen(function* () {
      const { limit, root } = yield* limitOf(separate)
      const { line, release } = yield* limit.acquire("one", 100)
      const path = join(root, "spindle-one")
      assert.strictEqual(readFileSync(join(path, "pids.max"), "utf8"), "100")
      const pid = run(["/bin/sh", "-c", `${line}\necho $$`])
      assert.strictEqual(readFileSync(join(path, "cgroup.procs"), "utf8"), pid)
      writeFileSync(join(path, "cgroup.procs"), "")
      yield* release
      assert.deepStrictEqual(readdirSync(root), [])
    })
  )

  it.effect("of version 2 is set in the group that the command is in anyway", () =>
    Effect.gen(function* () {
      const { limit, root } = yield* limitOf(unified, "cpu pids\n")
      leave(join(root, "spindle-one"), "")
      const { line } = yield* limit.acquire("one", 100)
      run(["/bin/sh", "-c", line])
      assert.strictEqual(readFileSync(join(root, "spindle-one", "pids.max"), "utf8"), "100\n")
    })
  )

  const without: ReadonlyArray<readonly [what: string, options: Options, controllers?: string]> = [
    ["the host has no groups", { ...unified, mounts: "" }],
    ["version 2 does not count processes", unified, "cpu memory\n"],
    ["version 1 lets this program make none", { ...separate, isRefused: true }]
  ]
  for (const [what, options, controllers] of without) {
    it.effect(`does nothing where ${what}`, () =>
      Effect.gen(function* () {
        const { limit } = yield* limitOf(options, controllers)
        assert.strictEqual((yield* limit.acquire("one", 100)).line, ":")
      })
    )
  }
})
