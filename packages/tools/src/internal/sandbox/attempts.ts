/** Ways out of a sandbox, as shell commands. Each is harmless where it works: it changes a scratch directory. */

/** The scratch directory and its content. Paths have no character that a shell would read. */
export interface Places {
  /** The working directory: a writable root with a repository, and with another one in `sub`. */
  readonly workspace: string
  /** A writable root without a repository. */
  readonly plain: string
  /** Outside the roots. It has a file `secret`, and the workspace has a link to it. */
  readonly outside: string
  /** The pid of a process outside. */
  readonly victim: number
  /** The port of a server outside. It also listens at `outside/socket` and at the abstract name `tag`. */
  readonly port: number
  /** A word in the command line of everything that an attempt leaves running. */
  readonly tag: string
}

/** One attempt to leave the sandbox. */
export interface Attempt {
  readonly name: string
  readonly script: (places: Places) => string
  /**
   * The text that the command prints when it is refused; undefined for a command that works, but must leave no process.
   */
  readonly error: RegExp | undefined
  /** True if it is about an interface that only Linux has. */
  readonly isLinux: boolean
  /** True if the command runs until it is ended, which happens once it has printed `ready`. */
  readonly isEndless?: boolean
  /** The number of processes that the command may have. */
  readonly processes?: number
  /** True if the command reaches the network through a proxy, which lets it reach no host that exists. */
  readonly isProxied?: boolean
}

const readOnly = /read-only file system|operation not permitted/i
const refused = /operation not permitted/i
const busy = /device or resource busy|read-only file system|operation not permitted/i
const unreachable = /connection refused|network is unreachable|operation not permitted/i
const invisible = /no such (file|process)|permission denied|operation not permitted/i

/** A script in Perl, which has every system call and which most hosts have. */
const perl = (source: string, args: ReadonlyArray<string | number> = []): string =>
  `exec perl -e '${source}' ${args.join(" ")}`

/** A call by its numbers on x64 and arm64. */
const systemCall = (x64: number, arm64: number, args: string, values: ReadonlyArray<string> = []): string =>
  perl(`my $n = \`uname -m\` =~ /x86_64/ ? ${x64} : ${arm64}; syscall($n, ${args}) == 0 or die "$!\\n"`, values)

const file = (name: string, script: Attempt["script"], error = readOnly): Attempt => ({
  name,
  script,
  error,
  isLinux: false
})

const kernel = (name: string, script: Attempt["script"], error = refused): Attempt => ({
  name,
  script,
  error,
  isLinux: true
})

const makeEndless = (name: string, script: Attempt["script"]): Attempt => ({
  name,
  script,
  error: undefined,
  isLinux: true,
  isEndless: true
})

const daemon = (tag: string): string =>
  `perl -e 'use POSIX; exit if fork; POSIX::setsid(); exit if fork; %ENV = (); exec "perl", "-e", "sleep 1000", "${tag}"'`

const connectPort: Attempt["script"] = ({ port }) =>
  perl(
    'use Socket; socket(my $s, AF_INET, SOCK_STREAM, 0) or die "$!\\n"; connect($s, pack_sockaddr_in(shift, INADDR_LOOPBACK)) or die "$!\\n"',
    [port]
  )

const connectSocket: Attempt["script"] = ({ outside }) =>
  perl(
    'use Socket; socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die "$!\\n"; connect($s, pack_sockaddr_un(shift)) or die "$!\\n"',
    [`${outside}/socket`]
  )

/** Asks the proxy of the environment for a tunnel, and fails with the line that refuses it. */
const tunnel = (target: string): string =>
  perl(
    'use IO::Socket::INET; my $s = IO::Socket::INET->new($ENV{HTTP_PROXY} =~ m{//([^/]+)}) or die "$!\\n"; print $s "CONNECT $ARGV[0] HTTP/1.1\\r\\n\\r\\n"; my $l = <$s>; $l =~ / 200 / or die "$l\\n"',
    [target]
  )

/** The attempts of commands that reach the network through a proxy. */
export const proxied: ReadonlyArray<Attempt> = [
  file("reach the host past the network proxy", connectPort, unreachable),
  file("reach the host through the network proxy", ({ port }) => tunnel(`127.0.0.1:${port}`), /403 Forbidden/),
  file("reach a host that is not listed", () => tunnel("example.com:443"), /403 Forbidden/),
  file("connect to a unix socket past the network proxy", connectSocket, refused)
].map((attempt) => ({ ...attempt, isProxied: true }))

