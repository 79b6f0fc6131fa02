import { assert, describe, it } from "@effect/vitest"
import * as Seccomp from "../../src/internal/sandbox/seccomp.ts"

const words = { x64: 0xc000003e, arm64: 0xc00000b7, x86: 0x40000003 }
const decisions: { readonly [action: number]: string } = {
  0x7fff0000: "allowed",
  0x80000000: "killed",
  0x00050001: "EPERM",
  0x00050026: "ENOSYS"
}

/** Runs a filter on a call, as the kernel does. */
const decide = (filter: Uint8Array, word: number, call: number, args: ReadonlyArray<number> = []): string => {
  const data = new DataView(new ArrayBuffer(64))
  data.setInt32(0, call, true)
  data.setUint32(4, word, true)
  for (const [index, value] of args.entries()) data.setUint32(16 + 8 * index, value, true)
  const program = new DataView(filter.buffer)
  let accumulator = 0
  for (let at = 0; at * 8 < filter.length; at++) {
    const code = program.getUint16(at * 8, true)
    const value = program.getUint32(at * 8 + 4, true)
    const jump = (holds: boolean) => (at += program.getUint8(at * 8 + (holds ? 2 : 3)))
    if (code === 0x20) accumulator = data.getUint32(value, true)
    else if (code === 0x06) return decisions[value] ?? `unknown action ${value}`
    else if (code === 0x15) jump(accumulator === value)
    else if (code === 0x35) jump(accumulator >= value)
    else if (code === 0x45) jump((accumulator & value) !== 0)
    else return `unknown instruction ${code}`
  }
  return "ran off the end"
}

type Row = readonly [what: string, decision: string, x64: number | null, arm64: number | null, ...args: Array<number>]

const [unix, inet, inet6, netlink, vsock, packet] = [1, 2, 10, 16, 40, 17]
const create = 0o101

