import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Agent, Session } from "@spindle/core"
import type { Approvals, Decided } from "@spindle/core/Approvals"
import { Processes } from "@spindle/core/Processes"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Layer, Stream } from "effect"
import { CodingTools, CommandRules, NetworkPolicy, Sandbox, SandboxPolicy } from "../../src/index.ts"
import type * as CommandApproval from "../../src/CommandApproval.ts"

/** A host whose commands fail in a sandbox. `ran` says for each whether it was confined. */
const host = () => {
  const ran: Array<"inside" | "outside"> = []
  const layer = Layer.succeed(Processes, {
    start: ({ processId }) =>
      Effect.map(SandboxPolicy.Current, ({ _tag }) => {
        const isOutside = _tag === "FullAccess"
        ran.push(isOutside ? "outside" : "inside")
        const text = isOutside ? "made\n" : "touch: cannot touch 'made': Read-only file system\n"
        return {
          processId,
          pid: 1,
          output: Stream.make(new TextEncoder().encode(text)),
          exit: Effect.succeed({ exitCode: isOutside ? 0 : 1 }),
          gone: Effect.void
        }
      }),
    end: () => Effect.void
  })
  return { ran, layer }
}

interface Case {
  readonly policy: CommandApproval.Options["policy"]
  readonly decision?: Decided
  readonly rules?: string
  /** Which calls the model makes, one in each response. */
  readonly calls?: ReadonlyArray<object>
}

/** Runs calls in a sandbox that blocks them. Returns what ran where, the questions, the decisions and the results. */
const run = Effect.fnUntraced(function* ({ calls = [{}], decision, policy, rules = "" }: Case) {
  const { layer, ran } = host()
  const questions: Array<unknown> = []
  const approval: CommandApproval.Options = {
    policy,
    containment: "sandbox",
    sandbox: "it lets commands read",
    rules: () => CommandRules.parse("/rules", rules).rules
  }
  const approvals: Approvals = {
    decide: ({ payload }) => {
      questions.push(payload)
      return decision === undefined ? Effect.never : Effect.succeed(decision)
    }
  }
  const agent = Agent.make({ toolkit: CodingTools.toolkit, approvals: CodingTools.policies({ approval, cwd: "/" }) })
  const sandbox = { commands: SandboxPolicy.readOnly, patches: SandboxPolicy.readOnly }
  const tools = CodingTools.layer({ cwd: "/", shell: "/bin/sh", approval, sandbox }).pipe(
    Layer.provideMerge(layer),
    Layer.provideMerge(NodeServices.layer)
  )
  const services = yield* Layer.build(tools)
  const harness = yield* Harness.make({
    script: [
      ...calls.map((more, index) => [Model.call("exec_command", { cmd: "touch made", ...more }, `c${index}`)]),
      [Model.text("done")]
    ],
    approvals,
    factory: (_, options) => Effect.provideContext(Session.make(agent, options), services)
  })
  const end = yield* harness.run("go")
  const records = harness.records()
  return {
    ran,
    questions,
    end: end._tag,
    sources: records.flatMap((one) =>
      one._tag === "QuestionSettled" || one._tag === "CallDecided" ? [one.source ?? "nobody"] : []
    ),
    results: records.flatMap((one) =>
      one._tag === "ItemRecorded" && one.item._tag === "ToolResult" ? [String(one.item.output)] : []
    )
  }
})

const once: Decided = { _tag: "Approved", scope: "once" }

