/**
 * The list of models that a provider serves, from its address `/models`, with a cache in the home.
 *
 * The list is fetched in the background, so it delays nothing: until it has arrived, the cache is used. Without a
 * network the cache is used whatever its age.
 */
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Directories from "../storage/Directories.ts"
import * as RegularFile from "../storage/RegularFile.ts"
import * as Catalog from "../settings/catalog.ts"

/** A list of models. */
export interface ModelList {
  /** Returns the model, if the list has it. */
  readonly find: (name: string) => Catalog.ModelInfo | undefined
  /** Returns true once there is a list. */
  readonly isKnown: () => boolean
}

/** The source of the list. */
export interface Source {
  readonly home: string
  readonly provider: string
  readonly baseUrl: string
  readonly query: ReadonlyArray<readonly [name: string, value: string]>
  readonly headers: ReadonlyArray<readonly [name: string, value: Redacted.Redacted]>
  readonly key: Effect.Effect<Redacted.Redacted<string> | undefined, { readonly message: string }>
  /** Adds the key to a request. */
  readonly authorize: (
    request: HttpClientRequest.HttpClientRequest,
    key: Redacted.Redacted<string>
  ) => HttpClientRequest.HttpClientRequest
}

/** The age at which a list is fetched again, in milliseconds. */
export const maxAge = 3_600_000
/** The limit of a fetch. */
const fetchLimit = "10 seconds"
const mostBytes = 8 * 1_048_576

const Cached = Schema.fromJsonString(
  Schema.Struct({
    fetchedAt: Schema.Finite,
    etag: Schema.optionalKey(Schema.String),
    models: Schema.Array(Catalog.CatalogModel)
  })
)
type Cached = typeof Cached.Type

/**
 * Makes the list, and fetches it in the background if the cache is too old. A failure is logged and leaves the cache as
 * it was. Closing the scope ends the request.
 */
export const make = (source: Source): Effect.Effect<ModelList, never, HttpClient.HttpClient | Scope.Scope> =>
  Effect.gen(function* () {
    const file = fileOf(source)
    let cached = yield* read(file)
    let models = mapOf(cached)
    const refresh = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      if (cached !== undefined && Math.abs(now - cached.fetchedAt) < maxAge) return
      const fetched = yield* fetch(source, cached)
      cached = { ...fetched, fetchedAt: now }
      models = mapOf(cached)
      yield* Effect.try({
        try: () => writeUnsafe(file, cached!),
        catch: (error): Failure => ({ message: String(error) })
      })
    })
    yield* refresh.pipe(
      Effect.catch(({ message }) => Effect.logDebug(`cannot list the models of ${source.provider}: ${message}`)),
      Effect.forkScoped
    )
    return { find: (name) => models.get(name), isKnown: () => cached !== undefined }
  })

/** Returns the file of the cache. A provider with another address has another list. */
export const fileOf = ({ baseUrl, home, provider }: Pick<Source, "baseUrl" | "home" | "provider">): string => {
  const digest = createHash("sha256").update(`${provider}\0${baseUrl}`).digest("hex")
  return Path.join(home, "models", `${digest.slice(0, 16)}.json`)
}

const mapOf = (cached: Cached | undefined): ReadonlyMap<string, Catalog.ModelInfo> =>
  new Map(cached?.models.map((entry) => [entry.slug, Catalog.infoOf(entry)]))

/** Reads the cache. Returns undefined if it is missing or damaged, or if it cannot be read, which is logged. */
const read = Effect.fnUntraced(function* (file: string) {
  if (!Fs.existsSync(file)) return undefined
  const text = yield* Effect.try({
    try: () => RegularFile.readTextUnsafe(file),
    catch: (error): Failure => ({ message: String(error) })
  }).pipe(
    Effect.catch(({ message }) => Effect.as(Effect.logDebug(`cannot read the list of models: ${message}`), undefined))
  )
  if (text === undefined) return undefined
  const decoded = Schema.decodeExit(Cached)(text)
  return Exit.isSuccess(decoded) ? decoded.value : undefined
})

const writeUnsafe = (file: string, cached: Cached): void => {
  Directories.makeUnsafe(Path.dirname(file))
  const next = `${file}.${process.pid}.new`
  Fs.writeFileSync(next, JSON.stringify(cached), { mode: 0o600 })
  Fs.renameSync(next, file)
}

interface Failure {
  readonly message: string
}

/** Fetches the list. Returns the cached one if the provider reports no change. */
const fetch = (
  source: Source,
  cached: Cached | undefined
): Effect.Effect<Pick<Cached, "etag" | "models">, Failure, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    const request = HttpClientRequest.get(`${source.baseUrl.replace(/\/+$/, "")}/models`).pipe(
      HttpClientRequest.appendUrlParams(Object.fromEntries(source.query)),
      HttpClientRequest.setHeaders(cached?.etag === undefined ? {} : { "if-none-match": cached.etag }),
      HttpClientRequest.setHeaders(
        Object.fromEntries(source.headers.map(([name, value]) => [name, Redacted.value(value) as string]))
      )
    )
    const key = yield* source.key
    const response = yield* client.execute(key === undefined ? request : source.authorize(request, key))
    if (response.status === 304 && cached !== undefined) return cached
    if (response.status !== 200) return yield* Effect.fail({ message: `HTTP status ${response.status}` })
    const etag = response.headers["etag"]
    return { models: modelsOf(yield* jsonOf(response)), ...(etag === undefined ? {} : { etag }) }
  }).pipe(
    Effect.timeoutOrElse({
      duration: fetchLimit,
      orElse: () => Effect.fail({ message: `no reply within ${fetchLimit}` })
    })
  )

const jsonOf = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<unknown, Failure> =>
  Effect.suspend(() => {
    let size = 0
    const bounded = Stream.tap(response.stream, (chunk) =>
      (size += chunk.length) > mostBytes
        ? Effect.fail<Failure>({ message: `the list has more than ${mostBytes} bytes` })
        : Effect.void
    )
    return Effect.flatMap(Stream.mkString(Stream.decodeText(bounded)), (text) =>
      Effect.try({ try: () => JSON.parse(text) as unknown, catch: () => ({ message: "the list is not JSON" }) })
    )
  })

/** The keys by which servers name the size of the context in tokens. */
const windowKeys = ["context_window", "context_length", "max_model_len", "max_context_length", "max_input_tokens"]

/**
 * Returns the models of a reply: entries of a catalog, or the models that servers of the OpenAI API list. Others are
 * left out.
 */
const modelsOf = (body: unknown): ReadonlyArray<typeof Catalog.CatalogModel.Type> => {
  const entries = ["models", "data"].flatMap((key) => {
    const list = (body as { readonly [key: string]: unknown } | null)?.[key]
    return Array.isArray(list) ? (list as ReadonlyArray<unknown>) : []
  })
  return entries.flatMap((entry) => {
    const decoded = Schema.decodeUnknownExit(Catalog.CatalogModel)(toCatalogEntry(entry))
    return Exit.isSuccess(decoded) ? [decoded.value] : []
  })
}

const toCatalogEntry = (entry: unknown): unknown => {
  if (typeof entry !== "object" || entry === null || "slug" in entry) return entry
  const { id, ...rest } = entry as { readonly [key: string]: unknown }
  const size = windowKeys.map((key) => rest[key]).find((value) => typeof value === "number")
  return { slug: id, ...(size === undefined ? {} : { context_window: size }) }
}
