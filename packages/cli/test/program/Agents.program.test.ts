import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  allowed,
  asking,
  bin,
  command,
  events,
  journals,
  recordsOf,
  run,
  start,
  type World,
  world
} from "../fixtures/program.ts"
import { childTurns, grandchildTurns, spawn, wait } from "../fixtures/agents.ts"

const agents = ["-c", "features.multi_agent=true", "-c", "agents.max_depth=2"]

const collab = (lines: ReadonlyArray<any>) =>
  lines.flatMap((line) => (line.item?.type === "collab_tool_call" ? [{ line: line.type, ...line.item }] : []))

const outputs = ({ server }: World): string =>
  JSON.stringify(server.requests.flatMap(({ body }) => body.input.filter((item: any) => item.type.endsWith("_output"))))

const sandbox = spawnSync(process.execPath, [bin, "sandbox", "--", "true"], { encoding: "utf8" })
const title = "an agent whose role has a sandbox mode"

describe.skipIf(sandbox.status !== 0)(
  sandbox.status === 0 ? title : `${title} (skipped: ${sandbox.stderr.trim()})`,
  () => {
    it.live("A4 is bounded by it, by commands, patches and requests, while its parent is not", () =>
      Effect.gen(function* () {
        const outside = { cmd: "echo x > outside", login: false, sandbox_permissions: "require_escalated" }
        const patch = "*** Begin Patch\n*** Add File: patched\n+x\n*** End Patch\n"
        const child = { match: { lastUser: "child task" } }
        const at = yield* world({
          turns: [
            {
              ...child,
              events: [
                command("echo x > child", "c1"),
                { call: "exec_command", args: outside, callId: "c2" },
                { custom: "apply_patch", input: patch, callId: "c3" },
                { call: "request_permissions", args: { permissions: { network: { enabled: true } } }, callId: "c4" }
              ]
            },
            { ...child, events: [{ text: "child answer" }] },
            { events: [spawn("child task", { agent_type: "reader" })] },
            { events: [wait] },
            { events: [command("echo x > parent", "p1")] },
            { events: [{ text: "parent answer" }] }
          ]
        })
        const role = ["-c", 'agents.reader={ description = "Reads.", sandbox_mode = "read-only" }']
        const { code, stderr } = yield* run(at, ["exec", "-s", "workspace-write", ...agents, ...role, "go"])
        assert.strictEqual(code, 0, stderr)
        assert.deepStrictEqual(Fs.readdirSync(at.cwd), ["parent"])
        const all = outputs(at)
        assert.include(all, "Read-only file system")
        assert.include(all, "denied: this agent may not leave its sandbox")
        assert.include(all, "cannot be written: the sandbox is read-only")
        assert.include(all, "The user was not asked: this agent may not leave its sandbox.")
      })
    )
  }
)

