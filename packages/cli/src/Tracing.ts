/**
 * The program's traces and metrics. What they need is loaded when they are asked for, so that a program that sends
 * nothing starts as fast as without.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as EnvHttpClient from "./internal/envHttpClient.ts"
import type { TelemetrySettings } from "./TelemetrySettings.ts"
import { version } from "./Version.ts"

/** What to do with traces beside sending them. */
export interface TracingOptions {
  /** Whether the tree of spans is written at the end. */
  readonly isShown: boolean
  readonly write: (text: string) => void
}

/** The most spans that are shown. */
const shownCapacity = 10_000

/**
 * The layer for whatever makes sessions; nothing when nothing was asked for. Closing it sends what is left, for three
 * seconds at most, says how many spans nobody took, and writes the tree.
 */
export const layer = (settings: TelemetrySettings | undefined, options: TracingOptions): Layer.Layer<never> => {
  const isShown = options.isShown || settings?.traces === "console"
  const isSent = settings?.traces === "otlp" || settings?.metrics === "otlp"
  if (!isSent && !isShown) return Layer.empty
  return Layer.unwrap(Effect.map(Effect.promise(load), (modules) => made(modules, settings, { ...options, isShown })))
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

const made = (
  { SpanTree, Telemetry }: Modules,
  settings: TelemetrySettings | undefined,
  { isShown, write }: TracingOptions
): Layer.Layer<never> => {
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
  const told = Layer.effectDiscard(
    Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (lost === 0) return
        const { origin } = new URL(settings.tracesEndpoint)
        write(`spindle: ${lost} ${lost === 1 ? "span was" : "spans were"} not taken by ${origin}\n`)
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
    metrics: { tags: { "app.version": version } },
    onDropped: (count) => void (lost += count),
    ...given("timeout", settings.timeoutMillis),
    ...given("interval", settings.intervalMillis),
    ...given("metricsInterval", settings.metricsIntervalMillis),
    ...given("queueCapacity", settings.queueCapacity),
    ...given("batchSize", settings.batchSize),
    ...(isShown ? { onSpan: (span: SpanData) => void (shown.length < shownCapacity && shown.push(span)) } : {})
  }).pipe(Layer.provide(client))
  return Layer.provideMerge(otlp, isShown ? Layer.mergeAll(told, tree) : told)
}

/** An environment that cannot be used stops the program where the model is made, with the reason. */
const client = Layer.catch(EnvHttpClient.layer(process.env), () => NodeHttpClient.layerNodeHttp)

const given = <const Key extends string>(key: Key, value: number | undefined): { readonly [K in Key]?: number } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [K in Key]: number })
