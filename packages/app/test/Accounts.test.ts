import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import * as Redacted from "effect/Redacted"
import * as Accounts from "../src/Accounts.ts"
import { temporaryDirectory } from "../../core/test/fixtures/directories.ts"

const secret = "sk-very-secret"

const valueOf = (key: Redacted.Redacted<string> | undefined) => (key === undefined ? undefined : Redacted.value(key))

describe("keyOf", () => {
  it("returns the first variable that is set and not blank, without the white space around it", () => {
    const key = Accounts.keyOf({ ONE: " ", TWO: " two\n", THREE: "three" }, ["ZERO", "ONE", "TWO", "THREE"])
    assert.strictEqual(Redacted.value(key!), "two")
  })

  it("returns nothing if no variable is set, and shows no key", () => {
    assert.isUndefined(Accounts.keyOf({}, ["ONE"]))
    assert.notInclude(String(Accounts.keyOf({ ONE: "secret" }, ["ONE"])), "secret")
  })
})

describe("a command that prints the key", () => {
  const command = { command: "sh", args: ["-c", `echo ${secret}`], cwd: "/", timeoutMillis: 60_000 }

  it.live("gives the key without the white space around it", () =>
    Effect.gen(function* () {
      assert.strictEqual(valueOf(yield* Accounts.keyFrom(command)), secret)
    })
  )

  it.live.each([
    [{ command: "/nowhere/tool" }, /^the command \S+ cannot run \(ENOENT\)$/],
    [{ args: ["-c", `echo ${secret}; exit 3`] }, /^the command sh exited with 3$/],
    [{ args: ["-c", `echo ${secret}; kill -9 $$`] }, /^the command sh was ended by SIGKILL$/],
    [{ args: ["-c", "true"] }, /^the command sh printed no key$/],
    [{ args: ["-c", `echo ${secret}; echo ${secret}`] }, /^the command sh printed something that is not a key/],
    [{ args: ["-c", "trap '' TERM; sleep 600"], timeoutMillis: 10 }, /^the command sh did not end within 10 ms$/],
    [{ args: ["-c", `while :; do echo ${secret}; done`] }, /^the command sh printed more than 65536 bytes$/]
  ] as const)("fails with a reason that does not repeat what was printed: %j", ([changed, message]) =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(Accounts.keyFrom({ ...command, ...changed }))
      assert.match(failure.message, message)
      assert.notInclude(JSON.stringify(failure), secret)
    })
  )

  const alive = (pid: number) => {
    try {
      process.kill(pid, 0)
      return !/^State:\tZ/m.test(Fs.readFileSync(`/proc/${pid}/status`, "utf8"))
    } catch {
      return false
    }
  }
  const until = (holds: () => boolean): Effect.Effect<void> =>
    Effect.suspend(() => (holds() ? Effect.void : Effect.andThen(Effect.sleep(5), until(holds))))

  it.live("ends with its scope, and so does what it has started", () =>
    Effect.gen(function* () {
      const file = Path.join(yield* temporaryDirectory, "pid")
      const scope = yield* Scope.make()
      const args = ["-c", `sleep 600 & echo $! > ${file}.new; mv ${file}.new ${file}; wait`]
      const keys = yield* Scope.provide(Accounts.shareKey(Accounts.keyFrom({ ...command, args }), 0), scope)
      const waiting = yield* Effect.forkChild(Effect.flip(keys.get), { startImmediately: true })
      yield* until(() => Fs.existsSync(file))
      const pid = Number(Fs.readFileSync(file, "utf8"))
      assert.isTrue(alive(pid))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(waiting)).message, "the program ends")
      yield* until(() => !alive(pid))
    })
  )
})