/** Every attempt, in the order of the table that people see. */
export const attempts: ReadonlyArray<Attempt> = [
  file("write a file outside", ({ outside }) => `echo x > ${outside}/new`),
  file("write through a symbolic link", () => "echo x > link/new"),
  file(
    "write through a hard link",
    ({ outside }) => `ln ${outside}/secret hard && echo x >> hard`,
    /cross-device|operation not permitted/i
  ),
  file("write through ..", () => "echo x > ../outside/new"),
  kernel("write through /proc/self/root", ({ outside }) => `echo x > /proc/self/root${outside}/new`, readOnly),
  kernel(
    "write through the root of a process outside",
    ({ outside, victim }) => `echo x > /proc/${victim}/root${outside}/new`,
    /no such file|nonexistent|permission denied|read-only file system|operation not permitted/i
  ),
  file("add a git hook", () => "echo x > .git/hooks/pre-commit"),
  file("change the settings of git", () => "echo x >> .git/config"),
  file("move .git away", () => "mv .git free/moved", busy),
  file("add a hook to a repository below", () => "echo x > sub/.git/hooks/pre-commit"),
  kernel("move a repository below away", () => "mv sub free/moved", busy),
  file("make .git where there is none", ({ plain }) => `mkdir -p ${plain}/.git/hooks && echo x > ${plain}/.git/config`),
  file("write settings of agents", () => "mkdir -p .codex && echo x > .codex/config.toml"),
  kernel("make a file set-uid", () => "cp /bin/sh free/shell && chmod 4755 free/shell"),
  kernel("create a file set-uid", () =>
    perl('use Fcntl; sysopen(my $f, "free/created", O_CREAT | O_WRONLY, 04755) or die "$!\\n"')
  ),
  kernel("make a device", () => "mknod free/disk b 7 0"),
  file("connect to the host over TCP", connectPort, unreachable),
  file("connect to a unix socket", connectSocket, refused),
  kernel("connect to an abstract unix socket", ({ tag }) =>
    perl(
      'use Socket; socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die "$!\\n"; connect($s, pack_sockaddr_un("\\0" . shift)) or die "$!\\n"',
      [tag]
    )
  ),
  kernel("open a socket to the hypervisor", () => perl('socket(my $s, 40, 1, 0) or die "$!\\n"')),
  kernel("open a netlink socket for kernel events", () => perl('socket(my $s, 16, 3, 15) or die "$!\\n"')),
  kernel("kill a process outside", ({ victim }) => `kill -9 ${victim}`, invisible),
  kernel("trace a process outside", ({ victim }) => systemCall(101, 117, `16, ${victim}, 0, 0`), invisible),
  kernel("read the environment of a process outside", ({ victim }) => `cat /proc/${victim}/environ`, invisible),
  kernel("make a user namespace", () => systemCall(272, 97, "0x10000000")),
  kernel("make a mount namespace", () => systemCall(272, 97, "0x20000")),
  kernel("make a namespace by clone", () => systemCall(56, 220, "0x10000011, 0, 0, 0, 0")),
  kernel("mount a file system", ({ outside }) => systemCall(165, 40, "@ARGV, 0, 0", ["none", outside, "tmpfs"])),
  kernel("unmount a protection", ({ workspace }) => systemCall(166, 39, "@ARGV, 2", [`${workspace}/.git`])),
  kernel(
    "change a setting of the kernel",
    () => "cat /proc/sys/kernel/core_pattern > /proc/sys/kernel/core_pattern",
    /read-only file system|permission denied|operation not permitted/i
  ),
  kernel(
    "make a control group",
    ({ tag }) => `mkdir /sys/fs/cgroup/${tag} && rmdir /sys/fs/cgroup/${tag}`,
    /read-only|permission denied|no such file/i
  ),
  kernel("type into the terminal", () => perl('my $c = "x"; ioctl(STDERR, 0x5412, $c) or die "$!\\n"')),
  {
    ...kernel(
      "start more processes than the limit",
      () => perl('for (1 .. 200) { defined(my $p = fork) or die "$!\\n"; $p or (sleep 10, exit) }'),
      /resource temporarily unavailable/i
    ),
    processes: 100
  },
  { ...kernel("leave a daemon behind", ({ tag }) => `${daemon(tag)}; sleep 0.1`), error: undefined },
  makeEndless("leave a daemon behind when ended", ({ tag }) => `${daemon(tag)}; echo ready; exec sleep 1000`),
  makeEndless("survive by many processes", ({ tag }) =>
    perl('$SIG{TERM} = q(IGNORE); $| = 1; for (1 .. 100) { fork or (sleep 1000, exit) } print "ready\n"; sleep 1000', [
      tag
    ])
  )
]

/** The server outside, in Perl. It prints its port and writes a line to the file `heard` for each connection. */
export const server = [
  "use Socket; $| = 1;",
  "my ($dir, $tag) = @ARGV;",
  "my @all = map { socket(my $s, $_, SOCK_STREAM, 0) or die; $s } (AF_INET, AF_UNIX, AF_UNIX);",
  'bind($all[0], pack_sockaddr_in(0, INADDR_LOOPBACK)) or die; bind($all[1], pack_sockaddr_un("$dir/socket")) or die;',
  'bind($all[2], pack_sockaddr_un($^O eq "linux" ? "\\0$tag" : "$dir/other")) or die;',
  "listen($_, 5) or die for @all;",
  'print((unpack_sockaddr_in(getsockname($all[0])))[0], "\\n");',
  "my $set = q(); vec($set, fileno($_), 1) = 1 for @all;",
  'while (select(my $ready = $set, undef, undef, undef)) { for (@all) { next unless vec($ready, fileno($_), 1); accept(my $c, $_); open(my $f, ">>", "$dir/heard"); print $f "x\\n" } }'
].join(" ")
