import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  allowed,
  asking,
  command,
  type Ended,
  events,
  journals,
  run,
  sessionOf,
  type World,
  world
} from "../fixtures/program.ts"

const patch = "*** Begin Patch\n*** Update File: a.txt\n@@\n-old\n+new\n*** Add File: sub/b.txt\n+more\n*** End Patch\n"

const types = (lines: ReadonlyArray<any>) => lines.map((line) => line.item?.type ?? line.type)
const outputsTo = ({ server }: World, request: number): ReadonlyArray<any> =>
  server.requests[request]!.body.input.filter((item: any) => item.type.endsWith("_output"))
const outputTo = (at: World, request: number): string => String(outputsTo(at, request)[0]?.output)

describe("exec", () => {
  it.live("says how much of the context of a known model is left", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "Hello" }] }] })
      const { stderr } = yield* run(at, ["exec", "-c", "model_context_window=440", "hi"])
      assert.include(stderr, " · 110 tokens (in 100, out 10) · 75 % of the context left · session ")
    })
  )

  it.live("writes the answer to stdout, and text, reasoning and tokens to stderr", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ reasoning: "hm" }, { text: "Hello there", chunks: 3 }] }] })
      const { code, stderr, stdout } = yield* run(at, ["exec", "hi"])
      assert.deepStrictEqual([code, stdout], [0, "Hello there\n"])
      assert.match(
        stderr,
        /^spindle: .*\nhm\nHello there\n\n✓ done · \d\.\d s · 110 tokens \(in 100, out 10\) · session \S{36}\n$/
      )
      const { body } = at.server.requests[0]!
      assert.strictEqual(body.model, "gpt-test")
      assert.deepStrictEqual(
        body.tools.map((tool: any) => [tool.type, tool.name]),
        [
          ["function", "exec_command"],
          ["function", "write_stdin"],
          ["custom", "apply_patch"],
          ["function", "update_plan"],
          ["function", "view_image"],
          ["function", "read_file"],
          ["function", "list_dir"],
          ["function", "grep_files"],
          ["function", "request_user_input"],
          ["function", "request_permissions"]
        ]
      )
    })
  )

  it.live("takes the prompt from stdin, and writes one JSON event a line", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ reasoning: "hm" }, { text: "Hello" }] }] })
      const ended = yield* run(at, ["exec", "--json"], { input: "what is here?\n" })
      assert.deepStrictEqual([ended.code, ended.stderr], [0, ""])
      const lines = events(ended)
      assert.deepStrictEqual(types(lines), [
        "thread.started",
        "turn.started",
        "reasoning",
        "agent_message",
        "turn.completed"
      ])
      assert.deepStrictEqual(lines.at(-1).usage, {
        input_tokens: 100,
        cached_input_tokens: 0,
        cache_write_input_tokens: 0,
        output_tokens: 10,
        reasoning_output_tokens: 0
      })
      assert.include(JSON.stringify(at.server.requests[0]!.body.input), "what is here?")
    })
  )

  it.live("runs commands and patches, and sends their results in the order of the calls", () =>
    Effect.gen(function* () {
      const at = yield* world({
        turns: [
          { events: [command("sleep 0.2; cat a.txt; exit 3"), command("echo second", "c2")] },
          { events: [{ custom: "apply_patch", input: patch, callId: "c3" }] },
          { events: [{ text: "done" }] }
        ]
      })
      Fs.writeFileSync(Path.join(at.cwd, "a.txt"), "old\n")
      const ended = yield* run(at, ["exec", "--json", ...allowed, "-o", "last.txt", "go"])
      assert.strictEqual(ended.code, 0)
      assert.strictEqual(Fs.readFileSync(Path.join(at.cwd, "a.txt"), "utf8"), "new\n")
      assert.strictEqual(Fs.readFileSync(Path.join(at.cwd, "sub/b.txt"), "utf8"), "more\n")
      assert.strictEqual(Fs.readFileSync(Path.join(at.cwd, "last.txt"), "utf8"), "done")
      assert.deepStrictEqual(
        outputsTo(at, 1).map(({ call_id, output }) => [call_id, output.split("\n").slice(1).join("|")]),
        [
          ["c1", "Process exited with code 3|Original token count: 1|Output:|old|"],
          ["c2", "Process exited with code 0|Original token count: 2|Output:|second|"]
        ]
      )
      const completed = events(ended).filter((line) => line.type === "item.completed")
      assert.deepStrictEqual(
        completed.map(({ item }) => [item.type, item.status, item.exit_code ?? item.changes?.length ?? item.text]),
        [
          ["command_execution", "failed", 3],
          ["command_execution", "completed", 0],
          ["file_change", "completed", 2],
          ["agent_message", undefined, "done"]
        ]
      )
    })
  )

  it.live("refuses what needs an approval if there is no terminal, and tells the model", () =>
    Effect.gen(function* () {
      const at = yield* world({
        turns: [{ events: [command("touch made"), { custom: "apply_patch", input: patch, callId: "c2" }] }]
      })
      Fs.writeFileSync(`${at.cwd}/a.txt`, "old\n")
      const { code, stderr, stdout } = yield* run(at, ["exec", ...asking, "go"])
      assert.deepStrictEqual([code, stdout], [3, "ok\n"])
      const flag = "--dangerously-bypass-approvals-and-sandbox"
      const notice = `no terminal to ask at: commands and patches are refused (${flag} runs them)`
      assert.isTrue(stderr.startsWith(`spindle: ${notice}\n`), stderr)
      assert.deepStrictEqual(Fs.readdirSync(at.cwd), ["a.txt"])
      assert.strictEqual(Fs.readFileSync(`${at.cwd}/a.txt`, "utf8"), "old\n")
      assert.include(outputTo(at, 1), "no terminal to ask at")
      assert.include(stderr, "? Run this command?\n  $ touch made\n")
      assert.strictEqual(stderr.split("→ refused: no terminal to ask at").length, 3)
    })
  )

  it.live("tells the model if a tool does not exist or its arguments make no sense", () =>
    Effect.gen(function* () {
      const bad = { call: "exec_command", args: '{"cmd": 7', callId: "c2" }
      const at = yield* world({ turns: [{ events: [{ call: "invented", args: {}, callId: "c1" }, bad] }] })
      const { code, stdout } = yield* run(at, ["exec", "--json", ...allowed, "go"])
      assert.strictEqual(code, 0)
      assert.include(outputTo(at, 1), "invented")
      assert.lengthOf(outputsTo(at, 1), 2)
      const done = events({ stdout }).filter(({ type }) => type === "item.completed")
      assert.deepStrictEqual(
        done.map(({ item }) => item.status),
        ["failed", "failed", undefined]
      )
    })
  )

  it.live("tries again after a 500, a dropped stream and a 429, which says how long to wait, and shows it", () =>
    Effect.gen(function* () {
      const limited = { status: 429, headers: { "retry-after": "1" }, body: { error: { message: "slow down" } } }
      const turns = [{ status: 500 }, { events: [{ text: "half" }, { drop: true as const }] }, limited]
      const at = yield* world({ turns }, 3)
      const begin = performance.now()
      const ended = yield* run(at, ["exec", "--json", "hi"])
      assert.strictEqual(ended.code, 0)
      assert.isAbove(performance.now() - begin, 1_000)
      const lines = events(ended)
      assert.deepStrictEqual(types(lines), [
        "thread.started",
        "turn.started",
        "error",
        "agent_message",
        "error",
        "error",
        "agent_message",
        "turn.completed"
      ])
      assert.match(lines[2].message, /^Reconnecting\.\.\. 1\/3 \(/)
      assert.lengthOf(at.server.requests, 4)
    })
  )

  it.live("fails with one line that says why when the tries are used up", () =>
    Effect.gen(function* () {
      const at = yield* world({ fallback: { status: 500, body: { error: { message: "out of order" } } } })
      const text = yield* run(at, ["exec", "hi"])
      assert.strictEqual(text.code, 1)
      const message = "out of order (HTTP status 500)"
      const [tries, last] = text.stderr.split("\n\n")
      assert.match(tries!.replace(message, "MESSAGE"), /\n! MESSAGE; trying again in \d\.\d s \(1\/1\)$/)
      assert.match(last!.replace(message, "MESSAGE"), /^✗ MESSAGE\n✗ failed · /)
      assert.strictEqual(text.stdout, "")
      const json = yield* run(at, ["exec", "--json", "hi"])
      assert.strictEqual(json.code, 1)
      assert.deepStrictEqual(events(json).slice(-2), [
        { type: "error", message },
        { type: "turn.failed", error: { message } }
      ])
    })
  )

  it.live("J3 continues a session, by its id and with --last", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "first answer" }] }] })
      const first = yield* run(at, ["exec", "--json", "first question"])
      const again = yield* run(at, ["exec", "--json", "resume", sessionOf(first), "second question"])
      const last = yield* run(at, ["exec", "--json", "resume", "--last", "-"], { input: "third question" })
      assert.deepStrictEqual([sessionOf(again), sessionOf(last), last.code], [sessionOf(first), sessionOf(first), 0])
      const input = JSON.stringify(at.server.requests[2]!.body.input)
      for (const text of ["first question", "first answer", "second question", "third question"]) {
        assert.include(input, text)
      }
      assert.strictEqual(events(last).at(-1).usage.input_tokens, 300)
    })
  )

  it.live("J3 continues a session with the model of the command line, which holds until another one is named", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const id = sessionOf(yield* run(at, ["exec", "--json", "one"]))
      yield* run(at, ["exec", "--json", "--model", "typed", "resume", id, "two"])
      yield* run(at, ["exec", "--json", "resume", id, "three"])
      yield* run(at, ["exec", "--json", "-c", 'model="configured"', "resume", id, "four"])
      assert.deepStrictEqual(
        at.server.requests.map(({ body }) => body.model),
        ["gpt-test", "typed", "typed", "configured"]
      )
    })
  )

  it.live("J3 continues a session with the model of the settings if the last turn ran with another provider", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const id = sessionOf(yield* run(at, ["exec", "--json", "one"]))
      const settings = {
        model_provider: "other",
        "model_providers.other.name": "other",
        "model_providers.other.base_url": at.server.baseUrl
      }
      const other = Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}="${value}"`])
      yield* run(at, ["exec", "--json", ...other, "--model", "theirs", "resume", id, "two"])
      yield* run(at, ["exec", "--json", ...other, "resume", id, "three"])
      yield* run(at, ["exec", "--json", "resume", id, "four"])
      yield* run(at, ["exec", "--json", "resume", id, "five"])
      assert.deepStrictEqual(
        at.server.requests.map(({ body }) => body.model),
        ["gpt-test", "theirs", "theirs", "gpt-test", "gpt-test"]
      )
    })
  )

  it.live("sends what the configuration says about the request, with the key that it requires", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const settings = {
        model_verbosity: "low",
        model_reasoning_summary: "detailed",
        service_tier: "fast",
        developer_instructions: "Answer in verse.",
        "model_providers.mock.requires_openai_auth": true
      }
      const flags = Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${JSON.stringify(value)}`])
      const without = yield* run(at, ["exec", ...flags, "hi"])
      assert.deepStrictEqual([without.code, at.server.requests.length], [78, 0])
      assert.match(without.stderr, /no key for model provider "mock": set CODEX_API_KEY or OPENAI_API_KEY/)
      const { code, stderr } = yield* run(at, ["exec", ...flags, "hi"], { env: { OPENAI_API_KEY: "sk-one" } })
      assert.strictEqual(code, 0, stderr)
      assert.notInclude(stderr, "no effect")
      const [{ body, headers }] = at.server.requests as readonly [any]
      assert.deepStrictEqual(
        [body.text, body.reasoning, body.service_tier, headers.authorization],
        [{ verbosity: "low" }, { summary: "detailed" }, "priority", "Bearer sk-one"]
      )
      assert.isTrue(body.instructions.endsWith("\n\nAnswer in verse."))
    })
  )

  it.live("sends images and the schema of the answer", () =>
    Effect.gen(function* () {
      const at = yield* world()
      Fs.writeFileSync(Path.join(at.cwd, "dot.png"), "not really")
      Fs.writeFileSync(Path.join(at.cwd, "schema.json"), '\ufeff{"type":"object"}')
      const { code } = yield* run(at, ["exec", "--output-schema", "schema.json", "--image", "dot.png", "look"])
      assert.strictEqual(code, 0)
      const { body } = at.server.requests[0]!
      assert.deepInclude(body.text.format, { type: "json_schema", schema: { type: "object" } })
      assert.include(JSON.stringify(body.input), "data:image/png;base64,bm90IHJlYWxseQ==")
    })
  )

  it.live("shows sessions as a list, as a transcript and as records", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "an answer" }] }, { events: [{ text: "another" }] }] })
      assert.deepStrictEqual((yield* run(at, ["sessions", "list"])).stdout, "no sessions yet\n")
      const id = sessionOf(yield* run(at, ["exec", "--json", "a question"]))
      const list = yield* run(at, ["sessions", "list"])
      assert.match(list.stdout, new RegExp(`^${id}  \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d   1 turn  .*  a question\n$`))
      const show = yield* run(at, ["sessions", "show", id])
      assert.match(show.stdout, /^> a question\nan answer\n/)
      const raw = yield* run(at, ["sessions", "show", "--json", id])
      assert.strictEqual(events(raw)[0]._tag, "SessionStarted")
      yield* run(at, ["exec", "resume", id, "and then"])
      const both = yield* run(at, ["sessions", "show", id])
      assert.match(both.stdout, /^> a question\nan answer\n(.*\n)+\n> and then\nanother\n/)
    })
  )

  it.live("puts a session away and brings it back", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "an answer" }] }, { events: [{ text: "another" }] }] })
      const id = sessionOf(yield* run(at, ["exec", "--json", "a question"]))
      assert.strictEqual((yield* run(at, ["sessions", "archive", id])).stdout, `archived ${id}\n`)
      assert.strictEqual((yield* run(at, ["sessions", "list"])).stdout, "no sessions yet\n")
      assert.include((yield* run(at, ["sessions", "list", "--archived"])).stdout, id)
      assert.include((yield* run(at, ["sessions", "show", id])).stdout, "an answer")
      const refused = yield* run(at, ["exec", "resume", id, "more"])
      assert.deepStrictEqual(
        [refused.code, refused.stderr],
        [1, `spindle: session ${id} is archived; unarchive it to continue it\n`]
      )
      const latest = yield* run(at, ["exec", "resume", "--last", "more"])
      assert.strictEqual(latest.code, 1)
      assert.strictEqual((yield* run(at, ["sessions", "unarchive", id])).stdout, `unarchived ${id}\n`)
      assert.strictEqual((yield* run(at, ["exec", "resume", "--last", "more"])).code, 0)
      assert.strictEqual((yield* run(at, ["sessions", "archive", "nobody"])).code, 1)
    })
  )

  it.live("J9 deletes a session with its page, by the beginning of its id", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "an answer" }] }] })
      const id = sessionOf(yield* run(at, ["exec", "--json", "a question"]))
      assert.strictEqual((yield* run(at, ["trace", id])).code, 0)
      const named = () =>
        Fs.readdirSync(at.home, { recursive: true, encoding: "utf8" }).filter((path) => path.includes(id))
      assert.isTrue(named().some((path) => path.startsWith("traces")))
      assert.strictEqual((yield* run(at, ["sessions", "delete", id.slice(0, -1)])).stdout, `deleted ${id}\n`)
      assert.deepStrictEqual(named(), [])
      const again = yield* run(at, ["sessions", "delete", id])
      assert.deepStrictEqual([again.code, again.stderr], [1, `spindle: session ${id} does not exist\n`])
    })
  )

  it.live("lists the latest sessions without --all, and no file that is not a journal", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const id = sessionOf(yield* run(at, ["exec", "--json", "a question"]))
      const [journal = ""] = journals(at.home)
      const copies = Array.from({ length: 51 }, (_, index) => `${id.slice(0, -3)}z${10 + index}`)
      const records = Fs.readFileSync(journal, "utf8")
      for (const copy of copies) Fs.writeFileSync(journal.replace(id, copy), records.replaceAll(id, copy))
      const count = (listed: Ended) => listed.stdout.split("\n").filter((line) => line.includes("a question")).length
      const latest = yield* run(at, ["sessions", "list"])
      assert.deepStrictEqual([latest.code, count(latest)], [0, 50])
      assert.match(latest.stdout, /\n2 more: spindle sessions list --all\n$/)
      for (const flag of ["--all", "--json"]) {
        const all = yield* run(at, ["sessions", "list", flag])
        assert.deepStrictEqual([all.code, count(all), all.stdout.includes("more")], [0, 52, false])
      }
      Fs.writeFileSync(journal, "garbage")
      const rest = yield* run(at, ["sessions", "list", "--all"])
      assert.deepStrictEqual([rest.code, count(rest), rest.stderr], [0, 51, ""])
    })
  )
})
