/** The circumstances of turns, and inputs that change them, with a scripted model server. */
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import type { SessionId } from "@spindle/core/Ids"
import type { ModelRequest } from "@spindle/core/Model"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type { TurnContext } from "@spindle/core/TurnContext"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Effect, Stream } from "effect"
import * as App from "../../src/App.ts"
import * as Exec from "../../src/Exec.ts"
import * as Instructions from "../../src/Instructions.ts"
import type { MakeModel } from "../../src/Models.ts"
import { approvalPolicies, sandboxModes, type Settings } from "../../src/Settings.ts"
import * as TurnContexts from "../../src/settings/TurnContexts.ts"
import { openSession, platform, world } from "../fixtures/world.ts"

const scoped = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.scoped(effect).pipe(Effect.provide(platform))
const said = (text: string) => ({ events: [{ text }] })
const approvals = { decide: () => Effect.never }

describe("make", () => {
  it.live("names the form of the answer, and the day", () =>
    scoped(
      Effect.gen(function* () {
        const { cwd, settings } = yield* world({}, [
          ["model_reasoning_effort", "low"],
          ["model_reasoning_summary", "auto"]
        ])
        const output = { name: "answer", schema: { type: "object" } }
        const now = Date.UTC(2026, 10, 30, 12)
        assert.deepStrictEqual(TurnContexts.make({ cwd, settings, output }, now), {
          provider: "openai",
          model: settings.model,
          effort: "low",
          summary: "auto",
          approvalPolicy: "on-request",
          sandbox: "read-only",
          cwd,
          output: { type: "object" },
          date: Instructions.dayOf(now)
        })
      })
    )
  )
})

describe("an input that changes the context", () => {
  it.live("J3 is sent to another model from then on, after a resume as well, and changes nothing else", () =>
    scoped(
      Effect.gen(function* () {
        const at = yield* world({ turns: [said("one"), said("two"), said("three")] })
        const events: Array<SessionEvent> = []
        const open = (isResumed: boolean) =>
          openSession(at, {
            isResumed,
            observer: { onEvent: (_, event) => void events.push(event) }
          })
        yield* Effect.gen(function* () {
          const { session } = yield* open(false)
          yield* session.submit(Op.userInput("one"))
          yield* session.awaitIdle
          yield* session.submit(
            Op.userInput("two", { context: { model: "other", effort: "high", summary: "concise" } })
          )
          yield* session.awaitIdle
          const receipt = yield* session.submit(Op.userInput("no", { context: { date: "2026-01-01" } }))
          assert.deepInclude(receipt, {
            reason: {
              _tag: "InvalidContext",
              message:
                "an input cannot change date, only model, effort, summary, approvalPolicy, sandbox, cwd and output"
            }
          })
        }).pipe(Effect.scoped, Effect.provide(at.layer))
        yield* Effect.gen(function* () {
          const { session } = yield* open(true)
          yield* session.submit(Op.userInput("three"))
          yield* session.awaitIdle
        }).pipe(Effect.scoped, Effect.provide(at.layer))
        assert.deepStrictEqual(
          at.server.requests.map(({ body }) => {
            const { effort, summary } = (body["reasoning"] ?? {}) as { effort?: string; summary?: string }
            return [body["model"], effort, summary]
          }),
          [
            [at.settings.model, undefined, undefined],
            ["other", "high", "concise"],
            ["other", "high", "concise"]
          ]
        )
        const models = events.flatMap((event) => (event._tag === "ModelRequested" ? [event.model] : []))
        assert.deepStrictEqual(models, [at.settings.model, "other", "other"])
        const contexts = events.flatMap((event) => (event._tag === "TurnContextChanged" ? [event.context] : []))
        assert.deepStrictEqual(
          contexts.map(({ effort, model, summary }) => [model, effort, summary]),
          [
            [at.settings.model, undefined, undefined],
            ["other", "high", "concise"]
          ]
        )
      })
    )
  )

  it.live("A4 J3 changes the approval policy and the sandbox of its turn and later ones, after a resume as well", () =>
    scoped(
      Effect.gen(function* () {
        const patch = (name: string) => ({
          events: [
            { call: "apply_patch", args: { input: `*** Begin Patch\n*** Add File: ${name}\n+x\n*** End Patch` } }
          ]
        })
        const command = { events: [{ call: "exec_command", args: { cmd: "echo x > by-command" } }] }
        const calls = [patch("full"), patch("asked"), command, patch("read-only"), patch("resumed"), patch("widened")]
        const turns = calls.flatMap((call) => [call, said("done")])
        const at = yield* world({ turns }, [["sandbox_mode", "danger-full-access"]])
        const events: Array<SessionEvent> = []
        const asked: Array<string | undefined> = []
        const run = (isResumed: boolean, inputs: ReadonlyArray<TurnContext | undefined>) =>
          Effect.gen(function* () {
            const { session } = yield* openSession(at, {
              isResumed,
              approvals: {
                decide: ({ tool }) => {
                  asked.push(tool)
                  return Effect.succeed({ _tag: "Denied" })
                }
              },
              observer: { onEvent: (_, event) => void events.push(event) }
            })
            for (const context of inputs) {
              yield* session.submit(Op.userInput("go", { context }))
              yield* session.awaitIdle
            }
          }).pipe(Effect.scoped, Effect.provide(at.layer))
        const narrow = { approvalPolicy: "never", sandbox: "read-only" }
        const full = { approvalPolicy: "on-request", sandbox: "danger-full-access" }
        yield* run(false, [undefined, { approvalPolicy: "untrusted" }, narrow, undefined])
        yield* run(true, [undefined, full])
        assert.deepStrictEqual(readdirSync(at.cwd).toSorted(), ["full", "widened"])
        assert.deepStrictEqual(asked, ["apply_patch"])
        const contexts = events.flatMap((event) => (event._tag === "TurnContextChanged" ? [event.context] : []))
        assert.deepStrictEqual(
          contexts.map(({ approvalPolicy, sandbox }) => ({ approvalPolicy, sandbox })),
          [full, { ...full, approvalPolicy: "untrusted" }, narrow, full]
        )
        // the model learns of it
        const inputs = at.server.requests.map(({ body }) => JSON.stringify((body["input"] as Array<unknown>).slice(-3)))
        assert.include(inputs[4], "<sandbox_mode>read-only</sandbox_mode>")
        assert.include(inputs[4], "<approval_policy>never</approval_policy>")
      })
    )
  )
})

