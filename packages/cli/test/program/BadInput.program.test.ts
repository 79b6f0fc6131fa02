import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  allowed,
  command,
  journals,
  run,
  sessionOf,
  type StartOptions,
  start,
  type World,
  world
} from "../fixtures/program.ts"

interface Case {
  readonly name: string
  readonly args: ReadonlyArray<string>
  readonly code: number
  /** The one line on stderr, without its `spindle: ` and with HOME, WORK and URL for what differs. */
  readonly says: string
  readonly prepare?: (at: World) => void
  readonly options?: StartOptions
}

const config = (text: string) => (at: World) => Fs.writeFileSync(Path.join(at.home, "config.toml"), text)
const file = (name: string, text: string) => (at: World) => Fs.writeFileSync(Path.join(at.cwd, name), text)
const noKeys = { OPENAI_API_KEY: undefined, CODEX_API_KEY: undefined }
const id = "01a1fd5c-548c-760a-9f29-7d8f942664e6"

const cases: ReadonlyArray<Case> = [
  {
    name: "no command",
    args: [],
    code: 2,
    says: "a command is missing: exec, sessions, hooks, mcp, features, login, logout, trace, undo, review, demo, sandbox or doctor (see spindle --help)"
  },
  {
    name: "no prompt",
    args: ["exec"],
    code: 2,
    says: "give a prompt as an argument or on stdin (see spindle exec --help)"
  },
  { name: "an empty prompt", args: ["exec", " "], code: 2, says: "the prompt is empty (see spindle exec --help)" },
  {
    name: "an empty prompt on stdin",
    args: ["exec", "-"],
    code: 2,
    says: "give a prompt as an argument or on stdin (see spindle exec --help)",
    options: { input: " \n" }
  },
  {
    name: "a prompt that is too large",
    args: ["exec", "-"],
    code: 1,
    says: "the prompt has 1,048,577 characters; the limit is 1,048,576",
    options: { input: "x".repeat(1_048_577) }
  },
  {
    name: "an unknown flag",
    args: ["exec", "--jsn", "hi"],
    code: 2,
    says: "unknown flag --jsn; did you mean --json? (see spindle exec --help)"
  },
  {
    name: "a configuration that is not TOML",
    args: ["exec", "hi"],
    code: 78,
    prepare: config('model = "x"\nmodel_provider = "moc'),
    says: "cannot read the configuration HOME/config.toml:2:18: the string is not closed"
  },
  {
    name: "a configuration that is a named pipe",
    args: ["exec", "hi"],
    code: 78,
    prepare: ({ home }) => {
      Fs.rmSync(Path.join(home, "config.toml"))
      execFileSync("mkfifo", [Path.join(home, "config.toml")])
    },
    says: "cannot read the configuration HOME/config.toml: it is a named pipe, not a regular file"
  },
  {
    name: "a value of the wrong type",
    args: ["exec", "hi"],
    code: 78,
    prepare: config("model = 7\nopenai_base_url = 'http://127.0.0.1:1'"),
    says: "HOME/config.toml:1:1: model must be a text"
  },
  {
    name: "an unknown provider",
    args: ["exec", "-c", "model_provider=elsewhere", "hi"],
    code: 78,
    says: 'unknown model provider "elsewhere"; known providers: openai, anthropic, scripted, mock'
  },
  {
    name: "a missing key",
    args: ["exec", "-c", "model_provider=openai", "hi"],
    code: 78,
    options: { env: noKeys },
    says: 'no key for model provider "openai": set CODEX_API_KEY or OPENAI_API_KEY, or run spindle login'
  },
  {
    name: "the missing key of a provider",
    args: ["exec", "-c", "model_providers.mock.env_key=MOCK_KEY", "hi"],
    code: 78,
    says: 'no key for model provider "mock": set MOCK_KEY, or run spindle login'
  },
  {
    name: "nothing configured",
    args: ["exec", "hi"],
    code: 78,
    prepare: config(""),
    options: { env: noKeys },
    says:
      "No model is configured. Set OPENAI_API_KEY, run spindle login, or set model_provider in HOME/config.toml. " +
      "To try it without one: spindle demo"
  },
  {
    name: "a working directory that does not exist",
    args: ["exec", "--cd", "nowhere", "hi"],
    code: 2,
    says: "the directory WORK/nowhere does not exist"
  },
  {
    name: "a working directory that is a file",
    args: ["exec", "--cd", "a.txt", "hi"],
    code: 2,
    prepare: file("a.txt", ""),
    says: "WORK/a.txt is not a directory"
  },
  {
    name: "an unknown session",
    args: ["exec", "resume", id, "hi"],
    code: 1,
    says: `session ${id} does not exist`
  },
  {
    name: "a session id that is none",
    args: ["exec", "resume", "../x", "hi"],
    code: 1,
    says: "session ../x does not exist"
  },
  { name: "an unknown session to show", args: ["sessions", "show", id], code: 1, says: `session ${id} does not exist` },
  {
    name: "no last session",
    args: ["exec", "resume", "--last", "hi"],
    code: 1,
    says: "there is no session of WORK to resume (--all: the last one of any directory)"
  },
  {
    name: "a schema that is not JSON",
    args: ["exec", "--output-schema", "schema.json", "hi"],
    code: 2,
    prepare: file("schema.json", "{ type"),
    says: "schema.json is not valid JSON: Expected property name or '}' in JSON at position 2 (line 1 column 3)"
  },
  {
    name: "a schema that is not an object",
    args: ["exec", "--output-schema", "schema.json", "hi"],
    code: 2,
    prepare: file("schema.json", "7"),
    says: "schema.json is not a JSON Schema: it must be an object"
  },
  {
    name: "a schema that does not exist",
    args: ["exec", "--output-schema", "none.json", "hi"],
    code: 2,
    says: "cannot read none.json: no such file or directory"
  },
  {
    name: "an image that does not exist",
    args: ["exec", "--image", "none.png", "hi"],
    code: 2,
    says: "cannot read none.png: no such file or directory"
  },
  {
    name: "an image that is empty",
    args: ["exec", "--image", "empty.png", "hi"],
    code: 2,
    prepare: file("empty.png", ""),
    says: "cannot send empty.png: the file is empty"
  },
  {
    name: "a configuration with a key that nothing reads, if it is strict",
    args: ["exec", "--strict-config", "-c", "modell=x", "hi"],
    code: 78,
    says: "these keys of the configuration have no effect: modell"
  },
  {
    name: "an image that is none",
    args: ["exec", "--image", "a.txt", "hi"],
    code: 2,
    prepare: file("a.txt", "text"),
    says: "a.txt is not an image (png, jpeg, gif, webp)"
  }
]

