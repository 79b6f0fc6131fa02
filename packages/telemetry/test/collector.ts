/** A small collector for OTLP over HTTP (JSON and protobuf) that decodes spans and metrics. */
import type { IncomingMessage } from "node:http"
import { gunzipSync } from "node:zlib"
import type { SpanData } from "@spindle/telemetry"
import { Effect } from "effect"
import { serveHttp } from "../../core/test/fixtures/httpServers.ts"

/** A request to the collector. */
export interface Collected {
  readonly path: string
  readonly contentType: string
  readonly headers: IncomingMessage["headers"]
  readonly body: Buffer
}

/** Starts a collector on a local port in the current scope. It responds with `status()`. */
export const make = Effect.fnUntraced(function* (status: () => number = () => 200) {
  const requests: Array<Collected> = []
  const endpoint = yield* serveHttp((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const raw = Buffer.concat(chunks)
      requests.push({
        path: request.url ?? "",
        contentType: request.headers["content-type"] ?? "",
        headers: request.headers,
        body: request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw
      })
      response.writeHead(status(), { "content-type": "application/json" }).end("{}")
    })
  })
  const at = (path: string) => requests.filter((request) => request.path === path)
  return {
    endpoint,
    requests: requests as ReadonlyArray<Collected>,
    spans: (): ReadonlyArray<SpanData> => at("/v1/traces").flatMap(spansOf),
    metrics: () => at("/v1/metrics").map(metricsOf)
  }
})

const metricsOf = ({ body, contentType }: Collected): MetricsJson =>
  contentType === "application/json"
    ? (JSON.parse(body.toString()) as MetricsJson)
    : {
        resourceMetrics: fields(body)
          .filter(({ field }) => field === 1)
          .map((resource) => ({
            resource: { attributes: inside(resource, 1).flatMap((one) => keysOf(inside(one, 1))) },
            scopeMetrics: inside(resource, 2).map((scope) => ({ metrics: inside(scope, 2).map(metricOfProtobuf) }))
          }))
      }

const metricOfProtobuf = (metric: Field): MetricJson => {
  const text = (field: number) => inside(metric, field)[0]?.bytes.toString() ?? ""
  const [sum] = inside(metric, 7)
  const [histogram] = inside(metric, 9)
  return {
    name: text(1),
    description: text(2),
    unit: text(3),
    ...(sum === undefined
      ? {}
      : {
          sum: {
            isMonotonic: inside(sum, 3)[0]?.number === 1n,
            dataPoints: inside(sum, 1).map((point) => ({ attributes: keysOf(inside(point, 7)) }))
          }
        }),
    ...(histogram === undefined
      ? {}
      : { histogram: { dataPoints: inside(histogram, 1).map((point) => ({ attributes: keysOf(inside(point, 9)) })) } })
  }
}

const keysOf = (keyValues: ReadonlyArray<Field>): ReadonlyArray<KeyValue> =>
  Object.entries(attributesOf(keyValues)).map(([key, value]) => ({ key, value: { stringValue: value } }))

/** The part of a request with metrics, in JSON, that the tests read. */
export interface MetricsJson {
  readonly resourceMetrics: ReadonlyArray<{
    readonly resource: { readonly attributes: ReadonlyArray<KeyValue> }
    readonly scopeMetrics: ReadonlyArray<{
      readonly metrics: ReadonlyArray<MetricJson>
    }>
  }>
}

/** A metric in a request in JSON. */
export interface MetricJson {
  readonly name: string
  readonly unit: string
  readonly description: string
  readonly sum?: { readonly isMonotonic: boolean; readonly dataPoints: ReadonlyArray<PointJson> }
  readonly histogram?: { readonly dataPoints: ReadonlyArray<PointJson> }
}

interface PointJson {
  readonly attributes: ReadonlyArray<KeyValue>
}

interface KeyValue {
  readonly key: string
  readonly value: { readonly [kind: string]: unknown }
}

const spansOf = ({ body, contentType }: Collected): ReadonlyArray<SpanData> =>
  contentType === "application/json"
    ? (JSON.parse(body.toString()) as any).resourceSpans.flatMap((resource: any) =>
        resource.scopeSpans.flatMap((scope: any) => scope.spans.map(spanOfJson))
      )
    : fields(body)
        .filter(({ field }) => field === 1)
        .flatMap((resource) => inside(resource, 2).flatMap((scope) => inside(scope, 2).map(spanOfProtobuf)))

const kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"] as const

