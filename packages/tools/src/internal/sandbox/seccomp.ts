/**
 * The system-call filter of sandboxed commands, as a program of classic BPF for the kernel. It refuses what the mounts
 * and namespaces do not cover: sockets that leave the network namespace, new namespaces, mounts, set-uid files, and
 * input for a terminal. Refused calls fail with EPERM, so that the command reports the error itself.
 */

/** The architectures that the filter is made for, with their names in Node. */
export type Architecture = "x64" | "arm64"

interface Instruction {
  readonly code: number
  readonly jumpTrue: number
  readonly jumpFalse: number
  readonly value: number
}

const errno = { EPERM: 1, ENOSYS: 38 } as const
const action = { allow: 0x7fff0000, kill: 0x80000000, fail: (error: number) => 0x00050000 | error } as const

/** Loads a word of `struct seccomp_data`. */
const load = (offset: number): Instruction => ({ code: 0x20, jumpTrue: 0, jumpFalse: 0, value: offset })
const give = (value: number): Instruction => ({ code: 0x06, jumpTrue: 0, jumpFalse: 0, value })
const jump = (code: number) => (value: number, jumpTrue: number, jumpFalse: number) => ({
  code,
  jumpTrue,
  jumpFalse,
  value
})
const jumpEqual = jump(0x15)
const jumpAtLeast = jump(0x35)
const jumpAnyBit = jump(0x45)

const callNumber = load(0)
const architectureWord = load(4)
/** Loads the low word of an argument; both architectures are little-endian. */
const argument = (index: number) => load(16 + 8 * index)
const refuse = give(action.fail(errno.EPERM))
const allow = give(action.allow)

/** The number of a call on each architecture; null where it does not exist. */
type Call = readonly [x64: number | null, arm64: number | null]

/** Refuses a call of this number, whatever its arguments are. */
const refused = {
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  pidfd_getfd: [438, 438],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  open_tree_attr: [467, 467],
  setns: [308, 268],
  open_by_handle_at: [304, 265],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  swapon: [167, 224],
  swapoff: [168, 225],
  reboot: [169, 142],
  acct: [163, 89],
  settimeofday: [164, 170],
  clock_settime: [227, 112]
} satisfies { readonly [name: string]: Call }

/**
 * Calls that are reported as missing: their arguments are in memory, where a filter cannot look. Callers fall back to
 * the older call.
 */
const missing = { clone3: [435, 435], openat2: [437, 437] } satisfies { readonly [name: string]: Call }

const family = { unix: 1, inet: 2, inet6: 10, netlink: 16 } as const
const netlinkRoute = 0
/** Allows sockets of the network namespace. Unix sockets are refused: those in the file system belong to the host. */
const socketBody = [
  argument(0),
  jumpEqual(family.inet, 4, 0),
  jumpEqual(family.inet6, 3, 0),
  jumpEqual(family.netlink, 0, 3),
  argument(2),
  jumpEqual(netlinkRoute, 0, 1),
  allow,
  refuse
]
/** Allows pairs of unix sockets, which have no name and so reach nothing outside. */
const socketPairBody = [argument(0), jumpEqual(family.unix, 0, 1), allow, refuse]

const namespaceFlags = 0x10000000 | 0x00020000
const setIdBits = 0o6000
const createFlags = 0o100 | 0o20000000
const terminalInput = 0x5412
const terminalLinux = 0x541c

const refuseBits = (index: number, bits: number) => [argument(index), jumpAnyBit(bits, 0, 1), refuse]
/** Refuses the set-id bits of a mode, which has a meaning only if the call may create a file. */
const refuseOpenMode = (flags: number, mode: number) => [
  argument(flags),
  jumpAnyBit(createFlags, 0, 3),
  argument(mode),
  jumpAnyBit(setIdBits, 0, 1),
  refuse
]

/** Calls that are refused with some arguments. A body ends in a decision or falls through to the next call. */
const inspected: ReadonlyArray<readonly [call: Call, body: ReadonlyArray<Instruction>]> = [
  [[41, 198], socketBody],
  [[53, 199], socketPairBody],
  // ioctl
  [
    [16, 29],
    [argument(1), jumpEqual(terminalInput, 1, 0), jumpEqual(terminalLinux, 0, 1), refuse]
  ],
  // unshare, clone
  [[272, 97], refuseBits(0, namespaceFlags)],
  [[56, 220], refuseBits(0, namespaceFlags)],
  // chmod, fchmod, fchmodat, fchmodat2
  [[90, null], refuseBits(1, setIdBits)],
  [[91, 52], refuseBits(1, setIdBits)],
  [[268, 53], refuseBits(2, setIdBits)],
  [[452, 452], refuseBits(2, setIdBits)],
  // mknod, mknodat
  [[133, null], refuseBits(1, setIdBits)],
  [[259, 33], refuseBits(2, setIdBits)],
  // creat, open, openat
  [[85, null], refuseBits(1, setIdBits)],
  [[2, null], refuseOpenMode(1, 2)],
  [[257, 56], refuseOpenMode(2, 3)]
]

const architectures: { readonly [A in Architecture]: { readonly word: number; readonly index: 0 | 1 } } = {
  x64: { word: 0xc000003e, index: 0 },
  arm64: { word: 0xc00000b7, index: 1 }
}

/** The first number of the x32 calls, a second table of x64 that no list here covers. */
const firstX32 = 0x40000000

/** Returns whether the filter exists for an architecture. */
export const supports = (architecture: string): architecture is Architecture =>
  Object.hasOwn(architectures, architecture)

/** Returns the filter of an architecture, in the bytes that `bwrap --seccomp` reads. */
export const filter = (architecture: Architecture): Uint8Array => {
  const { index, word } = architectures[architecture]
  const onCall = (call: Call, body: ReadonlyArray<Instruction>): ReadonlyArray<Instruction> =>
    call[index] === null ? [] : [jumpEqual(call[index], 0, body.length), ...body]
  return encode([
    // a program of another architecture has other numbers
    architectureWord,
    jumpEqual(word, 1, 0),
    give(action.kill),
    callNumber,
    ...(architecture === "x64" ? [jumpAtLeast(firstX32, 0, 1), refuse] : []),
    // the body has loaded an argument in place of the number
    ...inspected.flatMap(([call, body]) => onCall(call, [...body, callNumber])),
    ...Object.values(missing).flatMap((call) => onCall(call, [give(action.fail(errno.ENOSYS))])),
    ...Object.values(refused).flatMap((call) => onCall(call, [refuse])),
    allow
  ])
}

const encode = (program: ReadonlyArray<Instruction>): Uint8Array => {
  const bytes = new Uint8Array(program.length * 8)
  const view = new DataView(bytes.buffer)
  for (const [index, { code, jumpFalse, jumpTrue, value }] of program.entries()) {
    view.setUint16(index * 8, code, true)
    view.setUint8(index * 8 + 2, jumpTrue)
    view.setUint8(index * 8 + 3, jumpFalse)
    view.setUint32(index * 8 + 4, value >>> 0, true)
  }
  return bytes
}