describe("exec with agents of agents", () => {
  it.live("D1 spawns, waits and responds; the JSON lines are those that clients of the reference read", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: childTurns })
      const ended = yield* run(at, ["exec", "--json", ...agents, "go"])
      assert.deepStrictEqual([ended.code, ended.stderr], [0, ""])
      const lines = events(ended)
      const root = lines[0].thread_id
      const [spawning, spawned, waiting, waited] = collab(lines)
      const child = spawned.receiver_thread_ids[0]
      const common = {
        line: "item.started",
        type: "collab_tool_call",
        sender_thread_id: root,
        agents_states: {},
        status: "in_progress"
      }
      assert.deepStrictEqual(spawning, {
        ...common,
        id: "item_0",
        tool: "spawn_agent",
        receiver_thread_ids: [],
        prompt: "child task"
      })
      assert.deepStrictEqual(spawned, {
        ...spawning,
        line: "item.completed",
        receiver_thread_ids: [child],
        agents_states: { [child]: { status: "pending_init", message: null } },
        status: "completed"
      })
      assert.deepStrictEqual(waiting, {
        ...common,
        id: "item_1",
        tool: "wait",
        receiver_thread_ids: [child],
        prompt: null
      })
      assert.deepStrictEqual(waited.agents_states, { [child]: { status: "completed", message: "child answer" } })
      assert.strictEqual(lines.at(-2).item.text, "parent answer")
      // a journal each, and the child's says whose it is
      const first = journals(at.home).map((file) => recordsOf(file)[0])
      assert.lengthOf(first, 2)
      assert.deepInclude(first.find(({ sessionId }) => sessionId === child).meta, { parent: root, depth: "1" })
    })
  )

  it.live("shows which agents start and end, and what a grandchild asks", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: grandchildTurns(command("touch made")) })
      const { code, stderr } = yield* run(at, ["exec", ...agents, ...asking, "go"])
      assert.strictEqual(code, 3)
      // there is no terminal: the question is refused at the root, and nothing else is
      assert.deepStrictEqual(Fs.readdirSync(at.cwd), [])
      assert.include(outputs(at), "no terminal to ask at")
      assert.match(stderr, /↳ Ada starts\n/)
      assert.match(stderr, /\n {2}↳ Alan starts\n/)
      assert.match(stderr, /\n {2}✓ Alan is done after .*: grandchild done\n/)
      assert.match(stderr, /\n✓ Ada is done after .*: child done\n/)
      assert.include(stderr, "? Run this command? (asked by ")
      const footer = /(\d+) tokens \(in .* · agents (\d+) · (\d+) in total · session (\S+)\n/
      const [, own, agentTokens, total, sessionId] = footer.exec(stderr) ?? []
      assert.strictEqual(Number(own) + Number(agentTokens), Number(total), stderr)
      assert.isAbove(Number(agentTokens), 0)
      const shown = yield* run(at, ["sessions", "show", sessionId!])
      assert.match(shown.stdout, new RegExp(`\\n${own} tokens · agents ${agentTokens} · ${total} in total\\n$`))
      // an agent at the last level has no tools to start others
      const offered = (input: string) =>
        at.server.requests.flatMap(({ body }) =>
          JSON.stringify(body.input).includes(`"text":"${input}"`)
            ? [JSON.stringify(body.tools).includes("spawn_agent")]
            : []
        )
      assert.deepStrictEqual(offered("child task"), [true, true, true])
      assert.deepStrictEqual(offered("grandchild task"), [false, false])
    })
  )

  it.live("D1 Ctrl-C stops the agents too, with the processes that they started", () =>
    Effect.gen(function* () {
      const at = yield* world({
        turns: [
          { match: { lastUser: "child task" }, events: [command("touch begun; sleep 61.37")] },
          { events: [spawn("child task")] },
          { events: [wait] }
        ]
      })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const program = yield* start(at, ["exec", "--json", ...agents, ...allowed, "go"])
          yield* begun(at)
          yield* program.kill("SIGINT")
          const ended = yield* program.ended
          assert.strictEqual(ended.code, 130)
        })
      )
      const ends = journals(at.home).map((file) => recordsOf(file).findLast((record) => record._tag === "TurnAborted"))
      assert.deepStrictEqual(ends.map(({ reason }) => reason).toSorted(), ["Interrupted", "Parent"])
    })
  )

  it.live("without the feature the model gets no tools for it", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "hi" }] }] })
      yield* run(at, ["exec", "go"])
      assert.notInclude(JSON.stringify(at.server.requests[0]!.body.tools), "spawn_agent")
    })
  )

  it.live("takes roles and limits from the configuration, and tells the model of a limit", () =>
    Effect.gen(function* () {
      const at = yield* world({
        turns: [
          { match: { lastUser: "child task" }, events: [{ text: "from a reviewer" }] },
          { events: [spawn("child task", { agent_type: "reviewer" }), spawn("another", { agent_type: "wizard" })] },
          { events: [wait] },
          { events: [{ text: "done" }] }
        ]
      })
      Fs.writeFileSync(Path.join(at.home, "review.md"), "You review.")
      Fs.appendFileSync(
        Path.join(at.home, "config.toml"),
        '\n[features]\nmulti_agent = true\n[agents]\nmax_threads = 1\n[agents.reviewer]\ndescription = "Reviews."\ninstructions_file = "review.md"\n'
      )
      const { code } = yield* run(at, ["exec", "go"])
      assert.strictEqual(code, 0)
      assert.include(outputs(at), "there is no agent type wizard; there are: default, reviewer")
      // the requests of the parent contain it too, as the argument of a call
      const child = at.server.requests.find(({ body }) => JSON.stringify(body.input).includes('"text":"child task"'))
      assert.strictEqual(child?.body.instructions, "You review.")
    })
  )

  it.live("takes no agent for the latest session, and lists agents only when all are asked for", () =>
    Effect.gen(function* () {
      const at = yield* world({
        turns: childTurns,
        fallback: { events: [{ text: "gone on" }] }
      })
      const ended = yield* run(at, ["exec", "--json", ...agents, "go"])
      const root = events(ended)[0].thread_id
      const child = journals(at.home).find((file) => !file.includes(root))!
      // as if the agent had written last: its parent was killed
      const later = Date.now() / 1000 + 100
      Fs.utimesSync(child, later, later)
      const list = yield* run(at, ["sessions", "list"])
      assert.match(list.stdout, new RegExp(`^${root}.*  go\\n1 more: spindle sessions list --all\\n$`))
      const all = yield* run(at, ["sessions", "list", "--all"])
      assert.match(all.stdout, /^\S{36} {2}\d{4}-\d\d-\d\d \d\d:\d\d .* {2}agent \w+ {2}child task\n.* {2}go\n$/)
      const [agent] = events(yield* run(at, ["sessions", "list", "--json"]))
      assert.strictEqual(agent.parent, root)
      const resumed = yield* run(at, ["exec", "--json", "resume", "--last", "more"])
      assert.strictEqual(events(resumed)[0].thread_id, root)
      const page = yield* run(at, ["trace", "--last"])
      assert.include(page.stdout, root)
    })
  )
})

