// The compiled code next to the bundle: that of this Node is used, and one that cannot be used changes nothing.
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Script } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { bin } from "../fixtures/program.ts"

const cacheName = `spindle-${process.versions.v8}-${process.arch}.cache`
const dist = Path.join(Path.dirname(bin), "../dist")

/** A copy of the program with the given cache; what it says about its version. */
const version = (cache: Uint8Array | undefined): string => {
  const root = Fs.mkdtempSync(Path.join(Os.tmpdir(), "spindle-test-"))
  try {
    for (const name of ["bin", "dist"]) Fs.mkdirSync(Path.join(root, name))
    Fs.writeFileSync(Path.join(root, "package.json"), `{"type":"module"}`)
    Fs.copyFileSync(bin, Path.join(root, "bin/spindle.js"))
    Fs.copyFileSync(Path.join(dist, "spindle.cjs"), Path.join(root, "dist/spindle.cjs"))
    if (cache !== undefined) Fs.writeFileSync(Path.join(root, "dist", cacheName), cache)
    const env = { PATH: process.env["PATH"], HOME: root, NODE_COMPILE_CACHE: Path.join(root, "node") }
    const args = [Path.join(root, "bin/spindle.js"), "--version"]
    return ChildProcess.execFileSync(process.execPath, args, { encoding: "utf8", env })
  } finally {
    Fs.rmSync(root, { recursive: true, force: true })
  }
}

describe("start", () => {
  it("the build leaves compiled code that this Node takes", () => {
    const source = Fs.readFileSync(Path.join(dist, "spindle.cjs"), "latin1")
    const script = new Script(`(function (require, __filename) {${source}\n})`, {
      cachedData: Fs.readFileSync(Path.join(dist, cacheName))
    })
    assert.isFalse(script.cachedDataRejected)
  })

  it("the bundle is what its reader takes it for: one byte a character", () => {
    assert.isTrue(Fs.readFileSync(Path.join(dist, "spindle.cjs")).every((byte) => byte < 128))
  })

  it.each([
    ["no compiled code", () => undefined],
    ["one that is no such thing", () => Buffer.from("not compiled")],
    ["one that breaks off", () => Fs.readFileSync(Path.join(dist, cacheName)).subarray(0, 100_000)]
  ])("starts with %s", (_, cache) => {
    assert.match(version(cache()), /^spindle \d+\.\d+\.\d+\n$/)
  })
})