const toldBy = (at: World, stderr: string) =>
  stderr.replaceAll(at.home, "HOME").replaceAll(at.cwd, "WORK").replaceAll(at.server.baseUrl, "URL")

describe("bad input", () => {
  it.live.each(cases)("$name: one clear line, and exit code $code", (one) =>
    Effect.gen(function* () {
      const at = yield* world({}, 0)
      one.prepare?.(at)
      const { code, stderr, stdout } = yield* run(at, one.args, one.options)
      assert.deepStrictEqual(
        { code, stderr: toldBy(at, stderr), stdout },
        { code: one.code, stderr: `spindle: ${one.says}\n`, stdout: "" }
      )
      assert.lengthOf(at.server.requests, 0)
    })
  )

  it.live("a server that refuses connections: tries again, then one line that names it", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const elsewhere = ["-c", "model_providers.mock.base_url=http://127.0.0.1:9/v1"]
      const { code, stderr, stdout } = yield* run(at, ["exec", ...elsewhere, "hi"])
      assert.strictEqual(code, 1)
      assert.strictEqual(stdout, "")
      assert.match(stderr, /\n✗ [^\n]*127\.0\.0\.1:9[^\n]*\n/)
      assert.include(stderr, "trying again in")
      assert.strictEqual((yield* run(at, ["exec", "resume", "--last", "again"])).code, 0)
    })
  )

  it.live("a key that is not accepted: one line with what the server says, and no second try", () =>
    Effect.gen(function* () {
      const refusal = { status: 401, body: { error: { message: "Incorrect API key provided" } } }
      const at = yield* world({ turns: [refusal] }, 0)
      const { code, stderr } = yield* run(at, ["exec", "hi"])
      assert.strictEqual(code, 1)
      assert.match(stderr, /\n✗ [^\n]*Incorrect API key provided[^\n]*\n/)
    })
  )

  it.live("a home that cannot be written: one line, and exit code 1", () =>
    Effect.gen(function* () {
      const at = yield* world()
      Fs.writeFileSync(Path.join(at.home, "sessions"), "in the way")
      const { code, stderr, stdout } = yield* run(at, ["exec", "hi"])
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.match(stderr, /^spindle: cannot open the session at \S+: a part of its path is not a directory\n$/)
    })
  )

  it.live("a file for the last message that cannot be written: one line, before the model is asked", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const missing = yield* run(at, ["exec", "-o", "no/where.txt", "hi"])
      assert.strictEqual(missing.stderr, "spindle: cannot write no/where.txt: its directory does not exist\n")
      const directory = yield* run(at, ["exec", "-o", ".", "hi"])
      assert.strictEqual(directory.stderr, "spindle: cannot write .: it is a directory\n")
      assert.deepStrictEqual([missing.code, directory.code, at.server.requests.length], [2, 2, 0])
    })
  )

  it.live("a file for the last message that the turn itself made impossible: one line, and the session is kept", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [command("rmdir sub")] }, { events: [{ text: "done" }] }] })
      Fs.mkdirSync(Path.join(at.cwd, "sub"))
      const { code, stderr } = yield* run(at, ["exec", ...allowed, "-o", "sub/last.txt", "hi"])
      assert.strictEqual(code, 1)
      assert.match(stderr, /\nspindle: cannot write sub\/last\.txt: no such file or directory\n$/)
      assert.lengthOf(journals(at.home), 1)
    })
  )

  it.live("J1 a file that is not a journal: neither listed nor resumed, and not changed", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const sessionId = sessionOf(yield* run(at, ["exec", "--json", "hi"]))
      const [journal = ""] = journals(at.home)
      Fs.writeFileSync(journal, "garbage")
      assert.strictEqual((yield* run(at, ["sessions", "list"])).stdout, "no sessions yet\n")
      for (const which of ["--last", sessionId]) {
        const again = yield* run(at, ["exec", "resume", which, "hi"])
        assert.strictEqual(again.code, 1)
        assert.match(again.stderr, /^spindle: [^\n]+\n$/)
      }
      assert.strictEqual(Fs.readFileSync(journal, "utf8"), "garbage")
      assert.deepStrictEqual(journals(at.home), [journal])
    })
  )

  it.live("a reader that takes the first lines only: stops in order, and says how to continue", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 1_000 }, () => [{ text: "x" }, { delay: 5 }]).flat()
      const at = yield* world({ turns: [{ events: many }] })
      const program = yield* start(at, ["exec", "--json", "hi"])
      yield* program.says("agent_message")
      yield* program.closeStdout
      const { code, stderr } = yield* program.ended
      assert.strictEqual(code, 141)
      assert.match(stderr, /^resume: spindle exec resume \S{36}\n$/)
    })
  )
})