describe("the models of agents", () => {
  const settings = [
    "[features]",
    "multi_agent = true",
    "[agents.scout]",
    'description = "Looks around."',
    'model = "gpt-small"',
    'model_reasoning_effort = "low"',
    'developer_instructions = "Only look."',
    'nickname_candidates = ["Rex"]'
  ]

  it.live("are those of the role or of the call, sent with their effort; an unknown one is refused in words", () =>
    Effect.gen(function* () {
      const at = yield* world({
        turns: [
          ...["first task", "second task", "third task"].map((lastUser) => ({
            match: { lastUser },
            events: [{ text: "done" }]
          })),
          // an agent that is not waited for may end with the turn before it has sent anything
          { events: [spawn("first task", { agent_type: "scout" })] },
          { events: [wait] },
          { events: [spawn("second task", { model: "gpt-small", reasoning_effort: "high" })] },
          { events: [wait] },
          { events: [spawn("third task")] },
          { events: [wait] },
          {
            events: [spawn("fourth task", { model: "gpt-huge" }), spawn("fifth task", { reasoning_effort: "mad" })]
          },
          { events: [{ text: "all done" }] }
        ]
      })
      Fs.appendFileSync(Path.join(at.home, "config.toml"), `\n${settings.join("\n")}\n`)
      const { code, stderr } = yield* run(at, ["exec", "go"])
      assert.strictEqual(code, 0)
      const sent = (text: string) => {
        const body = at.server.requests.find((one) => JSON.stringify(one.body.input).includes(text))?.body
        return [body?.model, body?.reasoning?.effort]
      }
      assert.deepStrictEqual(
        ["first task", "second task", "third task"].map((text) => sent(`"text":"${text}"`)),
        [
          ["gpt-small", "low"],
          ["gpt-small", "high"],
          ["gpt-test", undefined]
        ]
      )
      const scout = at.server.requests.find((one) => JSON.stringify(one.body.input).includes('"text":"first task"'))
      assert.match(scout?.body.instructions, /^You are a coding agent.*\n\nOnly look\.$/s)
      assert.include(outputs(at), "there is no model gpt-huge; there are: gpt-test, gpt-small")
      assert.include(
        outputs(at),
        "model gpt-test has no reasoning effort mad; it has: minimal, low, medium, high, xhigh"
      )
      assert.include(stderr, "↳ Rex starts\n")
      const tools = JSON.stringify(at.server.requests[0]!.body.tools)
      assert.include(tools, "- scout: Looks around.")
      assert.include(tools, "- gpt-small, with the reasoning efforts")
    })
  )
})

/** Waits until the command of the child has begun. */
const begun = ({ cwd }: World) =>
  Effect.callback<void>((resume) => {
    const watcher = Fs.watch(cwd, () => {
      if (!Fs.existsSync(Path.join(cwd, "begun"))) return
      watcher.close()
      resume(Effect.void)
    })
    if (Fs.existsSync(Path.join(cwd, "begun"))) {
      watcher.close()
      resume(Effect.void)
    }
    return Effect.sync(() => watcher.close())
  })
