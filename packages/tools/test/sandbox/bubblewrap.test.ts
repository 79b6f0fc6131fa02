import { assert, describe, it } from "@effect/vitest"
import * as Bubblewrap from "../../src/internal/sandbox/bubblewrap.ts"
import type { Mount } from "../../src/internal/sandbox/bubblewrap.ts"

const support: Bubblewrap.Support = {
  program: "/usr/bin/bwrap",
  userNamespace: true,
  disablesUserNamespaces: true,
  ownProc: true
}

const args = (part: Partial<Bubblewrap.Confined>): string =>
  Bubblewrap.args({
    support,
    mounts: [],
    network: false,
    cwd: "/w",
    command: ["/bin/sh", "-c", "echo a"],
    ...part
  }).join(" ")

const mounted = (...mounts: ReadonlyArray<Mount>): string =>
  /--remount-ro \/proc (.*)--chdir/.exec(args({ mounts }))![1]!

const start = "--die-with-parent --unshare-user --disable-userns --unshare-pid --unshare-ipc --unshare-uts"
const end = "--chdir /w --seccomp 3 -- /usr/bin/env --default-signal=HUP,INT,QUIT,TERM,TSTP /bin/sh -c echo a"

describe("args", () => {
  const root = "--cap-drop ALL --ro-bind / / --dev /dev"
  const proc = "--proc /proc --remount-ro /proc"
  const rows: ReadonlyArray<readonly [what: string, part: Partial<Bubblewrap.Confined>, args: string]> = [
    [
      "writes nothing without mounts, has no network, and cannot change /proc",
      {},
      `${start} --unshare-cgroup-try --unshare-net ${root} ${proc} ${end}`
    ],
    ["keeps the network of the host", { network: true }, `${start} --unshare-cgroup-try ${root} ${proc} ${end}`],
    [
      "makes no user namespace where a privileged program can do without",
      { support: { ...support, userNamespace: false, disablesUserNamespaces: false } },
      `--die-with-parent --unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try --unshare-net ${root} ${proc} ${end}`
    ],
    [
      "leaves further user namespaces to the filter where bwrap is old",
      { support: { ...support, disablesUserNamespaces: false } },
      `--die-with-parent --unshare-user --unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try --unshare-net ${root} ${proc} ${end}`
    ],
    [
      "shows the /proc of the host, read-only, where no other can be mounted",
      { support: { ...support, ownProc: false } },
      `${start} --unshare-cgroup-try --unshare-net ${root} --ro-bind /proc /proc ${end}`
    ]
  ]
  it("limits the number of processes, unless all of the user would be counted", () => {
    const ofAll = { ...support, userNamespace: false, disablesUserNamespaces: false }
    const limited = args({ processes: 9 })
    assert.include(limited, '-- /bin/sh -c { ulimit -u "$0" || ulimit -p "$0"; }')
    assert.include(limited, 'exec "$@" 9 /usr/bin/env --default-signal')
    assert.strictEqual(args({ processes: 9, support: ofAll }), args({ support: ofAll }))
  })

  for (const [what, part, expected] of rows) it(what, () => assert.strictEqual(args(part), expected))

  it("shows the working directory in shared memory, which the /dev of a sandbox hides", () => {
    const shown = (cwd: string) => /--dev \/dev (.*)--proc/.exec(args({ cwd }))![1]!
    assert.strictEqual(shown("/dev/shm/project"), "--ro-bind /dev/shm/project /dev/shm/project ")
    assert.strictEqual(shown("/dev/shm/project/src"), "--ro-bind /dev/shm/project /dev/shm/project ")
    assert.strictEqual(shown("/dev/shm"), "--ro-bind /dev/shm /dev/shm ")
    for (const cwd of ["/dev/shmem/project", "/home/dev/shm/project", "/dev"]) assert.strictEqual(shown(cwd), "")
  })

  it("mounts directories before what is in them", () => {
    assert.strictEqual(
      mounted(
        { path: "/w/sub/.git", kind: "readOnly" },
        { path: "/w/.codex", kind: "placeholder" },
        { path: "/w/sub", kind: "writable" },
        { path: "/w", kind: "writable" }
      ),
      "--bind /w /w --perms 0555 --tmpfs /w/.codex --remount-ro /w/.codex --bind /w/sub /w/sub --ro-bind /w/sub/.git /w/sub/.git "
    )
  })

  it("mounts a path once, in the narrowest way", () => {
    const [writable, readOnly, placeholder] = (["writable", "readOnly", "placeholder"] as const).map((kind): Mount => ({
      path: "/w",
      kind
    }))
    const tmpfs = "--perms 0555 --tmpfs /w --remount-ro /w "
    assert.strictEqual(mounted(readOnly!, writable!), "--ro-bind /w /w ")
    assert.strictEqual(mounted(writable!, readOnly!), "--ro-bind /w /w ")
    assert.strictEqual(mounted(readOnly!, placeholder!, writable!), tmpfs)
    assert.strictEqual(mounted(placeholder!, readOnly!), tmpfs)
  })

  it("mounts a path that may vanish if it is there, unless another mount of it must hold", () => {
    const found: Mount = { path: "/w/a/.git", kind: "readOnly", mayVanish: true }
    const between: Mount = { path: "/w/a", kind: "writable", mayVanish: true }
    assert.strictEqual(mounted(found, between), "--bind-try /w/a /w/a --ro-bind-try /w/a/.git /w/a/.git ")
    const must: Mount = { path: "/w/a/.git", kind: "readOnly" }
    for (const mounts of [
      [found, must],
      [must, found]
    ]) {
      assert.strictEqual(mounted(...mounts), "--ro-bind /w/a/.git /w/a/.git ")
    }
  })
})