describe("an input that names a directory", () => {
  const command = (cmd: string, workdir?: string) => ({
    events: [{ call: "exec_command", args: { cmd, login: false, ...(workdir === undefined ? {} : { workdir }) } }]
  })
  const patch = (name: string) => ({
    events: [{ call: "apply_patch", args: { input: `*** Begin Patch\n*** Add File: ${name}\n+x\n*** End Patch` } }]
  })

  it.live("J3 lets its turn and later ones start there, after a resume as well, until an input names another one", () =>
    scoped(
      Effect.gen(function* () {
        const calls = [command("pwd > ../where"), patch("made"), command("pwd > here"), patch("back")]
        const turns = calls.flatMap((call) => [call, said("done")])
        const at = yield* world({ turns }, [["sandbox_mode", "danger-full-access"]])
        const sub = join(at.cwd, "sub")
        mkdirSync(sub)
        writeFileSync(join(at.cwd, "AGENTS.md"), "Of the project.")
        mkdirSync(join(at.cwd, ".git"))
        writeFileSync(join(sub, "AGENTS.md"), "Of the part.")
        mkdirSync(at.settings.configDirectory, { recursive: true })
        const hooks = { Stop: [{ hooks: [{ type: "command", command: "cat > stop.json" }] }] }
        writeFileSync(join(at.settings.configDirectory, "hooks.json"), JSON.stringify({ hooks }))
        const events: Array<SessionEvent> = []
        const run = (isResumed: boolean, inputs: ReadonlyArray<TurnContext | undefined>) =>
          Effect.gen(function* () {
            const { session } = yield* openSession(at, {
              isResumed,
              observer: { onEvent: (_, event) => void events.push(event) }
            })
            for (const context of inputs) {
              yield* session.submit(Op.userInput("go", { context }))
              yield* session.awaitIdle
            }
          }).pipe(Effect.scoped, Effect.provide(at.layer))
        yield* run(false, [{ cwd: sub }, undefined])
        yield* run(true, [undefined])
        // hooks run where they were trusted, and learn where the turn is
        assert.strictEqual(JSON.parse(readFileSync(join(at.cwd, "stop.json"), "utf8")).cwd, sub)
        yield* run(true, [{ cwd: at.cwd }])
        assert.strictEqual(readFileSync(join(at.cwd, "where"), "utf8"), `${sub}\n`)
        assert.strictEqual(readFileSync(join(sub, "here"), "utf8"), `${sub}\n`)
        assert.deepStrictEqual(readdirSync(sub).toSorted(), ["AGENTS.md", "here", "made"])
        assert.includeMembers(readdirSync(at.cwd), ["back", "sub", "where"])
        const contexts = events.flatMap((event) => (event._tag === "TurnContextChanged" ? [event.context.cwd] : []))
        assert.deepStrictEqual(contexts, [sub, at.cwd])
        const sent = at.server.requests.map(({ body }) => JSON.stringify(body["input"]))
        assert.include(sent[0], `<cwd>${sub}</cwd>`)
        assert.include(sent[0], `AGENTS.md instructions for ${sub}`)
        assert.include(sent[0], "Of the project.\\n\\nOf the part.")
        // the model learns of the change, and what counts there
        const last = JSON.stringify((at.server.requests.at(-2)!.body["input"] as Array<unknown>).slice(-3))
        assert.include(last, `<cwd>${at.cwd}</cwd>`)
        assert.include(last, `AGENTS.md instructions for ${at.cwd}`)
        assert.notInclude(last, "Of the part.")
      })
    )
  )

  it.live("S3 lets commands of the user start there, in their own turn and alongside one", () =>
    scoped(
      Effect.gen(function* () {
        const turns = [said("one"), command("until test -e sub/seen; do sleep 0.05; done", "WORK"), said("two")]
        const at = yield* world({ turns }, [["sandbox_mode", "danger-full-access"]])
        const [, waiting] = turns
        ;(waiting!.events[0] as { args: { workdir?: string } }).args.workdir = at.cwd
        const sub = join(at.cwd, "sub")
        mkdirSync(sub)
        yield* Effect.gen(function* () {
          const { session } = yield* openSession(at)
          yield* session.submit(Op.userInput("go", { context: { cwd: sub } }))
          yield* session.awaitIdle
          yield* session.submit(Op.startTask("user_shell", { command: "pwd > own" }))
          yield* session.awaitIdle
          yield* session.submit(Op.userInput("wait"))
          yield* session.submit(Op.startTask("user_shell", { command: "pwd > seen" }, { mode: "alongside" }))
          yield* session.awaitIdle
        }).pipe(Effect.scoped, Effect.provide(at.layer))
        assert.strictEqual(readFileSync(join(sub, "own"), "utf8"), `${sub}\n`)
        assert.strictEqual(readFileSync(join(sub, "seen"), "utf8"), `${sub}\n`)
      })
    )
  )

  it.live("P1 is rejected, with the name of the directory, unless it is one inside that of the session", () =>
    scoped(
      Effect.gen(function* () {
        const { cwd, settings } = yield* world({})
        const outside = join(dirname(cwd), "outside")
        for (const directory of [outside, join(cwd, "sub")]) mkdirSync(directory)
        writeFileSync(join(cwd, "file"), "")
        symlinkSync(outside, join(cwd, "out"))
        symlinkSync(join(cwd, "sub"), join(cwd, "in"))
        symlinkSync(join(cwd, "sub"), join(outside, "back"))
        mkdirSync(join(cwd, "sub", "deep"))
        symlinkSync(join(cwd, "sub", "deep"), join(cwd, "down"))
        const rule = TurnContexts.ruleOf({ cwd, settings }, undefined)
        for (const wanted of [cwd, join(cwd, "sub"), join(cwd, "in"), `${cwd}/sub/..`]) {
          assert.isUndefined(rule({ cwd: wanted }), wanted)
        }
        const others = [
          "/",
          outside,
          join(outside, "back"),
          "sub",
          `${cwd}-more`,
          `${cwd}/..`,
          `${cwd}/out/..`,
          `${cwd}/down/..`
        ]
        for (const wanted of [...others, ...["file", "none", "out"].map((name) => join(cwd, name))]) {
          const message = `cwd is the absolute path of a directory inside ${cwd}, which ${wanted} is not`
          assert.strictEqual(rule({ cwd: wanted }), message)
        }
      })
    )
  )

  it.live("fails commands that start in it once it is gone, with its name", () =>
    scoped(
      Effect.gen(function* () {
        const at = yield* world({ turns: [said("one"), command("pwd"), said("two")] }, [
          ["sandbox_mode", "danger-full-access"]
        ])
        const sub = join(at.cwd, "sub")
        mkdirSync(sub)
        yield* Effect.gen(function* () {
          const { session } = yield* openSession(at)
          yield* session.submit(Op.userInput("go", { context: { cwd: sub } }))
          yield* session.awaitIdle
          rmSync(sub, { recursive: true })
          yield* session.submit(Op.userInput("again"))
          yield* session.awaitIdle
        }).pipe(Effect.scoped, Effect.provide(at.layer))
        const sent = JSON.stringify(at.server.requests.at(-1)!.body["input"])
        assert.include(sent, `The command was not run: there is no directory ${sub}`)
      })
    )
  )
})

