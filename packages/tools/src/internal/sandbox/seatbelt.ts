/** The command line of `sandbox-exec` on macOS for a command, as a pure function. */
import { protectedPathsIn, type SandboxPolicy } from "../../SandboxPolicy.ts"

/** The program of the system; another one of that name is not trusted. */
export const program = "/usr/bin/sandbox-exec"

type Confining = Exclude<SandboxPolicy, { readonly _tag: "FullAccess" }>

/** Returns the command that runs a confined one; the paths of the policy are real. `port` is that of its proxy. */
export const wrap = (policy: Confining, command: ReadonlyArray<string>, port?: number): ReadonlyArray<string> => [
  program,
  "-p",
  profile(policy, port),
  "--",
  ...command
]

/** Returns the profile of a policy. A later rule wins over an earlier one. */
export const profile = (policy: Confining, port?: number): string => {
  const writable = policy._tag === "ReadOnly" ? [] : [...policy.roots, ...policy.scratch]
  const roots = policy._tag === "ReadOnly" ? [] : policy.roots
  const protectedPaths = [
    ...roots.flatMap(protectedPathsIn),
    ...(policy._tag === "ReadOnly" ? [] : policy.protectedPaths)
  ]
  return [
    "(version 1)",
    "(deny default)",
    "(allow process-exec)",
    "(allow process-fork)",
    "(allow process-info* (target same-sandbox))",
    "(allow signal (target same-sandbox))",
    "(allow sysctl-read)",
    "(allow file-read*)",
    '(allow file-ioctl (literal "/dev/tty"))',
    '(allow file-write-data (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty"))',
    "(allow ipc-posix-sem)",
    "(allow ipc-posix-shm)",
    '(allow mach-lookup (global-name "com.apple.system.opendirectoryd.libinfo"))',
    "(allow pseudo-tty)",
    ...writable.map((path) => `(allow file-write* (subpath ${quote(path)}))`),
    ...protectedPaths.map((path) => `(deny file-write* (subpath ${quote(path)}))`),
    // repositories below the roots, which may be made while the command runs
    ...(writable.length === 0 ? [] : ['(deny file-write* (regex #"/\\.git(/|$)"))']),
    ...(policy.network === true ? network : port === undefined ? [] : proxyRules(port))
  ].join("\n")
}

const network = [
  "(allow network-outbound (remote ip))",
  "(allow network-inbound (local ip))",
  "(allow network-bind (local ip))",
  "(allow system-socket)",
  '(allow mach-lookup (global-name "com.apple.SystemConfiguration.configd") (global-name "com.apple.trustd.agent"))'
]

/** Allows only the proxy, which is on a loopback address of the host. */
const proxyRules = (port: number) => [
  `(allow network-outbound (remote ip "localhost:${port}"))`,
  "(allow system-socket)"
]

/** A string of the profile. */
const quote = (path: string): string => `"${path.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`
