/** The command line of `bwrap` for a command, as a pure function. */
import { bridge } from "./bridge.ts"

/** A mount over the read-only file system of the host. */
export interface Mount {
  readonly path: string
  /** `placeholder` covers a folder that exists only for the time of the command: it is empty and read-only. */
  readonly kind: (typeof kinds)[number]
  /** True if the path needs no mount if it has been removed by the time of the mount, as by another program. */
  readonly mayVanish?: boolean
}

/** The features that this host allows; see `probe`. */
export interface Support {
  /** The absolute path of the program. */
  readonly program: string
  /** True if it makes a user namespace. A privileged program can do without. */
  readonly userNamespace: boolean
  /** True if it can forbid further user namespaces. The filter forbids them, too. */
  readonly disablesUserNamespaces: boolean
  /**
   * True if it can mount a `/proc` for the new pid namespace. In a container whose `/proc` is masked it cannot, and
   * commands see the command lines of the host.
   */
  readonly ownProc: boolean
}

/**
 * A command that reaches only a proxy: on a port of a separate loopback address, from which Node passes it to a socket.
 */
export interface Proxied {
  readonly node: string
  readonly socket: string
  readonly port: number
}

/** The command to confine. */
export interface Confined {
  readonly support: Support
  readonly mounts: ReadonlyArray<Mount>
  /** True if it reaches the network of the host, or the proxy that lets it reach only the hosts of a list. */
  readonly network: boolean | Proxied
  /** The most processes; undefined for any number. */
  readonly processes?: number | undefined
  readonly cwd: string
  readonly command: ReadonlyArray<string>
}

/** Lines of the shell outside, before and after the command. */
export interface Lines {
  readonly first: string
  readonly last: string
}

/** The descriptor that `bwrap` reads the filter from. */
const filterDescriptor = "3"

/** The signals that end or stop a command from outside. */
const signals = ["HUP", "INT", "QUIT", "TERM", "TSTP"] as const

/**
 * Passes the filter, which is its first argument as octal escapes, to `bwrap` in a pipe: a file would need a place that
 * no command can write, and a terminal passes no descriptors. `bwrap` ignores the signals that end a group, because its
 * death kills everything inside at once, and no command could clean up. Standard input goes through. This shell is not
 * confined: it runs nothing that it would have to find in the path.
 */
const script = ({ first, last }: Lines) =>
  [
    `trap "" ${signals.join(" ")}`,
    first,
    `{ printf "$0" | { exec ${filterDescriptor}<&0 <&4 4<&-; exec "$@"; }; } 4<&0`,
    "code=$?",
    last,
    "exit $code"
  ].join("\n")

const octal = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("")

const noLines: Lines = { first: ":", last: ":" }

/** Returns the command that runs a confined one with this filter. */
export const wrap = (confined: Confined, filter: Uint8Array, lines = noLines): ReadonlyArray<string> => [
  "/bin/sh",
  "-c",
  script(lines),
  octal(filter),
  ...(typeof confined.network === "boolean" ? [] : bridgeWords(confined.support, confined.network)),
  confined.support.program,
  ...args(confined)
]

/**
 * Returns the words before the command of a sandbox that reaches only a proxy. An outer `bwrap` makes the network
 * namespace. In it runs Node, which no filter keeps from unix sockets, and the sandbox is its child: in a pid namespace
 * further in, so that no command reaches Node.
 */
const bridgeWords = ({ program, userNamespace }: Support, { node, port, socket }: Proxied): ReadonlyArray<string> => [
  program,
  "--die-with-parent",
  ...(userNamespace ? ["--unshare-user"] : []),
  "--unshare-net",
  "--dev-bind",
  "/",
  "/",
  "--",
  node,
  "-e",
  bridge,
  socket,
  String(port),
  filterDescriptor,
  // a child of Node ignores no signal
  "/bin/sh",
  "-c",
  `trap "" ${signals.join(" ")}; exec "$@"`,
  "sh"
]

/** Returns the arguments of `bwrap`. */
export const args = ({ command, cwd, mounts, network, processes, support }: Confined): ReadonlyArray<string> => [
  // as SIGKILL of this program ends `bwrap`, the init of the namespace ends with it, and everything in there
  "--die-with-parent",
  ...(support.userNamespace ? ["--unshare-user"] : []),
  ...(support.disablesUserNamespaces ? ["--disable-userns"] : []),
  "--unshare-pid",
  "--unshare-ipc",
  "--unshare-uts",
  "--unshare-cgroup-try",
  ...(network === false ? ["--unshare-net"] : []),
  "--cap-drop",
  "ALL",
  "--ro-bind",
  "/",
  "/",
  "--dev",
  "/dev",
  ...sharedMemoryOf(cwd).flatMap((path) => ["--ro-bind", path, path]),
  // root may write /proc/sys without any capability: `core_pattern` would run a program on the host
  ...(support.ownProc ? ["--proc", "/proc", "--remount-ro", "/proc"] : ["--ro-bind", "/proc", "/proc"]),
  ...sortMounts(mounts).flatMap(mountArgs),
  "--chdir",
  cwd,
  "--seccomp",
  filterDescriptor,
  "--",
  ...(processes === undefined || !support.userNamespace ? [] : limitWords(processes)),
  "/usr/bin/env",
  `--default-signal=${signals.join(",")}`,
  ...command
]

/**
 * Returns the directory in shared memory that has the working directory, such as `/dev/shm/project`. Without a mount a
 * command would not find it: the `/dev` of a sandbox is its own, so that its shared memory is private.
 */
const sharedMemoryOf = (cwd: string): ReadonlyArray<string> =>
  /^\/dev\/shm(?:\/[^/]+)?(?=\/|$)/.exec(cwd)?.slice(0, 1) ?? []

/**
 * Sets the resource limit. The kernel counts the processes of a user namespace by themselves; without one it would
 * count all of the user. Shells call the option by two names.
 */
const limitWords = (processes: number): ReadonlyArray<string> => [
  "/bin/sh",
  "-c",
  '{ ulimit -u "$0" || ulimit -p "$0"; } 2>/dev/null || exit 126; exec "$@"',
  String(processes)
]

/** The kinds of mounts, the narrowest last. */
const kinds = ["writable", "readOnly", "placeholder"] as const

/**
 * Sorts directories before their content, and of several mounts of one path keeps the narrowest, and the one that must
 * hold.
 */
const sortMounts = (mounts: ReadonlyArray<Mount>): ReadonlyArray<Mount> => {
  const narrowest = new Map<string, Mount>()
  for (const mount of mounts) {
    const other = narrowest.get(mount.path)
    if (other === undefined || rank(other) < rank(mount)) narrowest.set(mount.path, mount)
  }
  return Array.from(narrowest.values()).sort((one, two) => (one.path < two.path ? -1 : 1))
}

const rank = ({ kind, mayVanish }: Mount): number => 2 * kinds.indexOf(kind) + (mayVanish === true ? 0 : 1)

const mountArgs = ({ kind, mayVanish, path }: Mount): ReadonlyArray<string> => {
  const suffix = mayVanish === true ? "-try" : ""
  switch (kind) {
    case "writable":
      return [`--bind${suffix}`, path, path]
    case "readOnly":
      return [`--ro-bind${suffix}`, path, path]
    case "placeholder":
      return ["--perms", "0555", "--tmpfs", path, "--remount-ro", path]
  }
}