describe("a session that a person continues", () => {
  it.live("J3 has the model, the effort and the directory that they name, and not those of a file", () =>
    scoped(
      Effect.gen(function* () {
        const at = yield* world({ turns: ["one", "two", "three", "four"].map(said) })
        const sessionId = "session" as SessionId
        const face = { approvals, onOpen: () => Effect.void, show: () => Effect.void }
        mkdirSync(join(at.cwd, "sub"))
        yield* Effect.gen(function* () {
          const { session } = yield* openSession(at, { sessionId })
          const context = { model: "other", effort: "high", cwd: join(at.cwd, "sub") }
          yield* session.submit(Op.userInput("go", { context }))
          yield* session.awaitIdle
        }).pipe(Effect.scoped, Effect.provide(at.layer))
        const run = (commandLine: TurnContexts.CommandLine, changed: Partial<Settings> = {}) => {
          const settings = { ...at.settings, ...changed }
          const tracing = { isShown: false, version: "0.0.0", write: () => undefined }
          return Effect.scoped(
            Exec.run({
              cwd: at.cwd,
              settings,
              input: Input.text("go"),
              resume: sessionId,
              meta: {},
              commandLine,
              face: () => Effect.succeed(face)
            })
          ).pipe(Effect.provide(App.layer({ settings, cwd: at.cwd, tracing, serveScripted: Effect.succeed("") })))
        }
        // a file that names another model is no wish of a person
        yield* run({ config: [], flags: {} }, { model: "of a file" })
        yield* run({ config: [], flags: { model: "typed" } }, { model: "typed" })
        yield* run(
          {
            config: [
              ["model", "configured"],
              ["model_reasoning_effort", "low"]
            ],
            flags: {}
          },
          { model: "configured", reasoningEffort: "low" }
        )
        assert.deepStrictEqual(
          at.server.requests.map(({ body }) => [body["model"], (body["reasoning"] as { effort?: string })?.effort]),
          [
            ["other", "high"],
            ["other", "high"],
            ["typed", "high"],
            ["configured", "low"]
          ]
        )
        assert.include(JSON.stringify(at.server.requests[1]!.body["input"]), `<cwd>${at.cwd}</cwd>`)
      })
    )
  )

  it.live("A4 has the policy and the sandbox of their settings, whatever an input has changed before", () =>
    scoped(
      Effect.gen(function* () {
        const patch = (name: string) => ({
          events: [
            { call: "apply_patch", args: { input: `*** Begin Patch\n*** Add File: ${name}\n+x\n*** End Patch` } }
          ]
        })
        const turns = [patch("widened"), said("done"), patch("continued"), said("done")]
        const at = yield* world({ turns }, [["approval_policy", "never"]])
        const sessionId = "session" as SessionId
        yield* Effect.gen(function* () {
          const { session } = yield* openSession(at, { sessionId })
          yield* session.submit(Op.userInput("go", { context: { sandbox: "danger-full-access" } }))
          yield* session.awaitIdle
        }).pipe(Effect.scoped, Effect.provide(at.layer))
        const face = { approvals, onOpen: () => Effect.void, show: () => Effect.void }
        yield* Effect.scoped(
          Exec.run({ ...at, input: Input.text("go"), resume: sessionId, meta: {}, face: () => Effect.succeed(face) })
        ).pipe(Effect.provide(at.layer))
        assert.deepStrictEqual(readdirSync(at.cwd), ["widened"])
        assert.lengthOf(at.server.requests, 4)
      })
    )
  )
})

