import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Redacted } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as ModelList from "../../src/models/ModelList.ts"
import { temporaryDirectory } from "../../../core/test/fixtures/directories.ts"

type Reply = { readonly status: number; readonly body?: string; readonly etag?: string }

/** A provider that replies with these, one after the other, once `gate` is open; it does not reply after the last one. */
const provider = (replies: ReadonlyArray<Reply>) =>
  Effect.gen(function* () {
    const home = yield* temporaryDirectory
    const seen: Array<{ readonly url: string; readonly headers: { readonly [name: string]: string } }> = []
    const replied: Array<Deferred.Deferred<void>> = []
    for (const _ of replies) replied.push(yield* Deferred.make<void>())
    const client = HttpClient.make((request, url) => {
      const reply = replies[seen.length]
      seen.push({ url: url.toString(), headers: { ...request.headers } })
      if (reply === undefined) return Effect.never
      const { body, etag, status } = reply
      return Effect.succeed(
        HttpClientResponse.fromWeb(
          request,
          new Response(body ?? null, { status, headers: etag === undefined ? {} : { etag } })
        )
      )
    })
    const source = {
      home,
      provider: "p",
      baseUrl: "http://provider/v1/",
      query: [["version", "2"]],
      headers: [["x-one", Redacted.make("1")]],
      key: Effect.succeed(Redacted.make("secret")),
      authorize: HttpClientRequest.bearerToken
    } as const
    const list = Effect.provideService(ModelList.make(source), HttpClient.HttpClient, client)
    const cache = () => JSON.parse(Fs.readFileSync(ModelList.fileOf(source), "utf8"))
    return { list, seen, source, cache }
  })

/** Lets the request in the background and the reading of its body happen. */
const settle = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() =>
    holds()
      ? Effect.void
      : Effect.andThen(
          Effect.promise(() => new Promise(setImmediate)),
          settle(holds)
        )
  )

const catalog = JSON.stringify({ models: [{ slug: "one", context_window: 1000, auto_compact_token_limit: 900 }, 7] })

describe("the list of models", () => {
  it.effect("is fetched with the key, in the background, and is in the cache afterwards", () =>
    Effect.gen(function* () {
      const { cache, list, seen, source } = yield* provider([{ status: 200, body: catalog, etag: '"1"' }])
      const made = yield* list
      assert.isFalse(made.isKnown())
      yield* settle(() => made.isKnown() && Fs.existsSync(ModelList.fileOf(source)))
      assert.deepStrictEqual(
        [made.find("one")?.contextWindow, made.find("one")?.compactFromTokens, made.find("two")],
        [1000, 900, undefined]
      )
      assert.strictEqual(seen[0]!.url, "http://provider/v1/models?version=2")
      assert.deepInclude(seen[0]!.headers, { authorization: "Bearer secret", "x-one": "1" })
      assert.deepStrictEqual([cache().etag, cache().models.length], ['"1"', 1])
      assert.notInclude(Fs.readFileSync(ModelList.fileOf(source), "utf8"), "secret")
      const again = yield* list
      assert.strictEqual(again.find("one")?.contextWindow, 1000)
      assert.lengthOf(seen, 1)
    })
  )

  it.effect("is asked for again when it is too old, and kept if it has not changed", () =>
    Effect.gen(function* () {
      const { cache, list, seen } = yield* provider([{ status: 200, body: catalog, etag: '"1"' }, { status: 304 }])
      const made = yield* list
      yield* settle(() => made.isKnown())
      yield* TestClock.adjust(ModelList.maxAge)
      const again = yield* list
      assert.strictEqual(again.find("one")?.contextWindow, 1000)
      yield* settle(() => cache().fetchedAt === ModelList.maxAge)
      assert.strictEqual(seen[1]!.headers["if-none-match"], '"1"')
      assert.strictEqual(again.find("one")?.contextWindow, 1000)
    })
  )

  it.effect("is that of the cache without a network, and delays nothing", () =>
    Effect.gen(function* () {
      const { list, seen } = yield* provider([{ status: 200, body: catalog }, { status: 503 }])
      const made = yield* list
      yield* settle(() => made.isKnown())
      for (const count of [2, 3]) {
        yield* TestClock.adjust(ModelList.maxAge)
        // the third request has no reply at all
        const offline = yield* list
        yield* settle(() => seen.length === count)
        assert.strictEqual(offline.find("one")?.contextWindow, 1000)
      }
    })
  )

  it.effect("understands what other servers list", () =>
    Effect.gen(function* () {
      const data = [
        { id: "a", context_length: 1 },
        { id: "b", max_model_len: 2 },
        { id: "c", max_input_tokens: 3 },
        { id: "d" },
        { id: 5 },
        null
      ]
      const { list } = yield* provider([{ status: 200, body: JSON.stringify({ object: "list", data, models: [] }) }])
      const made = yield* list
      yield* settle(() => made.isKnown())
      assert.deepStrictEqual(
        ["a", "b", "c", "d"].map((name) => made.find(name)?.contextWindow),
        [1, 2, 3, undefined]
      )
      assert.isDefined(made.find("d"))
    })
  )

  it.effect("that is damaged or too large is no list", () =>
    Effect.gen(function* () {
      for (const body of ["{", "7", "x".repeat(9 * 1_048_576)]) {
        const { list, seen, source } = yield* provider([{ status: 200, body }])
        const made = yield* list
        yield* settle(() => seen.length === 1)
        assert.isUndefined(made.find("one"))
        Fs.mkdirSync(Path.dirname(ModelList.fileOf(source)), { recursive: true })
        Fs.writeFileSync(ModelList.fileOf(source), body)
        assert.isFalse((yield* list).isKnown())
      }
    })
  )

  it.effect("whose cache cannot be read is fetched", () =>
    Effect.gen(function* () {
      const { list, source } = yield* provider([{ status: 200, body: catalog }])
      Fs.mkdirSync(ModelList.fileOf(source), { recursive: true })
      const made = yield* list
      yield* settle(() => made.isKnown())
      assert.strictEqual(made.find("one")?.contextWindow, 1000)
    })
  )
})
