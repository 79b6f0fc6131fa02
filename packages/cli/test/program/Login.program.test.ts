import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { allowed, command, journals, run, type World, world } from "../fixtures/program.ts"

const secret = "sk-very-secret-0123456789"

/** The provider needs a key. */
const needingKey = (at: World) => Fs.appendFileSync(Path.join(at.home, "config.toml"), '\nenv_key = "MOCK_KEY"\n')
const login = (at: World, input = `${secret}\n`) => run(at, ["login", "--with-api-key"], { input })
const authorizations = (at: World) => at.server.requests.map(({ headers }) => headers["authorization"])

describe("login", () => {
  it.live("stores the key that is on stdin, and exec sends it", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "done" }] }] })
      needingKey(at)
      const before = yield* run(at, ["login", "status"])
      assert.deepStrictEqual([before.code, before.stdout], [1, "mock: no key\n"])
      const stored = yield* login(at)
      assert.deepStrictEqual(
        [stored.code, stored.stdout, stored.stderr],
        [0, "", `spindle: stored the key of mock in the file ${at.home}/auth.json\n`]
      )
      const status = yield* run(at, ["login", "status"])
      assert.deepStrictEqual([status.code, status.stdout], [0, `mock: the key is from the file ${at.home}/auth.json\n`])
      assert.strictEqual((yield* run(at, ["exec", "go"])).code, 0)
      assert.deepStrictEqual(authorizations(at), [`Bearer ${secret}`])
      const other = yield* run(at, ["login", "status"], { env: { MOCK_KEY: "other" } })
      assert.strictEqual(other.stdout, "mock: the key is from the variable MOCK_KEY\n")
      const out = yield* run(at, ["logout"])
      assert.strictEqual(out.stderr, `spindle: removed the key of mock from the file ${at.home}/auth.json\n`)
      const after = yield* run(at, ["exec", "go"])
      assert.deepStrictEqual(
        [after.code, after.stderr],
        [78, 'spindle: no key for model provider "mock": set MOCK_KEY, or run spindle login\n']
      )
    })
  )

  it.live("refuses what is not a key, and shows none of it", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const wrong = yield* login(at, `${secret} ${secret}`)
      assert.deepStrictEqual(
        [wrong.code, wrong.stderr],
        [2, "spindle: standard input is not a key: it has white space or characters that no key has\n"]
      )
      const empty = yield* login(at, " ")
      assert.deepStrictEqual(
        [empty.code, empty.stderr],
        [2, "spindle: give the key on stdin: printenv OPENAI_API_KEY | spindle login --with-api-key\n"]
      )
    })
  )

  it.live("a file that others may read is refused, and nothing is sent", () =>
    Effect.gen(function* () {
      const at = yield* world()
      needingKey(at)
      yield* login(at)
      const file = Path.join(at.home, "auth.json")
      Fs.chmodSync(file, 0o644)
      const { code, stderr } = yield* run(at, ["exec", "go"])
      const why = `other users may read it (mode 644); run: chmod 600 ${file}`
      assert.deepStrictEqual([code, stderr], [78, `spindle: cannot read the keys in ${file}: ${why}\n`])
      assert.lengthOf(at.server.requests, 0)
    })
  )
})

describe("a key", () => {
  it.live("is in no journal, no output, no trace and no command, wherever it comes from", () =>
    Effect.gen(function* () {
      const refusal = { status: 401, body: { error: { message: `the key ${secret} is wrong` } } }
      const turns = [{ events: [command("env")] }, refusal]
      const sources: ReadonlyArray<{
        readonly prepare: (at: World) => Effect.Effect<unknown>
        readonly env?: { readonly [name: string]: string }
      }> = [
        { prepare: (at) => Effect.sync(() => needingKey(at)), env: { MOCK_KEY: secret } },
        { prepare: (at) => Effect.tap(login(at), () => Effect.sync(() => needingKey(at))) },
        {
          prepare: (at) =>
            Effect.sync(() => {
              const auth = `\nauth = { command = "sh", args = ["-c", "echo ${secret}"] }\n`
              Fs.appendFileSync(Path.join(at.home, "config.toml"), auth)
            })
        }
      ]
      for (const { env = {}, prepare } of sources) {
        // the second attempt with a key that was asked for again
        const at = yield* world({ turns: [...turns, refusal] }, 0)
        yield* prepare(at)
        const ended = yield* run(at, ["exec", ...allowed, "--json", "--trace", "go"], { env })
        assert.strictEqual(ended.code, 1)
        assert.strictEqual(authorizations(at)[0], `Bearer ${secret}`)
        assert.include(ended.stdout, "PATH=", "the command ran")
        const texts = [ended.stdout, ended.stderr, ...journals(at.home).map((file) => Fs.readFileSync(file, "utf8"))]
        assert.lengthOf(texts, 3)
        for (const text of texts) assert.notInclude(text, secret)
      }
    })
  )
})
