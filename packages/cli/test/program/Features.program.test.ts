import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { collector } from "../fixtures/collector.ts"
import { run, world } from "../fixtures/program.ts"

describe("features", () => {
  it.live("are listed with their stage and state", () =>
    Effect.gen(function* () {
      const at = yield* world()
      Fs.appendFileSync(Path.join(at.home, "config.toml"), "\n[features]\njs_repl = true\nnope = true\ncollab = true\n")
      const { code, stderr, stdout } = yield* run(at, ["features", "list", "--json", "--disable", "undo"])
      assert.strictEqual(code, 0)
      const found = new Map(
        stdout
          .trimEnd()
          .split("\n")
          .map((line) => [JSON.parse(line).name, JSON.parse(line)])
      )
      const enabled = (name: string) => [found.get(name).stage, found.get(name).enabled]
      assert.deepStrictEqual(enabled("js_repl"), ["experimental", true])
      assert.deepStrictEqual(enabled("undo"), ["stable", false])
      assert.deepStrictEqual(enabled("multi_agent"), ["beta", true])
      assert.strictEqual(
        stderr,
        "spindle: the feature collab is deprecated: use multi_agent\nspindle: unknown features: nope\n"
      )
      const text = yield* run(at, ["features", "list"])
      assert.match(text.stdout, /^undo +stable +true +turns take snapshots/m)
    })
  )

  it.live("that are unknown are named once, and refused with --strict-config", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "done" }] }] })
      Fs.appendFileSync(Path.join(at.home, "config.toml"), "\n[features]\nnope = true\n")
      const flags = ["--enable", "nope", "--disable", "other"]
      const { code, stderr } = yield* run(at, ["exec", ...flags, "--json", "go"])
      assert.deepStrictEqual(
        [code, stderr],
        [0, "spindle: unknown features: nope, other (see spindle features list)\n"]
      )
      const strict = yield* run(at, ["exec", ...flags, "--strict-config", "go"])
      assert.deepStrictEqual(
        [strict.code, strict.stderr],
        [78, "spindle: these keys of the configuration have no effect: features.nope, features.other\n"]
      )
    })
  )

  it.live("switch tools, and the memory flag of the metrics", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "done" }] }] })
      const { bodies, endpoint } = yield* collector
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" }
      for (const memory of ["--enable", "--disable"]) {
        const flags = ["--enable", "js_repl", "--enable", "reference_metrics", memory, "memories"]
        yield* run(at, ["exec", ...flags, "--json", "go"], { env })
        const sent = JSON.stringify(bodies.filter(({ path }) => path === "/v1/metrics").at(-1)!.json)
        const expected = String(memory === "--enable")
        assert.include(sent, `{"key":"tmp_mem_enabled","value":{"stringValue":"${expected}"}}`)
        assert.notInclude(sent, `{"key":"tmp_mem_enabled","value":{"stringValue":"${!(memory === "--enable")}"}}`)
      }
      const names = at.server.requests[0]!.body.tools.map((tool: any) => tool.name)
      assert.include(names, "js_repl")
    })
  )
})