const spanOfJson = (span: any): SpanData => ({
  traceId: span.traceId,
  spanId: span.spanId,
  parentSpanId: span.parentSpanId,
  name: span.name,
  kind: kinds[span.kind as 1],
  startNanos: BigInt(span.startTimeUnixNano),
  endNanos: BigInt(span.endTimeUnixNano),
  attributes: attributesOfJson(span.attributes),
  events: span.events.map((event: any) => ({
    name: event.name,
    atNanos: BigInt(event.timeUnixNano),
    attributes: attributesOfJson(event.attributes)
  })),
  links: span.links.map((link: any) => ({
    traceId: link.traceId,
    spanId: link.spanId,
    attributes: attributesOfJson(link.attributes)
  })),
  status: span.status.code === 2 ? "error" : "unset",
  statusMessage: span.status.message
})

const attributesOfJson = (attributes: ReadonlyArray<KeyValue>) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, valueOfJson(value)]))

const valueOfJson = (value: any): unknown =>
  value.arrayValue === undefined
    ? (value.stringValue ?? value.boolValue ?? value.doubleValue ?? Number(value.intValue))
    : value.arrayValue.values.map(valueOfJson)

/** One field of a protobuf message: a number, or the bytes of something of a length. */
interface Field {
  readonly field: number
  readonly number: bigint
  readonly bytes: Buffer
}

/** Reads the fields of a message (https://protobuf.dev/programming-guides/encoding). */
const fields = (message: Buffer): ReadonlyArray<Field> => {
  const found: Array<Field> = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]!
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  const empty = Buffer.alloc(0)
  while (at < message.length) {
    const tag = Number(varint())
    const field = tag >> 3
    switch (tag & 7) {
      case 0:
        found.push({ field, number: varint(), bytes: empty })
        break
      case 1:
        found.push({ field, number: message.readBigUInt64LE(at), bytes: message.subarray(at, at + 8) })
        at += 8
        break
      case 2: {
        const length = Number(varint())
        found.push({ field, number: 0n, bytes: message.subarray(at, at + length) })
        at += length
        break
      }
      case 5:
        found.push({ field, number: BigInt(message.readUInt32LE(at)), bytes: message.subarray(at, at + 4) })
        at += 4
        break
      default:
        throw new Error(`unknown wire type in tag ${tag}`)
    }
  }
  return found
}

const inside = ({ bytes }: Field, field: number) => fields(bytes).filter((one) => one.field === field)

const spanOfProtobuf = ({ bytes }: Field): SpanData => {
  const own = fields(bytes)
  const all = (field: number) => own.filter((one) => one.field === field)
  const text = (field: number) => all(field)[0]?.bytes.toString()
  const id = (field: number) => all(field)[0]?.bytes.toString("hex")
  const status = all(15).flatMap(({ bytes }) => fields(bytes))
  return {
    traceId: id(1)!,
    spanId: id(2)!,
    parentSpanId: id(4),
    name: text(5)!,
    kind: kinds[Number(all(6)[0]?.number ?? 0n) as 1],
    startNanos: all(7)[0]!.number,
    endNanos: all(8)[0]!.number,
    attributes: attributesOf(all(9)),
    events: all(11).map(({ bytes }) => {
      const event = fields(bytes)
      return {
        name: event.find(({ field }) => field === 2)!.bytes.toString(),
        atNanos: event.find(({ field }) => field === 1)!.number,
        attributes: attributesOf(event.filter(({ field }) => field === 3))
      }
    }),
    links: all(13).map(({ bytes }) => {
      const link = fields(bytes)
      return {
        traceId: link.find(({ field }) => field === 1)!.bytes.toString("hex"),
        spanId: link.find(({ field }) => field === 2)!.bytes.toString("hex"),
        attributes: attributesOf(link.filter(({ field }) => field === 4))
      }
    }),
    status: status.some(({ field, number }) => field === 3 && number === 2n) ? "error" : "unset",
    statusMessage: status.find(({ field }) => field === 2)?.bytes.toString()
  }
}

const attributesOf = (keyValues: ReadonlyArray<Field>) =>
  Object.fromEntries(
    keyValues.map((keyValue) => [
      inside(keyValue, 1)[0]?.bytes.toString() ?? "",
      valueOf(inside(keyValue, 2)[0]?.bytes ?? Buffer.alloc(0))
    ])
  )

const valueOf = (value: Buffer): unknown => {
  const one = fields(value)[0]
  switch (one?.field) {
    case 1:
      return one.bytes.toString()
    case 2:
      return one.number === 1n
    case 3:
      return Number(one.number)
    case 4:
      return one.bytes.readDoubleLE(0)
    case 5:
      return fields(one.bytes).map(({ bytes }) => valueOf(bytes))
    default:
      return undefined
  }
}
