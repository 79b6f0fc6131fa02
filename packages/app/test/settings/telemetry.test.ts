import { assert, describe, it } from "@effect/vitest"
import * as Table from "../../src/settings/table.ts"
import * as TelemetrySettings from "../../src/settings/telemetry.ts"

const read = (
  toml: string,
  env: { readonly [name: string]: string } = {},
  isAsked = false
): TelemetrySettings.TelemetrySettings | undefined => {
  const parsed = Table.parse(toml)
  if (!("table" in parsed)) throw new Error(parsed.detail)
  const table = Table.make([{ source: "config.toml", table: parsed.table }], (source, key, expected) => {
    throw new Error(`${source}: ${key} must be ${expected}`)
  })
  return TelemetrySettings.read({ table, env, isAsked })
}

describe("telemetry of the program", () => {
  it("is off unless it is asked for", () => {
    assert.isUndefined(read(""))
    assert.isUndefined(read('[otel]\nenvironment = "test"\nexporter = "none"'))
    assert.isUndefined(read("", { OTEL_TRACES_EXPORTER: "none" }))
  })

  it("goes to this machine when --otel says no more", () => {
    const settings = read("", {}, true)!
    assert.deepStrictEqual(
      [settings.traces, settings.metrics, settings.tracesEndpoint, settings.metricsEndpoint, settings.protocol],
      ["otlp", "otlp", "http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics", "http/protobuf"]
    )
    assert.deepStrictEqual([settings.content, settings.sampleRatio, settings.warnings], [false, 1, []])
    assert.deepStrictEqual(settings.resource, { "service.name": "spindle" })
  })

  it("is asked for by an endpoint, to which the path of the signal is added", () => {
    const settings = read("", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/" })!
    assert.deepStrictEqual(
      [settings.tracesEndpoint, settings.metricsEndpoint],
      ["http://collector:4318/v1/traces", "http://collector:4318/v1/metrics"]
    )
  })

  it("takes the endpoint of one signal as it is, and sends that signal only", () => {
    const settings = read("", { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://traces/custom" })!
    assert.deepStrictEqual(
      [settings.traces, settings.tracesEndpoint, settings.metrics],
      ["otlp", "http://traces/custom", "none"]
    )
  })

  it("has the variables of the specification", () => {
    const settings = read("", {
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318",
      OTEL_EXPORTER_OTLP_HEADERS: "a=1,b=x%3Dy",
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: "b=z",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
      OTEL_EXPORTER_OTLP_TIMEOUT: "2500",
      OTEL_BSP_SCHEDULE_DELAY: "100",
      OTEL_BSP_MAX_QUEUE_SIZE: "64",
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "16",
      OTEL_METRIC_EXPORT_INTERVAL: "1000",
      OTEL_RESOURCE_ATTRIBUTES: "service.name=ignored,team=a%20b",
      OTEL_SERVICE_NAME: "mine",
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.25"
    })!
    assert.deepStrictEqual(settings, {
      traces: "otlp",
      metrics: "otlp",
      content: false,
      sampleRatio: 0.25,
      resource: { "service.name": "mine", team: "a b" },
      tracesEndpoint: "http://collector:4318/v1/traces",
      metricsEndpoint: "http://collector:4318/v1/metrics",
      headers: { a: "1", b: "z" },
      protocol: "http/json",
      compression: "gzip",
      timeoutMillis: 2500,
      intervalMillis: 100,
      metricsIntervalMillis: 1000,
      queueCapacity: 64,
      batchSize: 16,
      warnings: []
    })
  })

  it("is off whatever else says when the specification's switch says so", () => {
    assert.isUndefined(read('[otel]\ntrace_exporter = "otlp-http"', { OTEL_SDK_DISABLED: "true" }, true))
  })

  it("warns of a variable that it does not understand, once, and ignores it", () => {
    const settings = read(
      "",
      { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc", OTEL_TRACES_SAMPLER_ARG: "2", OTEL_TRACES_SAMPLER: "traceidratio" },
      true
    )!
    assert.deepStrictEqual([settings.protocol, settings.sampleRatio], ["http/protobuf", 1])
    assert.deepStrictEqual(settings.warnings, [
      "OTEL_EXPORTER_OTLP_PROTOCOL is ignored: it must be one of http/protobuf, http/json",
      "OTEL_TRACES_SAMPLER_ARG is ignored: it must be a number from 0 to 1"
    ])
  })

  it("ignores headers that HTTP cannot carry, with a warning", () => {
    for (const header of ["x=a%0Ab", "x=%E2%80%A6", "a b=c"]) {
      const { headers, warnings } = read("", { OTEL_TRACES_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_HEADERS: header })!
      const warning =
        "OTEL_EXPORTER_OTLP_HEADERS is ignored: it must be HTTP headers as name=value, separated by commas"
      assert.deepStrictEqual([headers, warnings], [{}, [warning]], header)
    }
  })

  it("has the keys of the reference's table, which win over variables", () => {
    const toml = `
[otel]
environment = "staging"
log_user_prompt = true
[otel.exporter.otlp-http]
endpoint = "https://otel.example.com/v1/logs"
protocol = "json"
headers = { "x-otlp-api-key" = "key" }
`
    const settings = read(toml, { OTEL_EXPORTER_OTLP_ENDPOINT: "http://elsewhere" })!
    assert.deepStrictEqual(
      [settings.traces, settings.tracesEndpoint, settings.protocol, settings.headers, settings.content],
      ["otlp", "https://otel.example.com/v1/traces", "http/json", { "x-otlp-api-key": "key" }, true]
    )
    assert.strictEqual(settings.resource["deployment.environment.name"], "staging")
    const off = read('[otel]\ntrace_exporter = "none"\nmetrics_exporter = "otlp-http"', {}, true)!
    assert.deepStrictEqual([off.traces, off.metrics], ["none", "otlp"])
  })

  it.each([
    [
      '[otel]\ntrace_exporter = "otlp-udp"',
      "config.toml: otel.trace_exporter must be none or otlp-http or otlp-grpc or statsig, or a table of that name"
    ],
    [
      '[otel]\nlog_user_prompt = "yes"\nexporter = "otlp-http"',
      "config.toml: otel.log_user_prompt must be true or false"
    ],
    [
      "[otel.trace_exporter.otlp-http]\nprotocol = 1",
      "config.toml: otel.trace_exporter.otlp-http.protocol must be one of binary, json"
    ]
  ])("refuses a wrong key of the table: %s", (toml, message) => {
    assert.throws(() => read(toml), message)
  })
})

describe("what the reference knows and this program does not", () => {
  it.each([
    '[otel]\nexporter = "otlp-grpc"',
    '[otel.exporter.otlp-grpc]\nendpoint = "http://x"',
    '[otel]\nexporter = "statsig"'
  ])("is named, and sends nothing: %s", (toml) => {
    const settings = read(toml)!
    assert.deepStrictEqual([settings.traces, settings.metrics], ["none", "none"])
    assert.match(settings.warnings.join(), /^otel\.exporter = "\S+" has no effect: this program has only otlp-http$/)
  })
})

describe("numbers and lists of the environment", () => {
  const numbers = [
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_EXPORTER_OTLP_TIMEOUT"
  ]
  it.each(numbers)("%s is a whole number from 1, or ignored with a warning", (name) => {
    for (const value of ["0", "-1", "1.5", "many", "2147483648"]) {
      const { batchSize, intervalMillis, metricsIntervalMillis, queueCapacity, timeoutMillis, warnings } = read(
        "",
        { [name]: value },
        true
      )!
      const values = [batchSize, intervalMillis, metricsIntervalMillis, queueCapacity, timeoutMillis]
      assert.isTrue(values.every((one) => one === undefined))
      assert.deepStrictEqual(warnings, [`${name} is ignored: it must be a whole number from 1 to 2147483647`])
    }
    assert.deepStrictEqual(read("", { [name]: "1" }, true)!.warnings, [])
  })

  it("a ratio may begin with a point, and of a list the known entries are used", () => {
    const ratio = { OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: ".5" }
    assert.strictEqual(read("", ratio, true)!.sampleRatio, 0.5)
    const both = read("", { OTEL_TRACES_EXPORTER: "otlp,console" })!
    assert.deepStrictEqual([both.traces, both.isShown, both.warnings], ["otlp", true, []])
    const one = read("", { OTEL_TRACES_EXPORTER: "zipkin, otlp" })!
    assert.deepStrictEqual([one.traces, one.isShown], ["otlp", undefined])
    assert.match(one.warnings.join(), /^OTEL_TRACES_EXPORTER is ignored in part: /)
  })
})

describe("callerOf", () => {
  const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

  it("O1 is what TRACEPARENT and TRACESTATE say, and undefined without them", () => {
    assert.deepStrictEqual(TelemetrySettings.callerOf({ TRACEPARENT, TRACESTATE: "vendor=1" }).trace, {
      traceparent: TRACEPARENT,
      tracestate: "vendor=1"
    })
    assert.deepStrictEqual(TelemetrySettings.callerOf({}), { trace: undefined, warning: undefined })
  })

  it("O1 is undefined, with a warning, if it is malformed", () => {
    const { trace, warning } = TelemetrySettings.callerOf({ TRACEPARENT: "00-1-2-3" })
    assert.deepStrictEqual([trace, warning], [undefined, "TRACEPARENT is ignored: it is malformed"])
  })
})
