import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Stream } from "effect"
import { Agent, Op, Turn } from "@spindle/core"
import type { Input } from "@spindle/core/Input"
import { NestedCalls, type NestedResult } from "@spindle/core/NestedCalls"
import { Processes } from "@spindle/core/Processes"
import { CurrentTurnContext } from "@spindle/core/TurnContext"
import { type CodingTools, JsRepl, type NetworkPolicy, Sandbox } from "../../src/index.ts"
import { carriersOf, directory as scratch } from "../host.ts"
import { host, makeTurn } from "../turn.ts"

/**
 * The calls of a session with a kernel, and what its turn knows. `change` changes what ends the kernel. `denials` are
 * those of its network proxy that no call has taken.
 */
const makeSession = Effect.fnUntraced(function* (
  change: Partial<Processes> = {},
  denials: Array<NetworkPolicy.Denial> = [],
  { directory, sandbox }: Pick<JsRepl.Options, "directory" | "sandbox"> = {}
) {
  const cwd = yield* scratch
  const { started, turn } = yield* makeTurn
  const cleanups = new Set<Parameters<Turn.Turn["onAbort"]>[0]>()
  const images: Array<Input> = []
  const isRunning = yield* Deferred.make<void>()
  let isAborting = false
  const members: Turn.Turn = {
    ...turn,
    session: {
      ...turn.session,
      submit: (submission) => {
        const op = Op.opOf(submission)
        if (op._tag === "Notice") images.push(op.input)
        return Effect.succeed({ _tag: "Queued" } as never)
      }
    },
    process: (spec) =>
      Effect.map(turn.process(spec), (process) => ({
        ...process,
        output: Stream.tap(process.output, () => Deferred.succeed(isRunning, undefined))
      })),
    abortReason: Effect.sync(() => (isAborting ? "Interrupted" : undefined)),
    onAbort: (cleanup) => {
      cleanups.add(cleanup)
      return Effect.succeed(Effect.sync(() => void cleanups.delete(cleanup)))
    }
  }
  const processes = yield* Processes
  const kernels = Layer.provide(
    JsRepl.layer({ cwd, node: process.execPath, directory, sandbox }),
    Layer.merge(
      Layer.succeed(Processes, { ...processes, ...change }),
      Layer.succeed(Sandbox.Sandbox, {
        available: Effect.void,
        isAvailable: () => true,
        takeDenials: () => denials.splice(0)
      })
    )
  )
  const tools = yield* Effect.provide(JsRepl.toolkit, yield* Layer.build(kernels))
  const call = (name: "js_repl" | "js_repl_reset", params: object) =>
    Stream.runCollect(Stream.unwrap(tools.handle(name, params as never))).pipe(
      Effect.map((results) => String(results.at(-1)?.encodedResult)),
      Effect.provideService(Turn.Turn, members)
    )
  /** Runs a cell whose tool calls have these results. */
  const runWith = (calls: NestedCalls["call"], code: string, options: object = {}) =>
    Effect.provideService(call("js_repl", { code, ...options }), NestedCalls, { call: calls })
  return {
    images,
    started,
    runWith,
    run: (code: string, options: object = {}) => call("js_repl", { code, ...options }),
    reset: call("js_repl_reset", {}),
    /** The cleanup that an abort of the turn runs. */
    abort: Effect.suspend(() =>
      Effect.forEach(cleanups, ({ run }) => run({ _tag: "Interrupted" } as never), { discard: true })
    ),
    hasOutput: Deferred.await(isRunning)
  }
})

type Session = Effect.Success<ReturnType<typeof makeSession>>

const withSession = <A, E>(use: (session: Session) => Effect.Effect<A, E>) =>
  Effect.flatMap(makeSession(), use).pipe(Effect.scoped, Effect.provide(host))