describe("a command that the sandbox has blocked", () => {
  for (const policy of ["on-failure", { sandboxApproval: true, rules: true }] as const) {
    it.effect(`runs again outside if the person agrees, under ${JSON.stringify(policy)}`, () =>
      Effect.gen(function* () {
        const { questions, ran, results, sources } = yield* run({ policy, decision: once })
        assert.deepStrictEqual(ran, ["inside", "outside"])
        assert.deepStrictEqual(questions, [
          {
            command: "touch made",
            cwd: "/",
            reason: "the sandbox blocked it",
            sandbox: "it lets commands read",
            less: [{ label: "in the sandbox, with the network", permissions: { network: { enabled: true } } }],
            amendment: [["touch", "made"]]
          }
        ])
        assert.deepStrictEqual(sources, ["policy", "user"])
        assert.include(results[0], "Output:\nmade\n")
      })
    )
  }

  it.effect("does not run again if the person refuses, and stops the turn if the person does", () =>
    Effect.gen(function* () {
      const refused = yield* run({ policy: "on-failure", decision: { _tag: "Denied" } })
      assert.deepStrictEqual([refused.ran, refused.end], [["inside"], "TurnCompleted"])
      assert.include(refused.results[0], "Read-only file system")
      const stopped = yield* run({ policy: "on-failure", decision: { _tag: "Abort" } })
      assert.deepStrictEqual([stopped.ran, stopped.end], [["inside"], "TurnAborted"])
    })
  )

  it.effect("is asked about once if it was allowed for the session", () =>
    Effect.gen(function* () {
      const decision = { _tag: "Approved", scope: "session" } as const
      const { questions, ran, sources } = yield* run({ policy: "on-failure", decision, calls: [{}, {}] })
      assert.lengthOf(questions, 1)
      assert.deepStrictEqual(ran, ["inside", "outside", "inside", "outside"])
      assert.deepStrictEqual(sources, ["policy", "user", "policy", "cache"])
    })
  )

  it.effect("runs again without a question if a rule allows it", () =>
    Effect.gen(function* () {
      const rules = 'prefix_rule(pattern=["touch"])'
      const { questions, ran, sources } = yield* run({ policy: "never", rules })
      assert.deepStrictEqual([questions, ran, sources], [[], ["inside", "outside"], ["rule", "rule"]])
    })
  )

  it.effect("is reported under never, and under on-request with the way to ask", () =>
    Effect.gen(function* () {
      const never = yield* run({ policy: "never" })
      assert.deepStrictEqual([never.ran, never.questions], [["inside"], []])
      assert.notInclude(never.results[0], "require_escalated")
      const advised = yield* run({
        policy: "on-request",
        decision: once,
        calls: [{}, { sandbox_permissions: "require_escalated", justification: "to make it" }]
      })
      assert.deepStrictEqual(advised.ran, ["inside", "outside"])
      assert.include(advised.results[0], "The sandbox may have blocked this command.")
      assert.deepInclude(advised.questions[0], {
        justification: "to make it",
        reason: "the model asks to run it outside the sandbox"
      })
    })
  )
})

/** A host whose commands reach only listed hosts. They fail until both are allowed. `reached` has the list of each attempt. */
const networked = (wanted: ReadonlyArray<string>) => {
  const reached: Array<ReadonlyArray<string>> = []
  const denials = new Map<string, ReadonlyArray<NetworkPolicy.Denial>>()
  const processes = Layer.succeed(Processes, {
    start: ({ processId }) =>
      Effect.map(SandboxPolicy.Current, (policy) => {
        const hosts = policy._tag === "FullAccess" || typeof policy.network === "boolean" ? undefined : policy.network
        reached.push(hosts?.allowed ?? [])
        const denied = wanted.flatMap((host) => {
          const reason = hosts === undefined ? "NotListed" : NetworkPolicy.refusalOfHost(hosts, host)
          return reason === undefined ? [] : [{ _tag: "Denial", host, port: 443, reason } as const]
        })
        denials.set(processId, denied)
        return {
          processId,
          pid: 1,
          output: Stream.empty,
          exit: Effect.succeed({ exitCode: denied.length === 0 ? 0 : 56 }),
          gone: Effect.void
        }
      }),
    end: () => Effect.void
  })
  const sandbox = Layer.succeed(Sandbox.Sandbox, {
    available: Effect.void,
    isAvailable: () => true,
    takeDenials: (processId) => denials.get(processId) ?? []
  })
  return { reached, layer: Layer.merge(processes, sandbox) }
}

interface Networked {
  readonly policy?: CommandApproval.Options["policy"]
  readonly hosts: ReadonlyArray<string>
  readonly decisions: ReadonlyArray<Decided>
  readonly calls?: number
  /** What is around the session. */
  readonly within?: SandboxPolicy.SandboxPolicy
}

/** Runs commands that want hosts; the list has `listed.example`, and denies `denied.example`. */
const runNetworked = Effect.fnUntraced(function* ({
  calls = 1,
  decisions,
  hosts,
  policy = "on-request",
  within = SandboxPolicy.fullAccess
}: Networked) {
  const { layer, reached } = networked(hosts)
  const questions: Array<unknown> = []
  const approval: CommandApproval.Options = { policy, containment: "sandbox" }
  const approvals: Approvals = {
    decide: ({ payload }) => Effect.succeed(decisions[questions.push(payload) - 1]!)
  }
  const network = { _tag: "Hosts", allowed: ["listed.example"], denied: ["denied.example"] } as const
  const commands: SandboxPolicy.SandboxPolicy = { _tag: "ReadOnly", network }
  const agent = Agent.make({ toolkit: CodingTools.toolkit, approvals: CodingTools.policies({ approval, cwd: "/" }) })
  const tools = CodingTools.layer({
    cwd: "/",
    shell: "/bin/sh",
    approval,
    sandbox: { commands, patches: SandboxPolicy.readOnly }
  }).pipe(Layer.provideMerge(layer), Layer.provideMerge(NodeServices.layer))
  const services = yield* Layer.build(tools)
  const harness = yield* Harness.make({
    script: [
      ...Array.from({ length: calls }, (_, index) => [
        Model.call("exec_command", { cmd: "curl", yield_time_ms: 30_000 }, `c${index}`)
      ]),
      [Model.text("done")]
    ],
    approvals,
    factory: (_, options) =>
      SandboxPolicy.confine(Effect.provideContext(Session.make(agent, options), services), within)
  })
  yield* harness.run("go")
  const results = harness
    .records()
    .flatMap((one) => (one._tag === "ItemRecorded" && one.item._tag === "ToolResult" ? [String(one.item.output)] : []))
  return { reached, questions, results }
})

