/**
 * The destinations of traces and metrics, from `--otel`, the table `[otel]` of the configuration, and the `OTEL_*`
 * variables of the OpenTelemetry specification.
 *
 * Nothing is sent unless one of them enables it. `OTEL_SDK_DISABLED=true` turns everything off. The table wins over the
 * variables, and the variable of one signal wins over the one for all. A variable that cannot be understood is ignored
 * with a warning, as the specification demands. A wrong key of the table is a `SettingsInvalid`.
 */
import * as TraceContext from "@spindle/core/TraceContext"
import * as Option from "effect/Option"
import * as Headers from "./headers.ts"
import type * as Table from "./table.ts"

/** The destination of one signal. */
export type Destination = "none" | "otlp" | "console"

/** The signals to send, their destinations and form. Undefined fields have the defaults of `Telemetry.layerOtlp`. */
export interface TelemetrySettings {
  readonly traces: Destination
  readonly metrics: Exclude<Destination, "console">
  /** True if spans may contain the content of messages and calls. */
  readonly content: boolean
  readonly sampleRatio: number
  readonly resource: { readonly [name: string]: string }
  readonly tracesEndpoint: string
  readonly metricsEndpoint: string
  readonly headers: { readonly [name: string]: string }
  readonly protocol: "http/protobuf" | "http/json"
  readonly compression: "gzip" | "none"
  readonly timeoutMillis: number | undefined
  readonly intervalMillis: number | undefined
  readonly metricsIntervalMillis: number | undefined
  readonly queueCapacity: number | undefined
  readonly batchSize: number | undefined
  /** Set if the tree of spans is shown in addition to being sent. */
  readonly isShown?: true | undefined
  /** The variables that were not understood. */
  readonly warnings: ReadonlyArray<string>
}

/** The environment of the program. */
export type Environment = { readonly [name: string]: string | undefined }

/** The sources of the settings. */
export interface Sources {
  readonly table: Table.Settings
  readonly env: Environment
  /** True if `--otel` was given. */
  readonly isAsked: boolean
}

/** The default address of a collector. */
const defaultEndpoint = "http://localhost:4318"

const exporters = ["none", "otlp-http", "otlp-grpc", "statsig"] as const

/** The exporters of the reference that this program does not have. */
const otherExporters: ReadonlyArray<string | undefined> = ["otlp-grpc", "statsig"]

/**
 * Reads the settings; undefined if nothing is sent. If nothing is sent because a variable was not understood, the
 * settings send nothing and carry the warning.
 */
export const read = ({ env, isAsked, table }: Sources): TelemetrySettings | undefined => {
  const found = variables(env)
  if (found.flag("OTEL_SDK_DISABLED") === true) return undefined
  const traces = signal({ table, found, isAsked, name: "traces" })
  const metrics = signal({ table, found, isAsked, name: "metrics" })
  if (traces.to === "none" && metrics.to === "none" && found.warnings.length === 0) return undefined
  const environment = table.text("otel.environment")
  return {
    traces: traces.to,
    metrics: metrics.to === "otlp" ? "otlp" : "none",
    content: table.flag("otel.log_user_prompt") ?? false,
    sampleRatio: sampleRatio(found),
    resource: {
      "service.name": "spindle",
      ...found.pairs("OTEL_RESOURCE_ATTRIBUTES"),
      ...(found.text("OTEL_SERVICE_NAME") === undefined ? {} : { "service.name": found.text("OTEL_SERVICE_NAME")! }),
      ...(environment === undefined ? {} : { "deployment.environment.name": environment })
    },
    tracesEndpoint: traces.endpoint,
    metricsEndpoint: metrics.endpoint,
    headers: { ...found.headers("OTEL_EXPORTER_OTLP_HEADERS"), ...traces.headers },
    protocol: traces.protocol,
    compression: found.choice("OTEL_EXPORTER_OTLP_COMPRESSION", ["gzip", "none"]) ?? "none",
    timeoutMillis: found.count("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT") ?? found.count("OTEL_EXPORTER_OTLP_TIMEOUT"),
    intervalMillis: found.count("OTEL_BSP_SCHEDULE_DELAY"),
    metricsIntervalMillis: found.count("OTEL_METRIC_EXPORT_INTERVAL"),
    queueCapacity: found.count("OTEL_BSP_MAX_QUEUE_SIZE"),
    batchSize: found.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
    ...(traces.to === "otlp" && traces.isShown ? { isShown: true } : {}),
    warnings: found.warnings
  }
}

