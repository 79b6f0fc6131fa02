import { assert, describe, it } from "@effect/vitest"
import * as Seatbelt from "../../src/internal/sandbox/seatbelt.ts"

const readOnly = Seatbelt.profile({ _tag: "ReadOnly", network: false }).split("\n")

/** The lines that a policy adds to those of the read-only one. */
const added = (policy: Parameters<typeof Seatbelt.profile>[0]) =>
  Seatbelt.profile(policy)
    .split("\n")
    .filter((line) => !readOnly.includes(line))

/** The profile of a command that writes in the workspace, line for line: no test of this repository runs it. */
const golden = `(version 1)
(deny default)
(allow process-exec)
(allow process-fork)
(allow process-info* (target same-sandbox))
(allow signal (target same-sandbox))
(allow sysctl-read)
(allow file-read*)
(allow file-ioctl (literal "/dev/tty"))
(allow file-write-data (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty"))
(allow ipc-posix-sem)
(allow ipc-posix-shm)
(allow mach-lookup (global-name "com.apple.system.opendirectoryd.libinfo"))
(allow pseudo-tty)
(allow file-write* (subpath "/Users/me/work"))
(allow file-write* (subpath "/private/tmp"))
(deny file-write* (subpath "/Users/me/work/.git"))
(deny file-write* (subpath "/Users/me/work/.spindle"))
(deny file-write* (subpath "/Users/me/work/.codex"))
(deny file-write* (subpath "/Users/me/work/.agents"))
(deny file-write* (subpath "/Users/me/.spindle"))
(deny file-write* (regex #"/\\.git(/|$)"))
(allow network-outbound (remote ip))
(allow network-inbound (local ip))
(allow network-bind (local ip))
(allow system-socket)
(allow mach-lookup (global-name "com.apple.SystemConfiguration.configd") (global-name "com.apple.trustd.agent"))`

describe("profile", () => {
  it("is the text that sandbox-exec gets", () => {
    const policy = {
      _tag: "WorkspaceWrite",
      roots: ["/Users/me/work"],
      scratch: ["/private/tmp"],
      protectedPaths: ["/Users/me/.spindle"],
      network: true
    } as const
    assert.strictEqual(Seatbelt.profile(policy), golden)
  })

  it("denies by default, and allows reading, its own processes and no directory to write", () => {
    assert.deepStrictEqual(readOnly.slice(0, 2), ["(version 1)", "(deny default)"])
    assert.include(readOnly, "(allow file-read*)")
    assert.include(readOnly, "(allow signal (target same-sandbox))")
    assert.isFalse(readOnly.some((line) => line.includes("network") || line.includes("subpath")))
  })

  it("allows to write below the roots, and denies what is protected in them afterwards", () => {
    const policy = {
      _tag: "WorkspaceWrite",
      roots: ["/w"],
      scratch: ["/private/tmp"],
      protectedPaths: ["/w/home"],
      network: false
    } as const
    assert.deepStrictEqual(added(policy), [
      '(allow file-write* (subpath "/w"))',
      '(allow file-write* (subpath "/private/tmp"))',
      '(deny file-write* (subpath "/w/.git"))',
      '(deny file-write* (subpath "/w/.spindle"))',
      '(deny file-write* (subpath "/w/.codex"))',
      '(deny file-write* (subpath "/w/.agents"))',
      '(deny file-write* (subpath "/w/home"))',
      '(deny file-write* (regex #"/\\.git(/|$)"))'
    ])
  })

  it("allows the network", () => {
    assert.include(added({ _tag: "ReadOnly", network: true }), "(allow network-outbound (remote ip))")
  })

  it("allows only the proxy if hosts are listed", () => {
    const policy = { _tag: "ReadOnly", network: { _tag: "Hosts", allowed: ["*"], denied: [] } } as const
    const lines = Seatbelt.profile(policy, 4_000).split("\n")
    assert.deepStrictEqual(
      lines.filter((line) => line.includes("network")),
      ['(allow network-outbound (remote ip "localhost:4000"))']
    )
    assert.deepStrictEqual(added(policy), [])
  })

  it("keeps a path with quotes and backslashes one string", () => {
    const policy = {
      _tag: "WorkspaceWrite",
      roots: ['/a"b\\c'],
      scratch: [],
      protectedPaths: [],
      network: false
    } as const
    assert.strictEqual(added(policy)[0], '(allow file-write* (subpath "/a\\"b\\\\c"))')
  })
})

describe("wrap", () => {
  it("puts the profile before the command", () => {
    const words = Seatbelt.wrap({ _tag: "ReadOnly", network: false }, ["/bin/sh", "-c", "true"])
    assert.deepStrictEqual(
      [words.slice(0, 2), words.slice(3)],
      [
        ["/usr/bin/sandbox-exec", "-p"],
        ["--", "/bin/sh", "-c", "true"]
      ]
    )
  })
})