describe("a command that was denied hosts", () => {
  const listed = "listed.example"

  it.effect("A4 runs again with the hosts that the person allows, for once", () =>
    Effect.gen(function* () {
      const { questions, reached, results } = yield* runNetworked({
        hosts: ["a.example", "b.example"],
        decisions: [once, once],
        calls: 2
      })
      const allowed = ["a.example", "b.example", listed]
      assert.deepStrictEqual(reached, [[listed], allowed, [listed], allowed])
      assert.deepStrictEqual(questions[0], {
        command: "curl",
        cwd: "/",
        reason: "it was denied hosts that are not in the list",
        permissions: { network: { hosts: ["a.example", "b.example"] } },
        less: [
          { label: "only a.example", permissions: { network: { hosts: ["a.example"] } } },
          { label: "only b.example", permissions: { network: { hosts: ["b.example"] } } }
        ]
      })
      assert.notInclude(results.join(), "was denied")
    })
  )

  for (const scope of ["turn", "session"] as const) {
    it.effect(`does not ask again about a host that is allowed for the ${scope}`, () =>
      Effect.gen(function* () {
        const { questions, reached } = yield* runNetworked({
          hosts: ["a.example"],
          decisions: [{ _tag: "Approved", scope }],
          calls: 2
        })
        assert.deepStrictEqual(reached, [[listed], ["a.example", listed], ["a.example", listed]])
        assert.lengthOf(questions, 1)
      })
    )
  }

  it.effect("A4 gets the part of the hosts that the person allows, and asks about the rest", () =>
    Effect.gen(function* () {
      const some = (hosts: ReadonlyArray<string>): Decided => ({
        _tag: "Approved",
        scope: "turn",
        permissions: { network: { enabled: true, hosts } }
      })
      const { questions, reached, results } = yield* runNetworked({
        hosts: ["a.example", "b.example"],
        decisions: [some(["a.example", "more.example", "*"]), some([])]
      })
      assert.deepStrictEqual(reached, [[listed], ["a.example", listed]])
      assert.deepInclude(questions[1], { permissions: { network: { hosts: ["b.example"] } } })
      assert.include(results[0], "The network proxy: b.example:443 was denied: it is not in the list of allowed hosts.")
    })
  )

  it.effect("ends if the person refuses, and the model reads which host was denied", () =>
    Effect.gen(function* () {
      const { reached, results } = yield* runNetworked({ hosts: ["a.example"], decisions: [{ _tag: "Denied" }] })
      assert.deepStrictEqual(reached, [[listed]])
      assert.include(results[0], "The network proxy: a.example:443 was denied: it is not in the list of allowed hosts.")
    })
  )

  it.effect("A4 asks nobody if the context of the session is narrower, and stays in it", () =>
    Effect.gen(function* () {
      const { questions, reached, results } = yield* runNetworked({
        hosts: ["a.example"],
        decisions: [],
        within: { _tag: "ReadOnly", network: { _tag: "Hosts", allowed: ["b.example"], denied: [] } }
      })
      assert.deepStrictEqual([questions, reached], [[], [[]]])
      assert.include(results[0], "a.example:443 was denied")
    })
  )

  it.effect("asks nobody if the policy forbids it, or the list denies the host", () =>
    Effect.gen(function* () {
      for (const policy of ["never", { sandboxApproval: false, rules: true }] as const) {
        const { questions, results } = yield* runNetworked({ policy, hosts: ["a.example"], decisions: [] })
        assert.deepStrictEqual(questions, [])
        assert.include(results[0], "a.example:443 was denied")
      }
      const { questions, results } = yield* runNetworked({ hosts: ["denied.example"], decisions: [] })
      assert.deepStrictEqual(questions, [])
      assert.include(results[0], "denied.example:443 was denied: the list of hosts denies it")
    })
  )
})

