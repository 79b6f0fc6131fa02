import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { collector } from "../fixtures/collector.ts"
import { allowed, command, run, sessionOf, world } from "../fixtures/program.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const callerId = "b7ad6b7169203331"
const TRACEPARENT = `00-${traceId}-${callerId}-01`

const script = { turns: [{ events: [command("echo $TRACEPARENT")] }, { events: [{ text: "done" }] }] }

describe("traces of the program", () => {
  it.live("O1 go to a collector below TRACEPARENT, on to the model and to processes; metrics go too", () =>
    Effect.gen(function* () {
      const at = yield* world(script)
      const { bodies, endpoint, metricNames, spans } = yield* collector
      const env = {
        TRACEPARENT,
        TRACESTATE: "vendor=1",
        OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_EXPORTER_OTLP_HEADERS: "x-key=a%20key",
        OTEL_SERVICE_NAME: "my-agent"
      }
      const { code, stderr } = yield* run(at, ["exec", ...allowed, "--json", "go"], { env })
      assert.deepStrictEqual([code, stderr], [0, ""])
      const all = spans()
      const ids = new Set(all.map((span) => span.spanId))
      assert.isTrue(all.every((span) => span.traceId === traceId))
      assert.isTrue(all.every((span) => span.parentSpanId === callerId || ids.has(span.parentSpanId!)))
      const named = (name: string) => all.find((span) => span.name === name)!
      const chat = named("chat gpt-test")
      for (const { headers } of at.server.requests) {
        const [, trace, parent] = String(headers["traceparent"]).split("-")
        assert.deepStrictEqual([trace, headers["tracestate"]], [traceId, "vendor=1"])
        assert.include(
          ["chat gpt-test"],
          all.find((span) => span.spanId === all.find((one) => one.spanId === parent)!.parentSpanId)!.name
        )
      }
      assert.strictEqual(named("execute_tool exec_command").parentSpanId, chat.parentSpanId)
      const output = at.server.requests[1]!.body.input.find((item: any) => item.type === "function_call_output")
      assert.include(String(output.output), `00-${traceId}-${named("process bash").spanId}-01`)
      assert.include(metricNames(), "spindle.turn.duration")
      const { headers, json } = bodies.find(({ path }) => path === "/v1/traces")!
      assert.strictEqual(headers["x-key"], "a key")
      assert.deepInclude(json.resourceSpans[0].resource.attributes, {
        key: "service.name",
        value: { stringValue: "my-agent" }
      })
    })
  )

  it.live("are not sent unless they are asked for, and TRACEPARENT is honoured anyway", () =>
    Effect.gen(function* () {
      const at = yield* world(script)
      const { code } = yield* run(at, ["exec", ...allowed, "go"], { env: { TRACEPARENT } })
      assert.strictEqual(code, 0)
      assert.match(String(at.server.requests[0]!.headers["traceparent"]), new RegExp(`^00-${traceId}-`))
      const output = at.server.requests[1]!.body.input.find((item: any) => item.type === "function_call_output")
      assert.include(String(output.output), TRACEPARENT)
    })
  )

  it.live("report in one line what is not understood, and continue", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "done" }] }] })
      const { endpoint } = yield* collector
      const env = {
        TRACEPARENT: "nonsense",
        OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_TRACES_SAMPLER: "sometimes"
      }
      const { code, stderr } = yield* run(at, ["exec", "--json", "go"], { env })
      assert.strictEqual(code, 0)
      assert.match(stderr, /^spindle: OTEL_TRACES_SAMPLER is ignored: it must be one of always_on, .*\n/)
      assert.match(stderr, /\nspindle: TRACEPARENT is ignored: it is malformed\n$/)
    })
  )

  it.live("report in one line what is not understood, even if nothing is sent because of it", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "done" }] }] })
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "localhost:4318" }
      const { code, stderr, stdout } = yield* run(at, ["exec", "go"], { env })
      assert.deepStrictEqual([code, stdout], [0, "done\n"])
      const warning = "OTEL_EXPORTER_OTLP_ENDPOINT is ignored: it must be a URL that begins with http:// or https://"
      assert.isTrue(stderr.startsWith(`spindle: ${warning}\n`), stderr)
    })
  )

  it.live(
    "a collector that cannot be reached changes neither the answer nor the exit code, and is reported in one line",
    () =>
      Effect.gen(function* () {
        const at = yield* world({ turns: [{ events: [{ text: "done" }] }] })
        const gone = yield* Effect.scoped(Effect.map(collector, ({ endpoint }) => endpoint))
        const { code, stderr, stdout } = yield* run(at, ["exec", "--otel", "go"], {
          env: { OTEL_EXPORTER_OTLP_ENDPOINT: gone }
        })
        assert.strictEqual(code, 0)
        assert.match(stderr, /\nspindle: could not send \d spans to http:\/\/127\.0\.0\.1:\d+\n$/)
        assert.strictEqual(stdout, "done\n")
      })
  )

  it.live("are shown as a tree by --trace, on stderr", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "done" }] }] })
      const { code, stderr, stdout } = yield* run(at, ["exec", "--trace", "--json", "go"])
      assert.strictEqual(code, 0)
      assert.isTrue(stdout.split("\n").every((line) => line === "" || line.startsWith("{")))
      assert.match(stderr, /^ +\S+ m?s {2}op\.dispatch\.user_input$/m)
      assert.match(stderr, /─ session_task\.turn {2}\(input_tokens=100, output_tokens=10\)$/m)
      assert.match(stderr, /─ chat gpt-test {2}\(input_tokens=100, output_tokens=10\)$/m)
      assert.match(stderr, /─ POST$/m)
    })
  )
})

describe("spindle trace", () => {
  it.live("writes a session as one page, from its journal alone", () =>
    Effect.gen(function* () {
      const at = yield* world(script)
      const id = sessionOf(yield* run(at, ["exec", ...allowed, "--json", "go <on>"]))
      const { code, stdout } = yield* run(at, ["trace", id])
      assert.deepStrictEqual([code, stdout], [0, `${Path.join(at.home, "traces", `${id}.html`)}\n`])
      assert.strictEqual(Fs.statSync(stdout.trim()).mode & 0o777, 0o600)
      assert.deepStrictEqual(Fs.readdirSync(at.cwd), [])
      const page = Fs.readFileSync(stdout.trim(), "utf8")
      assert.match(page, /^<!doctype html>/)
      assert.include(page, "go &#60;on&#62;")
      assert.include(page, "exec_command")
      assert.include(page, "echo $TRACEPARENT")
      const again = yield* run(at, ["trace", "--last", "--output", "-"])
      assert.deepStrictEqual([again.code, again.stdout], [0, page])
    })
  )

  it.live("says what is wrong in one line", () =>
    Effect.gen(function* () {
      const at = yield* world()
      for (const [args, code, text] of [
        [["trace"], 2, "give a session id, or --last"],
        [["trace", "--last"], 1, "there is no session of "],
        [["trace", "0199a213-81c0-7800-8aa1-bbab2a035a53"], 1, "0199a213-81c0-7800-8aa1-bbab2a035a53"]
      ] as const) {
        const ended = yield* run(at, args)
        assert.strictEqual(ended.code, code, ended.stderr)
        assert.match(ended.stderr, /^spindle: [^\n]+\n$/)
        assert.include(ended.stderr, text)
      }
    })
  )
})