describe("wrap", () => {
  it("passes every byte of the filter as an octal escape, which no shell reads otherwise", () => {
    const filter = new Uint8Array([0, 32, 37, 92, 255])
    const words = Bubblewrap.wrap({ support, mounts: [], network: true, cwd: "/", command: ["true"] }, filter)
    assert.deepStrictEqual(words.slice(3, 5), ["\\000\\040\\045\\134\\377", "/usr/bin/bwrap"])
  })
})

describe("wrap with lines", () => {
  it("runs one before the command, after the signals are ignored, and one after it", () => {
    const [, , script] = Bubblewrap.wrap(
      { support, mounts: [], network: false, cwd: "/w", command: ["true"] },
      new Uint8Array(),
      { first: "echo first", last: "echo last" }
    )
    const lines = script!.split("\n")
    assert.match(lines[0]!, /^trap ""/)
    assert.deepStrictEqual([lines[1], ...lines.slice(3)], ["echo first", "code=$?", "echo last", "exit $code"])
  })
})

describe("wrap with a network proxy", () => {
  const network = { node: "/usr/bin/node", socket: "/home/proxy/1.sock", port: 43_128 }
  const wordsOf = (part: Partial<Bubblewrap.Support>) =>
    Bubblewrap.wrap(
      { support: { ...support, ...part }, mounts: [], network, cwd: "/w", command: ["true"] },
      new Uint8Array()
    )

  it("puts the sandbox into one whose only process passes connections on", () => {
    const words = wordsOf({})
    const inner = words.lastIndexOf("/usr/bin/bwrap")
    assert.strictEqual(
      words.slice(4, words.indexOf("-e")).join(" "),
      "/usr/bin/bwrap --die-with-parent --unshare-user --unshare-net --dev-bind / / -- /usr/bin/node"
    )
    assert.deepStrictEqual(words.slice(words.indexOf("-e") + 2, inner - 4), ["/home/proxy/1.sock", "43128", "3"])
    assert.notInclude(words.slice(inner), "--unshare-net")
    assert.include(words.slice(inner), "--unshare-pid")
  })

  it("makes no user namespace where a privileged program can do without", () =>
    assert.notInclude(wordsOf({ userNamespace: false, disablesUserNamespaces: false }), "--unshare-user"))
})