describe("ruleOf", () => {
  const make: MakeModel = () => Effect.die("no model is made")
  const settings = { approvalPolicy: "on-request", sandboxMode: "read-only" } as Settings

  it("takes the model only where the provider makes models", () => {
    const rule = TurnContexts.ruleOf({ cwd: "/", settings }, undefined)
    assert.strictEqual(rule({ model: "other" }), "the provider has only one model")
    assert.isUndefined(rule({ approvalPolicy: "never" }))
    assert.isUndefined(
      TurnContexts.ruleOf({ cwd: "/", settings }, make)({ model: "other", effort: "low", summary: "auto" })
    )
  })

  it("takes the policies and modes that exist, and schemas", () => {
    const rule = TurnContexts.ruleOf({ cwd: "/", settings }, make)
    for (const approvalPolicy of approvalPolicies) assert.isUndefined(rule({ approvalPolicy }))
    for (const sandbox of sandboxModes) assert.isUndefined(rule({ sandbox }))
    for (const approvalPolicy of ["always", "granular"]) {
      assert.strictEqual(rule({ approvalPolicy }), "approvalPolicy is one of untrusted, on-failure, on-request, never")
    }
    assert.strictEqual(
      rule({ sandbox: { mode: "read-only" } }),
      "sandbox is one of read-only, workspace-write, danger-full-access"
    )
    assert.isUndefined(rule({ output: { type: "object" } }))
    for (const output of [null, "text", []]) {
      assert.strictEqual(rule({ output }), "output is a JSON schema, which is an object")
    }
  })

  it("asks the face about a change that turns can act on", () => {
    const mayChange = ({ sandbox }: TurnContext) => (sandbox === undefined ? undefined : "the sandbox is fixed here")
    const rule = TurnContexts.ruleOf({ cwd: "/", settings, mayChange }, make)
    assert.strictEqual(rule({ sandbox: "danger-full-access" }), "the sandbox is fixed here")
    assert.isUndefined(rule({ approvalPolicy: "never" }))
  })
})

