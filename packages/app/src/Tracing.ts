/**
 * Traces and metrics of the application. Their modules are loaded only if the settings enable them, so a program that
 * sends nothing starts as fast as without them.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as HttpClient from "effect/http/HttpClient"
import type { Settings } from "./Settings.ts"
import { networkIn } from "./settings/sandbox.ts"
import type { TelemetrySettings } from "./settings/telemetry.ts"

/** The options of a face about traces, in addition to the settings. */
export interface Options {
  /** True if the tree of spans is written at the end. */
  readonly isShown: boolean
  readonly write: (text: string) => void
  /** The version of the program. */
  readonly version: string
}

/** The settings that are measured. */
export type Measured = Pick<Settings, "features" | "sandbox" | "sandboxMode">

/** The most spans that are shown. */
const shownCapacity = 10_000

/**
 * Traces and measures the sessions that are made with this layer. Empty if the settings enable nothing. Closing it
 * sends the remaining spans and metrics, for at most three seconds, reports the number of spans that could not be sent,
 * and writes the tree.
 */
export const layer = (
  { features, sandbox, sandboxMode, telemetry: settings }: Measured & Pick<Settings, "telemetry">,
  options: Options
): Layer.Layer<never, never, HttpClient.HttpClient> => {
  const isShown = options.isShown || settings?.traces === "console" || settings?.isShown === true
  const isSent = settings?.traces === "otlp" || settings?.metrics === "otlp"
  if (!isSent && !isShown) return Layer.empty
  const all = { ...options, features, sandbox, sandboxMode, isShown }
  return Layer.unwrap(Effect.map(Effect.promise(load), (modules) => layerOf(modules, settings, all)))
}

const load = async () => {
  const [SpanTree, Telemetry] = await Promise.all([
    import("@spindle/telemetry/SpanTree"),
    import("@spindle/telemetry/Telemetry")
  ])
  return { SpanTree, Telemetry }
}

type Modules = Awaited<ReturnType<typeof load>>
type SpanData = Parameters<Modules["SpanTree"]["make"]>[0][number]

const layerOf = (
  { SpanTree, Telemetry }: Modules,
  settings: TelemetrySettings | undefined,
  { features, isShown, sandbox, sandboxMode, version, write }: Options & Measured
): Layer.Layer<never, never, HttpClient.HttpClient> => {
  if (settings === undefined || (settings.traces !== "otlp" && settings.metrics === "none")) {
    return Telemetry.layerConsole({
      write,
      metrics: false,
      capacity: shownCapacity,
      content: settings?.content ?? false
    })
  }
  const shown: Array<SpanData> = []
  const tree = Layer.effectDiscard(
    Effect.addFinalizer(() => Effect.sync(() => write(SpanTree.render(SpanTree.make(shown)))))
  )
  let lost = 0
  const reported = Layer.effectDiscard(
    Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (lost === 0) return
        const { origin } = new URL(settings.tracesEndpoint)
        write(`spindle: could not send ${lost} ${lost === 1 ? "span" : "spans"} to ${origin}\n`)
      })
    )
  )
  const otlp = Telemetry.layerOtlp({
    content: settings.content,
    sampleRatio: settings.sampleRatio,
    resource: { ...settings.resource, "service.version": settings.resource["service.version"] ?? version },
    tracesEndpoint: settings.traces === "otlp" ? settings.tracesEndpoint : false,
    metricsEndpoint: settings.metrics === "otlp" ? settings.metricsEndpoint : false,
    headers: settings.headers,
    protocol: settings.protocol,
    compression: settings.compression,
    metrics: {
      tags: { "app.version": version },
      sets: ["spindle", "gen_ai", ...(features.isEnabled("reference_metrics") ? (["reference"] as const) : [])],
      memoryEnabled: features.isEnabled("memories"),
      networkProxy: Effect.succeed(typeof networkIn(sandboxMode, sandbox) !== "boolean")
    },
    onDropped: (count) => void (lost += count),
    ...optionalField("timeout", settings.timeoutMillis),
    ...optionalField("interval", settings.intervalMillis),
    ...optionalField("metricsInterval", settings.metricsIntervalMillis),
    ...optionalField("queueCapacity", settings.queueCapacity),
    ...optionalField("batchSize", settings.batchSize),
    ...(isShown ? { onSpan: (span: SpanData) => void (shown.length < shownCapacity && shown.push(span)) } : {})
  })
  return Layer.provideMerge(otlp, isShown ? Layer.mergeAll(reported, tree) : reported)
}

const optionalField = <const Key extends string>(
  key: Key,
  value: number | undefined
): { readonly [K in Key]?: number } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [K in Key]: number })
