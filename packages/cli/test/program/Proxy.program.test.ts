import * as Fs from "node:fs"
import type { ServerResponse } from "node:http"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { serveHttp } from "../../../core/test/fixtures/httpServers.ts"
import { run, world } from "../fixtures/program.ts"

/**
 * A proxy that refuses everything. The request to the model is refused last, so that those in the background are made
 * before the program ends.
 */
const proxy = Effect.gen(function* () {
  const seen = new Set<string>()
  const held: Array<ServerResponse> = []
  const url = yield* serveHttp((request, response) => {
    seen.add(request.url ?? "")
    if (request.url === "http://model.invalid/v1/responses") held.push(response)
    else response.writeHead(502).end()
    if (!seen.has("http://model.invalid/v1/models") || !seen.has("http://mcp.invalid/mcp")) return
    for (const one of held.splice(0)) one.writeHead(502).end()
  })
  return { seen, url }
})

describe("the proxy of the environment", () => {
  it.live("gets every request of the program: to the model, its list, MCP servers and the collector", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const { seen, url } = yield* proxy
      const config = [
        'model_provider = "far"',
        "[model_providers.far]",
        'base_url = "http://model.invalid/v1"',
        "request_max_retries = 0",
        "[features]",
        "remote_models = true",
        "[mcp_servers.far]",
        'url = "http://mcp.invalid/mcp"'
      ]
      Fs.writeFileSync(Path.join(at.home, "config.toml"), config.join("\n"))
      const env = { HTTP_PROXY: url, OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.invalid" }
      const { code } = yield* run(at, ["exec", "go"], { env })
      assert.strictEqual(code, 1)
      for (const address of ["collector.invalid/v1/traces", "collector.invalid/v1/metrics"]) {
        assert.include([...seen], `http://${address}`)
      }
    })
  )
})