/** Runs an escalated command, or one that the sandbox blocks. Returns the policy of each attempt. */
const runLess = Effect.fnUntraced(function* ({
  decision,
  isEscalated,
  policy
}: {
  readonly decision: Decided
  readonly isEscalated: boolean
  readonly policy: CommandApproval.Options["policy"]
}) {
  const ran: Array<SandboxPolicy.SandboxPolicy> = []
  const processes = Layer.succeed(Processes, {
    start: ({ processId }) =>
      Effect.map(SandboxPolicy.Current, (current) => {
        ran.push(current)
        return {
          processId,
          pid: 1,
          output: Stream.make(new TextEncoder().encode("Read-only file system")),
          exit: Effect.succeed({ exitCode: 1 }),
          gone: Effect.void
        }
      }),
    end: () => Effect.void
  })
  const approval: CommandApproval.Options = { policy, containment: "sandbox" }
  const questions: Array<unknown> = []
  const approvals: Approvals = {
    decide: ({ payload }) => {
      questions.push(payload)
      return Effect.succeed(decision)
    }
  }
  const patches: SandboxPolicy.SandboxPolicy = {
    _tag: "WorkspaceWrite",
    roots: [],
    scratch: [],
    protectedPaths: ["/out/home"],
    network: false
  }
  const agent = Agent.make({ toolkit: CodingTools.toolkit, approvals: CodingTools.policies({ approval, cwd: "/" }) })
  const tools = CodingTools.layer({
    cwd: "/",
    shell: "/bin/sh",
    approval,
    sandbox: { commands: SandboxPolicy.readOnly, patches }
  }).pipe(Layer.provideMerge(processes), Layer.provideMerge(NodeServices.layer))
  const services = yield* Layer.build(tools)
  const harness = yield* Harness.make({
    script: [
      [Model.call("exec_command", { cmd: "make", ...(isEscalated ? outside : {}) }, "c1")],
      [Model.text("done")]
    ],
    approvals,
    factory: (_, options) => Effect.provideContext(Session.make(agent, options), services)
  })
  yield* harness.run("go")
  const decided = harness
    .records()
    .flatMap((one) => (one._tag === "CallDecided" && one.permissions !== undefined ? [one.permissions] : []))
  return { ran, questions, decided }
})

const outside = { sandbox_permissions: "require_escalated", justification: "to build" }

describe("a command that is granted less than it asks for", () => {
  const granted = (permissions: unknown): Decided => ({ _tag: "Approved", scope: "once", permissions })
  const withOut = {
    _tag: "WorkspaceWrite",
    roots: ["/out"],
    scratch: [],
    protectedPaths: ["/out/home"],
    network: false
  } as const

  const rows: ReadonlyArray<readonly [permissions: object, policy: SandboxPolicy.SandboxPolicy]> = [
    [{}, SandboxPolicy.readOnly],
    [{ network: { enabled: true } }, { _tag: "ReadOnly", network: true }],
    [
      { network: { hosts: ["a.example"] } },
      { _tag: "ReadOnly", network: { _tag: "Hosts", allowed: ["a.example"], denied: [] } }
    ],
    [{ file_system: { write: ["/out"] } }, withOut]
  ]
  for (const [permissions, policy] of rows) {
    it.effect(`A4 runs once, in the sandbox, with ${JSON.stringify(permissions)} and nothing else`, () =>
      Effect.gen(function* () {
        const { decided, questions, ran } = yield* runLess({
          policy: "on-request",
          isEscalated: true,
          decision: granted(permissions)
        })
        assert.deepStrictEqual(ran, [policy])
        assert.deepStrictEqual(decided, [permissions])
        assert.deepInclude(questions[0], {
          less: [
            { label: "in the sandbox", permissions: {} },
            { label: "in the sandbox, with the network", permissions: { network: { enabled: true } } }
          ]
        })
      })
    )
  }

  it.effect("A4 does not run on an answer in another form", () =>
    Effect.gen(function* () {
      const decision = granted({ network: "all" })
      const { decided, ran } = yield* runLess({ policy: "on-request", isEscalated: true, decision })
      assert.deepStrictEqual([ran, decided], [[], []])
    })
  )

  it.effect(
    "A4 runs again in the sandbox after it was blocked, with what was granted, and is not asked about again",
    () =>
      Effect.gen(function* () {
        const decision = granted({ file_system: { write: ["/out"] } })
        const { decided, questions, ran } = yield* runLess({ policy: "on-failure", isEscalated: false, decision })
        assert.deepStrictEqual(ran, [SandboxPolicy.readOnly, withOut])
        assert.deepStrictEqual(decided, [{ file_system: { write: ["/out"] } }])
        assert.lengthOf(questions, 1)
        const nothing = yield* runLess({ policy: "on-failure", isEscalated: false, decision: granted({}) })
        assert.deepStrictEqual([nothing.ran, nothing.decided], [[SandboxPolicy.readOnly], [{}]])
      })
  )
})