interface Signal {
  readonly to: Destination
  readonly isShown: boolean
  readonly endpoint: string
  readonly protocol: TelemetrySettings["protocol"]
  readonly headers: { readonly [name: string]: string }
}

const signal = ({
  isAsked,
  name,
  found,
  table
}: {
  readonly table: Table.Settings
  readonly found: Variables
  readonly isAsked: boolean
  readonly name: "traces" | "metrics"
}): Signal => {
  const upper = name.toUpperCase()
  const own = name === "traces" ? "otel.trace_exporter" : "otel.metrics_exporter"
  const key = table.variant(own, exporters) === undefined && name === "traces" ? "otel.exporter" : own
  const configured = table.variant(key, exporters)
  if (otherExporters.includes(configured)) {
    const warning = `${key} = "${configured}" has no effect: this program has only otlp-http`
    if (!found.warnings.includes(warning)) found.warnings.push(warning)
  }
  const isTable = configured === "otlp-http" && table.isTable(key)
  const at = (field: string) => (isTable ? table.text([key, "otlp-http", field]) : undefined)
  const base = found.url("OTEL_EXPORTER_OTLP_ENDPOINT")
  const fromVariables =
    found.url(`OTEL_EXPORTER_OTLP_${upper}_ENDPOINT`) ??
    (base === undefined ? undefined : `${trimSlashes(base)}/v1/${name}`)
  const listed = found.choices(
    `OTEL_${upper}_EXPORTER`,
    name === "traces" ? ["otlp", "console", "none"] : ["otlp", "none"]
  )
  const wanted = listed.find((one) => one === "otlp") ?? listed[0]
  const to: Destination =
    configured !== undefined
      ? configured === "otlp-http"
        ? "otlp"
        : "none"
      : (wanted ?? (isAsked || fromVariables !== undefined ? "otlp" : "none"))
  const binary = isTable ? table.choice([key, "otlp-http", "protocol"], ["binary", "json"]) : undefined
  const protocol =
    found.choice(`OTEL_EXPORTER_OTLP_${upper}_PROTOCOL`, ["http/protobuf", "http/json"]) ??
    found.choice("OTEL_EXPORTER_OTLP_PROTOCOL", ["http/protobuf", "http/json"]) ??
    "http/protobuf"
  return {
    to,
    isShown: listed.includes("console"),
    // the endpoint of the reference's `exporter` is that of logs
    endpoint: at("endpoint")?.replace(/\/v1\/logs$/, `/v1/${name}`) ?? fromVariables ?? `${defaultEndpoint}/v1/${name}`,
    protocol: binary === undefined ? protocol : binary === "json" ? "http/json" : "http/protobuf",
    headers: {
      ...found.headers(`OTEL_EXPORTER_OTLP_${upper}_HEADERS`),
      ...(isTable ? Object.fromEntries(table.headers([key, "otlp-http", "headers"])) : {})
    }
  }
}

const trimSlashes = (url: string): string => url.replace(/\/+$/, "")

const sampleRatio = (found: Variables): number => {
  const sampler = found.choice("OTEL_TRACES_SAMPLER", [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio"
  ])
  if (sampler === undefined || sampler.endsWith("always_on")) return 1
  return sampler.endsWith("always_off") ? 0 : (found.ratio("OTEL_TRACES_SAMPLER_ARG") ?? 1)
}

/** Typed look-ups of variables. An empty one counts as not set. */
interface Variables {
  readonly warnings: Array<string>
  readonly text: (name: string) => string | undefined
  readonly flag: (name: string) => boolean | undefined
  readonly url: (name: string) => string | undefined
  readonly count: (name: string) => number | undefined
  readonly ratio: (name: string) => number | undefined
  readonly choice: <const A extends string>(name: string, choices: ReadonlyArray<A>) => A | undefined
  /** Returns the known entries of a list. The others are named in a warning. */
  readonly choices: <const A extends string>(name: string, choices: ReadonlyArray<A>) => ReadonlyArray<A>
  /** Reads `key=value,key=value`, percent-encoded. */
  readonly pairs: (name: string) => { readonly [key: string]: string }
  /** Reads the same form with HTTP headers. */
  readonly headers: (name: string) => { readonly [name: string]: string }
}

