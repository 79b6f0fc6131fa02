import { assert, describe, it } from "@effect/vitest"
import { createServer } from "node:http"
import { Effect, Layer } from "effect"
import { HttpClient } from "effect/http"
import { listen } from "../../../core/test/fixtures/httpServers.ts"
import * as EnvHttpClient from "../../src/commands/envHttpClient.ts"

/** A proxy that responds by itself, and records which addresses it was asked for. */
const proxy = Effect.suspend(() => {
  const seen: Array<string> = []
  const server = createServer((request, response) => {
    seen.push(request.url ?? "")
    response.end("by proxy")
  })
  server.on("connect", (request, socket) => {
    seen.push(`CONNECT ${request.url}`)
    socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n")
  })
  return Effect.map(listen(server), (url) => ({ url, seen }))
})

const get = (env: EnvHttpClient.Env, url: string) =>
  Effect.gen(function* () {
    const client = yield* Layer.build(EnvHttpClient.layer(env))
    return yield* HttpClient.get(url).pipe(
      Effect.flatMap((response) => response.text),
      Effect.provideContext(client)
    )
  })

const noProxyOf = (noProxy: string) =>
  Effect.map(
    EnvHttpClient.agentOptions({ HTTP_PROXY: "http://proxy.test:1", no_proxy: noProxy }),
    ({ proxyEnv }) => proxyEnv?.["NO_PROXY"]
  )

describe("the HTTP client of the environment", () => {
  for (const variable of ["HTTP_PROXY", "http_proxy", "ALL_PROXY"]) {
    it.live(`sends requests through ${variable}`, () =>
      Effect.gen(function* () {
        const { seen, url } = yield* proxy
        assert.strictEqual(yield* get({ [variable]: url }, "http://model.invalid/v1"), "by proxy")
        assert.deepStrictEqual(seen, ["http://model.invalid/v1"])
      })
    )
  }

  it.live("tunnels https through HTTPS_PROXY, whose address needs no scheme", () =>
    Effect.gen(function* () {
      const { seen, url } = yield* proxy
      yield* Effect.flip(get({ HTTPS_PROXY: url.replace("http://", "") }, "https://model.invalid/v1"))
      assert.deepStrictEqual(seen, ["CONNECT model.invalid:443"])
    })
  )

  it.live("bypasses the proxy for the hosts of NO_PROXY", () =>
    Effect.gen(function* () {
      const { seen, url } = yield* proxy
      const env = { HTTP_PROXY: "http://127.0.0.1:1", NO_PROXY: "other.test, 127.0.0.0/8" }
      assert.strictEqual(yield* get(env, `${url}/direct`), "by proxy")
      assert.deepStrictEqual(seen, ["/direct"])
    })
  )

  it.effect("includes subdomains and networks in NO_PROXY", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* noProxyOf("example.com"), "example.com,.example.com")
      assert.strictEqual(yield* noProxyOf(" 10.1.2.3/16 *"), "10.1.0.0-10.1.255.255,*")
      assert.strictEqual(yield* noProxyOf("::1,host:80,.a.test"), "::1,host:80,.a.test")
    })
  )

  it.effect("takes nothing from an environment that names nothing", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* EnvHttpClient.agentOptions({ NO_PROXY: "x", HTTP_PROXY: "", SSL_CERT_FILE: " " }),
        {}
      )
    })
  )

  for (const [env, detail] of [
    [
      { https_proxy: "socks5://user:pass@h:1" },
      "https_proxy names a proxy of the kind socks5; only http and https proxies can be used"
    ],
    [{ HTTP_PROXY: "http://[" }, "HTTP_PROXY is not the address of a proxy"],
    [
      { SSL_CERT_FILE: "/nowhere/ca.pem" },
      "cannot read the certificates in /nowhere/ca.pem, which SSL_CERT_FILE names: no such file or directory"
    ]
  ] as const) {
    it.effect(`refuses ${Object.keys(env)[0]} by name when it cannot be used`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(EnvHttpClient.agentOptions(env))
        assert.strictEqual(error.message, detail)
        assert.strictEqual(error.exitCode, 78)
      })
    )
  }

  it.effect("adds certificates to those of Node", () =>
    Effect.gen(function* () {
      const { ca } = yield* EnvHttpClient.agentOptions({ SSL_CERT_FILE: import.meta.filename })
      assert.isArray(ca)
      assert.isAbove((ca as Array<unknown>).length, 1)
      assert.include((ca as Array<string>).at(-1), "adds certificates to those of Node")
    })
  )
})
