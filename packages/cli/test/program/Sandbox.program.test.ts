/** Commands in the sandbox of this machine; the rest of the tests runs on machines without one, too. */
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { collector } from "../fixtures/collector.ts"
import { bin, command, run, type World, world } from "../fixtures/program.ts"

/** What the tools have returned to the model, in the request of this number. */
const outputsTo = ({ server }: World, request: number): string => JSON.stringify(server.requests[request]!.body.input)

const probe = spawnSync(process.execPath, [bin, "sandbox", "--", "true"], { encoding: "utf8" })
const title = (name: string) => (probe.status === 0 ? name : `${name} (skipped: ${probe.stderr.trim()})`)

describe.skipIf(probe.status !== 0)(title("spindle sandbox"), () => {
  it.live("runs a command as the mode allows, and exits with its code", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const script = ["--", "sh", "-c", "echo written > made; exit 3"]
      const written = yield* run(at, ["sandbox", "-s", "workspace-write", ...script])
      assert.deepStrictEqual([written.code, Fs.readFileSync(`${at.cwd}/made`, "utf8")], [3, "written\n"])
      const refused = yield* run(at, ["sandbox", "--", "touch", "other"])
      assert.strictEqual(refused.code, 1)
      assert.include(refused.stdout, "Read-only file system")
      assert.deepStrictEqual(Fs.readdirSync(at.cwd), ["made"])
    })
  )
})

/** A list of hosts that allows one and denies one. */
const listed = [
  ["-c", "default_permissions=dev"],
  ["-c", 'permissions.dev.network={ enabled = true, domains = { "a.example" = "allow", "c.example" = "deny" } }']
].flat()

/** A request through the proxy of the environment. */
const request = (host: string) =>
  `${process.execPath} -e 'fetch("http://${host}/").then((r) => console.log(r.status), () => process.exit(9))'`

describe.skipIf(probe.status !== 0)(title("spindle with a list of hosts"), () => {
  it.live("says which hosts a command was denied", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const { code, stderr } = yield* run(at, ["sandbox", ...listed, "--", "sh", "-c", request("b.example")])
      assert.deepStrictEqual(
        [code, stderr],
        [9, "spindle: network proxy: b.example:80 was denied: it is not in the list of allowed hosts\n"]
      )
    })
  )

  it.live("tells the model which hosts there are and which was denied, and a collector that the proxy is in use", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [command(request("c.example"))] }, { events: [{ text: "ok" }] }] })
      const { bodies, endpoint } = yield* collector
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" }
      const { code, stderr } = yield* run(at, ["exec", ...listed, "go"], { env })
      assert.strictEqual(code, 0, stderr)
      assert.include(outputsTo(at, 0), "<allowed_hosts>a.example</allowed_hosts>")
      assert.include(outputsTo(at, 0), "<denied_hosts>c.example</denied_hosts>")
      assert.include(outputsTo(at, 1), "c.example:80 was denied: the list of hosts denies it")
      const metric = JSON.stringify(bodies).match(/"name":"spindle.turn.network_proxy".*?"attributes":(\[.*?\])/)?.[1]
      assert.deepStrictEqual(JSON.parse(metric ?? "[]").slice(-1), [{ key: "active", value: { stringValue: "true" } }])
    })
  )
})

describe.skipIf(probe.status !== 0)(title("spindle exec in a sandbox"), () => {
  it.live("runs a command without a question, and tells the model what the sandbox refused", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [command("touch made")] }, { events: [{ text: "ok" }] }] })
      const { code, stderr, stdout } = yield* run(at, ["exec", "go"])
      assert.deepStrictEqual([code, stdout], [0, "ok\n"])
      assert.include(outputsTo(at, 1), "Read-only file system")
      assert.notInclude(stderr, "? Run this command?")
      assert.deepStrictEqual(Fs.readdirSync(at.cwd), [])
    })
  )

  it.live("lets commands and patches write in the workspace, and neither in its protected folders", () =>
    Effect.gen(function* () {
      const add = (path: string) => `*** Begin Patch\n*** Add File: ${path}\n+x\n*** End Patch\n`
      const at = yield* world({
        turns: [
          {
            events: [
              command("echo x > made; mkdir -p .git/hooks", "c1"),
              { custom: "apply_patch", input: add("patched"), callId: "c2" },
              { custom: "apply_patch", input: add(".codex/config.toml"), callId: "c3" }
            ]
          },
          { events: [{ text: "ok" }] }
        ]
      })
      const { code, stderr } = yield* run(at, ["exec", "--sandbox", "workspace-write", "go"])
      assert.strictEqual(code, 0, stderr)
      assert.include(outputsTo(at, 1), "Read-only file system")
      assert.include(outputsTo(at, 1), "the sandbox protects it")
      assert.deepStrictEqual(Fs.readdirSync(at.cwd).sort(), ["made", "patched"])
    })
  )
})
