import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"

const fixture = fileURLToPath(new URL("fixtures/interrupted.ts", import.meta.url))

/** Runs the program, and does something each time it has said a word. */
const play = async (mode: string, on: { readonly [word: string]: (pid: number) => void } = {}) => {
  const child = spawn(process.execPath, ["--conditions=spindle-source", fixture, mode], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  let said = ""
  let read = 0
  child.stdout.on("data", (bytes: Buffer) => {
    said += bytes.toString()
    for (let end = said.indexOf("\n", read); end >= 0; end = said.indexOf("\n", read)) {
      on[said.slice(read, end)]?.(child.pid!)
      read = end + 1
    }
  })
  const [code, signal] = (await once(child, "close")) as [number | null, string | null]
  return { code, signal, said }
}
const send = (signal: NodeJS.Signals) => (pid: number) => void process.kill(pid, signal)

describe("run", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129]
  ] as const)("X2 ends a program in order at %s, with exit code %i", async (signal, code) => {
    const end = await play("wait", { ready: send(signal) })
    assert.deepStrictEqual(end, { code, signal: null, said: `ready\nstopping ${signal}\nfinalized\n` })
  })

  it("X2 kills and exits at once at a second SIGINT", async () => {
    const end = await play("stuck", { ready: send("SIGINT"), "stopping SIGINT": send("SIGINT") })
    assert.deepStrictEqual(end, { code: 130, signal: null, said: "ready\nstopping SIGINT\nkilled\n" })
  })

  it("X2 takes a SIGINT after a SIGTERM as the second one", async () => {
    const end = await play("stuck", { ready: send("SIGTERM"), "stopping SIGTERM": send("SIGINT") })
    assert.deepStrictEqual(end, { code: 130, signal: null, said: "ready\nstopping SIGTERM\nkilled\n" })
  })

  it("X2 takes two SIGINT of one key press as one", async () => {
    const end = await play("slow", { ready: send("SIGINT"), "stopping SIGINT": send("SIGINT") })
    assert.deepStrictEqual(end, { code: 130, signal: null, said: "ready\nstopping SIGINT\nfinalized\n" })
  })

  it("exits with the program's code and keeps the process alive until the program returns it", async () => {
    assert.strictEqual((await play("seven")).code, 7)
    assert.strictEqual((await play("later")).code, 3)
  })

  it("reports a defect and exits with 1", async () => {
    assert.deepStrictEqual(await play("die"), { code: 1, signal: null, said: "defect 1\n" })
  })

  it("X1 reports what is thrown outside of any effect, kills what must not outlive the process, and exits with 1", async () => {
    assert.deepStrictEqual(await play("throws"), { code: 1, signal: null, said: "defect 1\nkilled\n" })
  })

  it("ends in order when the reader of its output has gone", async () => {
    const child = spawn(process.execPath, ["--conditions=spindle-source", fixture, "pipe"], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let heard = ""
    child.stderr.on("data", (bytes: Buffer) => (heard += bytes.toString()))
    child.stdout.once("data", () => child.stdout.destroy())
    const [code] = (await once(child, "close")) as [number | null]
    assert.deepStrictEqual([code, heard], [141, "SIGPIPE"])
  })

  it("loses nothing that was written", async () => {
    assert.strictEqual((await play("loud")).said.length, (1 << 20) + 1)
  })
})