describe("the file of keys", () => {
  it.effect("has the key of each provider, and is readable by its owner only", () =>
    Effect.gen(function* () {
      const home = Path.join(yield* temporaryDirectory, "home")
      const store = Accounts.fileStore(home)
      assert.isUndefined(yield* store.get("openai"))
      assert.isFalse(yield* store.remove("openai"))
      yield* store.set("openai", Redacted.make(secret))
      yield* store.set("other", Redacted.make("k"))
      assert.strictEqual(Fs.statSync(Accounts.fileOf(home)).mode & 0o777, 0o600)
      assert.strictEqual(Fs.statSync(home).mode & 0o777, 0o700)
      assert.deepStrictEqual([valueOf(yield* store.get("openai")), valueOf(yield* store.get("other"))], [secret, "k"])
      assert.isTrue(yield* store.remove("openai"))
      assert.deepStrictEqual(
        [valueOf(yield* store.get("openai")), valueOf(yield* store.get("other"))],
        [undefined, "k"]
      )
      assert.isTrue(yield* store.remove("other"))
      assert.deepStrictEqual(Fs.readdirSync(home), [])
    })
  )

  it.effect("is not used while others may read it", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const store = Accounts.fileStore(home)
      yield* store.set("openai", Redacted.make(secret))
      const file = Accounts.fileOf(home)
      for (const mode of [0o640, 0o604, 0o620, 0o601]) {
        Fs.chmodSync(file, mode)
        const why = `other users may read it (mode ${mode.toString(8)}); run: chmod 600 ${file}`
        assert.strictEqual((yield* Effect.flip(store.get("openai"))).message, `cannot read the keys in ${file}: ${why}`)
        const key = Redacted.make("other")
        assert.strictEqual(
          (yield* Effect.flip(store.set("openai", key))).message,
          `cannot store the key in ${file}: ${why}`
        )
      }
      Fs.chmodSync(file, 0o600)
      assert.strictEqual(valueOf(yield* store.get("openai")), secret)
    })
  )

  it.effect("that is damaged is named, without its content", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const file = Accounts.fileOf(home)
      const contents = ["", `{ "keys": "${secret}" }`, `{ "keys": { "openai": "${secret} x" } }`, "x".repeat(65_537)]
      for (const content of contents) {
        Fs.writeFileSync(file, content, { mode: 0o600 })
        const { message } = yield* Effect.flip(Accounts.fileStore(home).get("openai"))
        assert.match(message, /: (it is not JSON of the form|it has more than 65536 bytes)/)
        assert.notInclude(message, secret)
      }
    })
  )
})

/** A keyring in memory. */
const memory = (entries = new Map<string, string>()): Accounts.Keyring => ({
  AsyncEntry: class {
    readonly id: string
    constructor(service: string, account: string) {
      this.id = `${service}/${account}`
    }
    getPassword = async () => entries.get(this.id) ?? null
    setPassword = async (password: string) => void entries.set(this.id, password)
    deletePassword = async () => entries.delete(this.id)
  }
})

/** What the library does on a machine without a session bus. */
const locked: Accounts.Keyring = {
  AsyncEntry: class {
    getPassword = () => Promise.reject(new Error("no session bus\n\nStack backtrace:\n   0: <unknown>"))
    setPassword = () => Promise.reject(new Error("no session bus\n\nStack backtrace:\n   0: <unknown>"))
    deletePassword = () => Promise.reject(new Error("no session bus\n\nStack backtrace:\n   0: <unknown>"))
  }
}

describe("the keyring", () => {
  it.effect("has the key of each provider and home", () =>
    Effect.gen(function* () {
      const entries = new Map<string, string>()
      const store = (home: string) => Accounts.storeOf("keyring", home, async () => memory(entries))
      assert.strictEqual(yield* store("/one").set("openai", Redacted.make(secret)), "the keyring of this system")
      assert.strictEqual(valueOf(yield* store("/one").get("openai")), secret)
      assert.isUndefined(yield* store("/two").get("openai"))
      assert.isTrue(yield* store("/one").remove("openai"))
      assert.strictEqual(entries.size, 0)
    })
  )

  it("is that of the library, loaded as an installed one is", () => {
    const main = Path.join(import.meta.dirname, "fixtures", "keyring", "main.mjs")
    const printed = execFileSync(process.execPath, ["--conditions=spindle-source", main], { encoding: "utf8" })
    const expected = ["none", "the keyring of this system", "k", true, "none", false]
    assert.deepStrictEqual(JSON.parse(printed), expected)
  })

  it.effect("needs a library, which the failure names", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(Accounts.storeOf("keyring", "/home").get("openai"))
      assert.strictEqual(
        failure.message,
        "the keyring needs the library @napi-rs/keyring, which is not installed: " +
          'npm install -g @napi-rs/keyring, or set cli_auth_credentials_store = "file"'
      )
    })
  )

  it.effect("that cannot be used says why", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(Accounts.storeOf("keyring", "/home", async () => locked).get("openai"))
      assert.strictEqual(failure.message, "the keyring of this system cannot be used: no session bus")
    })
  )

  it.effect("gives way to the file where it cannot be used, with auto", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const broken = Accounts.storeOf("auto", home, async () => locked)
      assert.strictEqual(yield* broken.set("openai", Redacted.make(secret)), `the file ${Accounts.fileOf(home)}`)
      assert.strictEqual(valueOf(yield* broken.get("openai")), secret)
      const working = Accounts.storeOf("auto", home, async () => memory())
      assert.strictEqual(valueOf(yield* working.get("openai")), secret)
      assert.strictEqual(yield* working.set("openai", Redacted.make("new")), "the keyring of this system")
      assert.isTrue(yield* working.remove("openai"))
      assert.isUndefined(yield* Accounts.fileStore(home).get("openai"))
    })
  )
})

describe("storedKey", () => {
  it.effect("says how to sign in if there is no key", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const failure = yield* Effect.flip(Accounts.storedKey(Accounts.fileStore(home), "openai"))
      assert.strictEqual(
        failure.message,
        `the file ${Accounts.fileOf(home)} has none; to sign in, run: spindle login --help`
      )
    })
  )
})