const variables = (env: Environment): Variables => {
  const warnings: Array<string> = []
  const text = (name: string) => {
    const value = env[name]?.trim()
    return value === "" ? undefined : value
  }
  const parseVariable = <A>(name: string, expected: string, parse: (value: string) => A | undefined): A | undefined => {
    const value = text(name)
    if (value === undefined) return undefined
    const result = parse(value)
    const warning = `${name} is ignored: it must be ${expected}`
    if (result === undefined && !warnings.includes(warning)) warnings.push(warning)
    return result
  }
  const number = (value: string) => (/^(\d+\.?\d*|\.\d+)$/.test(value) ? Number(value) : undefined)
  return {
    warnings,
    text,
    flag: (name) =>
      parseVariable(name, "true or false", (value) => (/^(true|false)$/i.test(value) ? /^t/i.test(value) : undefined)),
    url: (name) => parseVariable(name, "a URL that begins with http:// or https://", urlOf),
    count: (name) =>
      parseVariable(name, `a whole number from 1 to ${greatest}`, (value) => {
        const count = /^\d+$/.test(value) ? Number(value) : 0
        return count >= 1 && count <= greatest ? count : undefined
      }),
    ratio: (name) =>
      parseVariable(name, "a number from 0 to 1", (value) => ((number(value) ?? 2) <= 1 ? number(value) : undefined)),
    choice: (name, choices) =>
      parseVariable(name, `one of ${choices.join(", ")}`, (value) => choices.find((one) => one === value)),
    choices: (name, choices) => {
      const entries = (text(name) ?? "").split(",").flatMap((entry) => entry.trim() || [])
      const known = choices.filter((choice) => entries.includes(choice))
      if (known.length < new Set(entries).size) {
        const warning = `${name} is ignored${known.length === 0 ? "" : " in part"}: it must be one of ${choices.join(", ")}`
        if (!warnings.includes(warning)) warnings.push(warning)
      }
      return known
    },
    pairs: (name) => parseVariable(name, "key=value, separated by commas", pairsOf) ?? {},
    headers: (name) =>
      parseVariable(name, "HTTP headers as name=value, separated by commas", (value) => {
        const pairs = pairsOf(value)
        const isLegal = ([header, one]: readonly [string, string]) =>
          Headers.isName(header) && Headers.problemOf(one) === undefined
        return pairs !== undefined && Object.entries(pairs).every(isLegal) ? pairs : undefined
      }) ?? {}
  }
}

/** The longest time of a timer, in milliseconds. A timer with a longer time would fire at once. */
const greatest = 0x7fffffff

const urlOf = (value: string): string | undefined =>
  URL.canParse(value) && /^https?:$/.test(new URL(value).protocol) ? value : undefined

const pairsOf = (value: string): { readonly [key: string]: string } | undefined => {
  const pairs = value.split(",").filter((pair) => pair.trim() !== "")
  if (pairs.some((pair) => pair.indexOf("=") < 1)) return undefined
  try {
    return Object.fromEntries(
      pairs.map((pair) => {
        const at = pair.indexOf("=")
        return [pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())]
      })
    )
  } catch {
    return undefined
  }
}

/**
 * Reads the trace in which the program was started from `TRACEPARENT` and `TRACESTATE`. A malformed one is ignored with
 * a warning.
 */
export const callerOf = (
  env: Environment
): { readonly trace: TraceContext.TraceContext | undefined; readonly warning: string | undefined } => {
  const [traceparent, tracestate] = [env["TRACEPARENT"]?.trim() ?? "", env["TRACESTATE"]?.trim() ?? ""]
  if (traceparent === "") return { trace: undefined, warning: undefined }
  const trace = { traceparent, ...(tracestate === "" ? {} : { tracestate }) }
  return Option.isSome(TraceContext.toSpan(trace))
    ? { trace, warning: undefined }
    : { trace: undefined, warning: "TRACEPARENT is ignored: it is malformed" }
}
