import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Redacted, Effect } from "effect"
import * as Accounts from "../../src/Accounts.ts"
import * as RegularFile from "../../src/storage/RegularFile.ts"
import * as RuleFiles from "../../src/RuleFiles.ts"

let root: string
beforeEach(() => {
  root = Fs.mkdtempSync(Path.join(Os.tmpdir(), "spindle-files-"))
})
afterEach(() => Fs.rmSync(root, { recursive: true }))

/** A named pipe that no process has open: to open it for reading waits for ever, unless it is opened without waiting. */
const pipe = (...names: ReadonlyArray<string>): string => {
  const path = Path.join(root, ...names)
  Fs.mkdirSync(Path.dirname(path), { recursive: true })
  execFileSync("mkfifo", ["-m", "600", path])
  return path
}
const noPipe = "it is a named pipe, not a regular file"

describe("readUnsafe", () => {
  it("returns the bytes of a file, through a symbolic link too", () => {
    Fs.writeFileSync(Path.join(root, "a"), "grüße")
    Fs.symlinkSync("a", Path.join(root, "b"))
    assert.strictEqual(RegularFile.readTextUnsafe(Path.join(root, "b")), "grüße")
  })

  it("X2 refuses a named pipe at once", () => {
    assert.throws(() => RegularFile.readUnsafe(pipe("pipe")), noPipe)
  })

  it("refuses a device without an end, and reads one that is empty as an empty file", () => {
    assert.throws(() => RegularFile.readUnsafe("/dev/zero"), "it is a device, not a regular file")
    assert.strictEqual(RegularFile.readTextUnsafe("/dev/null"), "")
  })

  it("throws what the system reports of a file that does not exist, and of a directory", () => {
    assert.throws(() => RegularFile.readUnsafe(Path.join(root, "none")), /ENOENT/)
    assert.throws(() => RegularFile.readUnsafe(root), /EISDIR/)
  })
})

describe("a named pipe in the place of a file", () => {
  it("X2 of rules stops no command, and is a problem that is shown", () => {
    const ofProject = pipe("project", ".spindle", "rules", "a.rules")
    const ofHome = pipe("home", "rules", "a.rules")
    const places = { home: Path.join(root, "home"), cwd: Path.join(root, "project") }
    const found = RuleFiles.read(places)
    assert.deepStrictEqual(found.untrusted, [ofProject])
    assert.include(RuleFiles.warningsOf(places.home, found).join(), `${ofHome}:1:1: cannot read it: ${noPipe}`)
  })

  it.effect("X2 of keys is refused", () =>
    Effect.gen(function* () {
      const path = Accounts.fileOf(root)
      pipe(Path.relative(root, path))
      const store = Accounts.fileStore(root)
      assert.include((yield* Effect.flip(store.get("openai"))).message, noPipe)
      assert.include((yield* Effect.flip(store.set("openai", Redacted.make("key")))).message, noPipe)
    })
  )
})