describe("modelOf", () => {
  const settings = { model: "own", catalog: { models: new Map() } } as unknown as Settings

  it.effect("S11 compacts at the endpoint of the provider if the model of the session does", () =>
    Effect.gen(function* () {
      const named: Array<string> = []
      const of = TurnContexts.modelOf(settings, ({ name }) => {
        named.push(name)
        return Effect.succeed({ ...ScriptedModel.make([], { compact: [[ScriptedModel.sealedSummary(name)]] }).model })
      })
      const own = ScriptedModel.make([], { compact: [] }).model
      const other = of({ model: "other" }, own)
      const parts = yield* Stream.runCollect(other.compact!({} as ModelRequest))
      assert.deepInclude(parts[0], { _tag: "SealedSummary", summary: { encrypted: "other", sealedBy: "scripted" } })
      assert.deepStrictEqual(named, ["other"])
      assert.isUndefined(of({ model: "third" }, ScriptedModel.make([]).model).compact)
    })
  )
})

describe("settingsIn", () => {
  it.live("changes nothing that the context does not change", () =>
    scoped(
      Effect.gen(function* () {
        const { cwd, settings } = yield* world({}, [["approval_policy", "{ granular = { rules = false } }"]])
        assert.strictEqual(TurnContexts.settingsIn(settings, {}), settings)
        assert.strictEqual(TurnContexts.settingsIn(settings, TurnContexts.make({ cwd: "/", settings }, 0)), settings)
        const changed = TurnContexts.settingsIn(settings, { approvalPolicy: "never", sandbox: "workspace-write" })
        assert.deepStrictEqual(changed, { ...settings, approvalPolicy: "never", sandboxMode: "workspace-write" })
        const own = TurnContexts.visibleContextOf({ cwd, settings })
        assert.isUndefined(TurnContexts.ruleOf({ cwd, settings }, undefined)(own))
        assert.strictEqual(TurnContexts.settingsIn(settings, own), settings)
      })
    )
  )
})