describe("js_repl", () => {
  it.live("lists the hosts that a cell did not reach, once, even if it failed", () => {
    const denials: Array<NetworkPolicy.Denial> = []
    const deny = (host: string) => denials.push({ _tag: "Denial", host, port: 443, reason: "NotListed" })
    const line = (host: string) =>
      `The network proxy: ${host}:443 was denied: it is not in the list of allowed hosts.\n`
    return Effect.gen(function* () {
      const { run } = yield* makeSession({}, denials)
      deny("one.example")
      assert.strictEqual(yield* run("1"), `${line("one.example")}1`)
      assert.strictEqual(yield* run("2"), "2")
      deny("two.example")
      assert.match(
        yield* run("throw new Error('fetch failed')"),
        /^The network proxy: two\.example:443 .*\n.*fetch failed/
      )
    }).pipe(Effect.scoped, Effect.provide(host))
  })

  const otherPlace =
    "This turn has another directory or sandbox, so this is a new kernel without the earlier variables."

  it.live("has another kernel in a turn with another sandbox, says so, and keeps it in the turns after it", () =>
    Effect.gen(function* () {
      const { run } = yield* makeSession({}, [], {
        sandbox: ({ sandbox }) => ({ _tag: "ReadOnly", network: sandbox === "network" })
      })
      const runIn = (sandbox: string, code: string) =>
        Effect.provideService(run(code), CurrentTurnContext, () => ({ sandbox }))
      assert.strictEqual(yield* runIn("none", "globalThis.x = 1"), "1")
      assert.strictEqual(yield* runIn("none", "x"), "1")
      assert.strictEqual(yield* runIn("network", "typeof x"), `${otherPlace}\nundefined`)
      assert.strictEqual(yield* runIn("network", "globalThis.x = 2"), "2")
      assert.strictEqual(yield* runIn("network", "x"), "2")
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("starts in the directory of the turn, and has another kernel in a turn with another one", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* scratch, yield* scratch]
      const { run } = yield* makeSession({}, [], { directory: ({ cwd = "" }) => cwd })
      const runIn = (cwd: string, code: string) => Effect.provideService(run(code), CurrentTurnContext, () => ({ cwd }))
      assert.strictEqual(yield* runIn(one, "globalThis.x = process.cwd()"), one)
      assert.strictEqual(yield* runIn(one, "x"), one)
      assert.strictEqual(yield* runIn(other, "[typeof x, process.cwd()].join()"), `${otherPlace}\nundefined,${other}`)
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("keeps variables from call to call, and returns output and the last value", () =>
    withSession(({ run }) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* run("const x = 1; let y = await Promise.resolve(2); x + y"), "3")
        assert.strictEqual(yield* run("const x = 10; x + y"), "12")
        assert.strictEqual(yield* run("function f() { return x * 2 }; f()"), "20")
        assert.strictEqual(yield* run("x = 50; f()"), "100")
        assert.strictEqual(yield* run("class A { #p = 7; get p() { return this.#p } }\nnew A().p"), "7")
        assert.strictEqual(
          yield* run("const { a, b: [c, ...d], e = 5 } = { a: 1, b: [2, 3] }; [a, c, d, e]"),
          "[ 1, 2, [ 3 ], 5 ]"
        )
        assert.strictEqual(
          yield* run("import fs, { readFileSync as r } from 'node:fs'; [typeof fs.statSync, typeof r]"),
          "[ 'function', 'function' ]"
        )
        assert.strictEqual(yield* run("console.log('text', { a: 1 }); undefined"), "text { a: 1 }")
        assert.strictEqual(yield* run("// only a comment"), "The cell has no output.")
      })
    )
  )

  it.live("reports what a cell throws, with its line, and what comes late", () =>
    withSession(({ run }) =>
      Effect.gen(function* () {
        assert.match(yield* run("console.log('before')\n\nnull.x"), /^before\nTypeError: .*\n +at cell-1\.js:3:/)
        assert.strictEqual(yield* run("let broken = ;"), "The cell was not run: Unexpected token (1:13)")
        assert.strictEqual(
          yield* run("1", { timeout_ms: 0 }),
          "The cell was not run: timeout_ms must be greater than 0"
        )
        const rejected = "await new Promise((done) => { Promise.reject(new Error('late')); setImmediate(done) }); 1"
        assert.match(yield* run(rejected), /^unhandled rejection: Error: late[^]*\n1$/)
      })
    )
  )

  it.live("gives the model images, and no other bytes", () =>
    withSession(({ images, run }) =>
      Effect.gen(function* () {
        yield* run("image(Buffer.from('89504e470d0a1a0a', 'hex'))")
        assert.deepStrictEqual(images, [[{ _tag: "Image", url: "data:image/png;base64,iVBORw0KGgo=" }]])
        assert.include(yield* run("image(Buffer.from('text'))"), "An image was not shown: it is not a PNG")
        assert.match(yield* run("image(Buffer.alloc(5000000))"), /RangeError: an image has at most 4194304 bytes/)
        assert.strictEqual(images.length, 1)
      })
    )
  )

  it.live("ends a cell that takes too long with its kernel, and starts a new one", () =>
    withSession(({ run, started }) =>
      Effect.gen(function* () {
        assert.strictEqual(
          yield* run("var kept = 1; while (true) {}", { timeout_ms: 1 }),
          "The cell took too long. The kernel was reset; its variables are gone."
        )
        assert.deepStrictEqual(carriersOf(started[0]!), [])
        assert.strictEqual(yield* run("typeof kept"), "undefined")
        assert.strictEqual(started.length, 2)
      })
    )
  )

  it.live("is reset when the turn in which it runs is interrupted, and only then", () =>
    withSession(({ abort, hasOutput, run, started }) =>
      Effect.gen(function* () {
        const running = yield* Effect.forkChild(
          run("console.log('on'); await new Promise(() => setTimeout(() => {}, 1e9))")
        )
        yield* hasOutput
        yield* abort
        assert.include(yield* Fiber.join(running), "The kernel has ended. Its variables are gone.")
        assert.deepStrictEqual(carriersOf(started[0]!), [])
        yield* run("var kept = 1")
        // no cell runs in the turn that is aborted
        yield* abort
        assert.strictEqual(yield* run("kept"), "1")
        assert.strictEqual(started.length, 2)
      })
    )
  )

  it.live("says in the log that an interrupted kernel could not be reset, and lets the abort finish", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => void logged.push(message))
      const { abort, hasOutput, run } = yield* makeSession({ end: () => Effect.die(new Error("no such group")) })
      yield* Effect.gen(function* () {
        const running = yield* Effect.forkChild(run("console.log('on'); await new Promise(() => {})"))
        yield* hasOutput
        yield* abort
        assert.include(JSON.stringify(logged), "the JavaScript kernel of an interrupted turn could not be reset")
        yield* Fiber.interrupt(running)
      }).pipe(Effect.provide(Logger.layer([logger])))
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("leaves nothing running when its call is interrupted or it is reset", () =>
    withSession(({ hasOutput, reset, run, started }) =>
      Effect.gen(function* () {
        const running = yield* Effect.forkChild(run("console.log('on'); while (true) {}"))
        yield* hasOutput
        yield* Fiber.interrupt(running)
        assert.deepStrictEqual(carriersOf(started[0]!), [])
        yield* run("var kept = 1")
        assert.strictEqual(yield* reset, "The kernel was reset.")
        assert.deepStrictEqual(carriersOf(started[1]!), [])
        assert.strictEqual(yield* run("typeof kept"), "undefined")
      })
    )
  )

  it.live("survives a cell that ends the kernel, and output that a child of it writes", () =>
    withSession(({ run }) =>
      Effect.gen(function* () {
        const child = "require('node:child_process').execSync('echo from a child', { stdio: 'inherit' }); 1"
        assert.strictEqual(yield* run(child), "from a child\n1")
        const exit = "require('node:process').exit(3)"
        assert.strictEqual(yield* run(exit), "The kernel has ended. Its variables are gone.")
        assert.strictEqual(yield* run("1 + 1"), "2")
      })
    )
  )

  it.live("calls the other tools of the turn, and gets their outputs and failures", () =>
    withSession(({ run, runWith }) =>
      Effect.gen(function* () {
        const made: Array<unknown> = []
        const calls: NestedCalls["call"] = (name, params) =>
          Effect.sync((): NestedResult => {
            made.push([name, params])
            if (name === "denied") return { status: "denied", output: "rejected by user" }
            if (name === "list") return { status: "completed", output: { files: ["a"] } }
            return name === "broken" ? { status: "failed", output: { code: 1 } } : { status: "completed" }
          })
        assert.strictEqual(
          yield* runWith(
            calls,
            `const { files } = await codex.tool("list", { path: "." })
            const denied = await codex.tool("denied").catch((error) => error instanceof Error && error.message)
            const broken = await codex.tool("broken", "a text").catch((error) => error.message)
            ;[files, denied, broken, await codex.tool("quiet")]`
          ),
          `[ [ 'a' ], 'rejected by user', '{"code":1}', undefined ]`
        )
        assert.deepStrictEqual(made, [
          ["list", { path: "." }],
          ["denied", {}],
          ["broken", { input: "a text" }],
          ["quiet", {}]
        ])
        for (const name of ["js_repl", "js_repl_reset"]) {
          assert.include(yield* runWith(calls, `await codex.tool("${name}")`), `Error: a cell cannot call ${name}`)
        }
        assert.lengthOf(made, 4)
        assert.include(yield* run(`await codex.tool("list")`), "Error: no tool can be called here")
      })
    )
  )

  it.live("waits for the calls of a cell even if the cell does not, and makes none when no cell runs", () =>
    withSession(({ run, runWith }) =>
      Effect.gen(function* () {
        const names: Array<string> = []
        const calls: NestedCalls["call"] = (name) =>
          Effect.as(
            Effect.sync(() => void names.push(name)),
            { status: "completed", output: name }
          )
        yield* runWith(calls, `codex.tool("first").then(() => codex.tool("second")); 1`)
        assert.deepStrictEqual(names, ["first", "second"])
        // until the timer runs between two cells
        yield* run(`const timer = setInterval(() => {
          try {
            codex.tool("late").catch(() => {})
          } catch (error) {
            clearInterval(timer)
            globalThis.late = error.message
          }
        }, 1)`)
        const late = Effect.repeat(run("globalThis.late"), { while: (text) => text === "The cell has no output." })
        assert.strictEqual(yield* late, "a tool can be called only while a cell runs")
      })
    )
  )

  it.live("bounds the tool calls of a cell, and their arguments", () =>
    withSession(({ runWith }) =>
      Effect.gen(function* () {
        let count = 0
        const calls: NestedCalls["call"] = () =>
          Effect.as(
            Effect.sync(() => count++),
            { status: "completed" }
          )
        assert.include(
          yield* runWith(calls, `for (let n = 0; n < 1001; n++) await codex.tool("x")`),
          "Error: a cell makes at most 1000 tool calls"
        )
        assert.strictEqual(count, 1_000)
        const long = `await codex.tool("x", { text: "x".repeat(1048576) })`
        assert.include(
          yield* runWith(calls, long),
          "RangeError: the arguments of a tool have at most 1048576 characters"
        )
        assert.include(
          yield* runWith(calls, `await codex.tool("x", () => {})`),
          "TypeError: the arguments of a tool are"
        )
        assert.strictEqual(count, 1_000)
      })
    )
  )

  it.live("interrupts the calls of a cell that ends its kernel", () =>
    withSession(({ runWith }) =>
      Effect.gen(function* () {
        let interrupted = 0
        const calls: NestedCalls["call"] = (name) =>
          name === "returns"
            ? Effect.succeed({ status: "completed" })
            : Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
        // the first call runs when the second one has returned
        const code = `codex.tool("hangs"); await codex.tool("returns"); require("node:process").exit(0)`
        assert.strictEqual(yield* runWith(calls, code), "The kernel has ended. Its variables are gone.")
        assert.strictEqual(interrupted, 1)
      })
    )
  )

  it("needs the approval of a command, with its code as the question", () => {
    const params = { code: "1" }
    const rulingOf = (approval: CodingTools.ApprovalMode) => {
      const { approval: decide } = JsRepl.policies({ approval, cwd: "/w" }).js_repl
      const ruling = typeof decide === "function" ? decide(params, {}) : decide
      return typeof ruling === "string" ? ruling : ruling.permission
    }
    const inSandbox = { policy: "on-request", containment: "sandbox" } as const
    assert.strictEqual(rulingOf(inSandbox), "allow")
    assert.strictEqual(rulingOf({ ...inSandbox, containment: "missing" }), "ask")
    assert.strictEqual(rulingOf({ ...inSandbox, policy: "untrusted" }), "ask")
    assert.strictEqual(rulingOf("ask"), "ask")
    const policies = JsRepl.policies({ approval: "ask", cwd: "/w" })
    const { display, payload } = policies.js_repl
    assert.deepStrictEqual(payload?.(params, {}), { command: "1", cwd: "/w" })
    assert.deepStrictEqual(display?.(params, {}), { _tag: "Other", title: "run JavaScript" })
    Agent.make({ toolkit: JsRepl.toolkit, approvals: policies })
  })
})