const rows: ReadonlyArray<Row> = [
  ["read", "allowed", 0, 63],
  ["write", "allowed", 1, 64],
  ["execve", "allowed", 59, 221],
  ["connect", "allowed", 42, 203],
  ["socket inet", "allowed", 41, 198, inet, 1, 0],
  ["socket inet6", "allowed", 41, 198, inet6, 1, 0],
  ["socket unix", "EPERM", 41, 198, unix, 1, 0],
  ["socket vsock", "EPERM", 41, 198, vsock, 1, 0],
  ["socket packet", "EPERM", 41, 198, packet, 3, 0],
  ["socket netlink route", "allowed", 41, 198, netlink, 3, 0],
  ["socket netlink kernel events", "EPERM", 41, 198, netlink, 3, 15],
  ["socketpair unix", "allowed", 53, 199, unix, 1, 0],
  ["socketpair vsock", "EPERM", 53, 199, vsock, 1, 0],
  ["ioctl FIONREAD", "allowed", 16, 29, 0, 0x541b],
  ["ioctl TIOCSTI", "EPERM", 16, 29, 0, 0x5412],
  ["ioctl TIOCLINUX", "EPERM", 16, 29, 0, 0x541c],
  ["clone of a thread", "allowed", 56, 220, 0x003d0f00],
  ["clone with CLONE_NEWUSER", "EPERM", 56, 220, 0x10000011],
  ["clone with CLONE_NEWNS", "EPERM", 56, 220, 0x00020011],
  ["clone3", "ENOSYS", 435, 435],
  ["unshare of files", "allowed", 272, 97, 0x400],
  ["unshare of users", "EPERM", 272, 97, 0x10000000],
  ["unshare of mounts", "EPERM", 272, 97, 0x00020000],
  ["chmod 755", "allowed", 90, null, 0, 0o755],
  ["chmod 4755", "EPERM", 90, null, 0, 0o4755],
  ["chmod 2755", "EPERM", 90, null, 0, 0o2755],
  ["chmod 1755", "allowed", 90, null, 0, 0o1755],
  ["fchmod 4755", "EPERM", 91, 52, 0, 0o4755],
  ["fchmodat 644", "allowed", 268, 53, 0, 0, 0o644],
  ["fchmodat 4755", "EPERM", 268, 53, 0, 0, 0o4755],
  ["fchmodat2 4755", "EPERM", 452, 452, 0, 0, 0o4755],
  ["mknod 4755", "EPERM", 133, null, 0, 0o104755],
  ["mknodat 644", "allowed", 259, 33, 0, 0, 0o100644],
  ["mknodat 4755", "EPERM", 259, 33, 0, 0, 0o104755],
  ["creat 4755", "EPERM", 85, null, 0, 0o4755],
  ["creat 644", "allowed", 85, null, 0, 0o644],
  ["open that creates 644", "allowed", 2, null, 0, create, 0o644],
  ["open that creates 4755", "EPERM", 2, null, 0, create, 0o4755],
  ["open that creates nothing, with any mode", "allowed", 2, null, 0, 0, 0o7777],
  ["openat that creates 644", "allowed", 257, 56, 0, 0, create, 0o644],
  ["openat that creates 4755", "EPERM", 257, 56, 0, 0, create, 0o4755],
  ["openat of an unnamed file 4755", "EPERM", 257, 56, 0, 0, 0o20200002, 0o4755],
  ["openat that creates nothing, with any mode", "allowed", 257, 56, 0, 0, 0, 0o7777],
  ["openat2", "ENOSYS", 437, 437],
  ["ptrace", "EPERM", 101, 117],
  ["process_vm_readv", "EPERM", 310, 270],
  ["process_vm_writev", "EPERM", 311, 271],
  ["pidfd_getfd", "EPERM", 438, 438],
  ["mount", "EPERM", 165, 40],
  ["umount2", "EPERM", 166, 39],
  ["pivot_root", "EPERM", 155, 41],
  ["open_tree", "EPERM", 428, 428],
  ["move_mount", "EPERM", 429, 429],
  ["fsopen", "EPERM", 430, 430],
  ["fsmount", "EPERM", 432, 432],
  ["mount_setattr", "EPERM", 442, 442],
  ["setns", "EPERM", 308, 268],
  ["open_by_handle_at", "EPERM", 304, 265],
  ["bpf", "EPERM", 321, 280],
  ["io_uring_setup", "EPERM", 425, 425],
  ["keyctl", "EPERM", 250, 219],
  ["finit_module", "EPERM", 313, 273],
  ["kexec_file_load", "EPERM", 320, 294],
  ["reboot", "EPERM", 169, 142]
]

describe("filter", () => {
  for (const [index, architecture] of (["x64", "arm64"] as const).entries()) {
    const filter = Seccomp.filter(architecture)
    it(`decides each call on ${architecture}`, () => {
      for (const [what, decision, ...numbers] of rows) {
        const call = numbers[index as 0 | 1]
        if (call === null) continue
        assert.strictEqual(
          decide(filter, words[architecture], call!, numbers.slice(2) as Array<number>),
          decision,
          what
        )
      }
    })

    it(`kills programs of another architecture on ${architecture}`, () => {
      const other = architecture === "x64" ? words.arm64 : words.x64
      assert.deepStrictEqual([decide(filter, words.x86, 0), decide(filter, other, 0)], ["killed", "killed"])
    })

    it(`decides every call, whatever its number is, on ${architecture}`, () => {
      for (let call = 0; call < 600; call++) {
        assert.include(Object.values(decisions), decide(filter, words[architecture], call, [0, 0, 0, 0]))
      }
    })
  }

  it("refuses the second table of calls on x64", () => {
    assert.strictEqual(decide(Seccomp.filter("x64"), words.x64, 0x40000000), "EPERM")
    assert.strictEqual(decide(Seccomp.filter("x64"), words.x64, 0x3fffffff), "allowed")
  })

  it("exists for two architectures", () => {
    assert.deepStrictEqual(["x64", "arm64", "ia32", "riscv64", "toString"].map(Seccomp.supports), [
      true,
      true,
      false,
      false,
      false
    ])
  })
})
