import { assert, describe, it } from "@effect/vitest"
import { approveAll, denyAll } from "@spindle/core/Approvals"
import * as McpTools from "@spindle/mcp/McpTools"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Harness from "./fixtures/harness.ts"
import * as HttpServer from "./fixtures/httpServer.ts"

/** A session that calls `mcp__http__echo` once, of a server that replies with this result. */
const replying = Effect.fnUntraced(function* (result: object, options: HttpServer.Options = {}) {
  const wire = yield* HttpServer.start({ onCall: (call) => call.reply(result), ...options })
  const context = yield* Layer.build(Harness.tools([Harness.http(wire.url)]))
  const harness = yield* Effect.provideContext(Harness.session([["mcp__http__echo", { a: 1 }]]), context)
  yield* harness.run("go")
  return { harness, result: Harness.results(harness)[0] }
})

/** The names that a model sees of these tools, and the warnings. */
const named = Effect.fnUntraced(function* (name: string, tools: ReadonlyArray<object>) {
  const wire = yield* HttpServer.start({ tools })
  const context = yield* Layer.build(Harness.tools([Harness.http(wire.url, { name })]))
  const harness = yield* Effect.provideContext(Harness.session([]), context)
  yield* harness.run("go")
  return { names: Harness.offered(harness)[0], warnings: Harness.warnings(harness) }
})

describe("a call of a tool", () => {
  it.live("over HTTP returns the text, with what it was for people", () =>
    Effect.gen(function* () {
      const { harness, result } = yield* replying(HttpServer.text("found"))
      assert.deepStrictEqual(result, ["completed", "found"])
      const items = harness.records().flatMap((one) => (one._tag === "ItemRecorded" ? [one.item] : []))
      const call = items.find((item) => item._tag === "ToolCall")
      assert.deepStrictEqual(call?.display, { _tag: "Mcp", server: "http", tool: "echo" })
      const detail = items.find((item) => item._tag === "ToolResult")?.detail
      assert.deepInclude(detail, { _tag: "Mcp", isError: false })
    }).pipe(Effect.scoped)
  )

  it.live("over standard streams returns the text", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.session([["mcp__stdio__echo", { a: 1 }]])
      yield* harness.run("go")
      assert.deepStrictEqual(Harness.results(harness), [["completed", '{"a":1}']])
    }).pipe(Harness.withTools([Harness.stdio()]), Effect.scoped)
  )

  it.live("that reports a failure has failed", () =>
    Effect.gen(function* () {
      const { harness, result } = yield* replying({ ...HttpServer.text("no such city"), isError: true })
      assert.deepStrictEqual(result, ["failed", "no such city"])
      assert.strictEqual(harness.tags().at(-1), "TurnCompleted")
    }).pipe(Effect.scoped)
  )

  it.live("returns structured content as data", () =>
    Effect.gen(function* () {
      const { result } = yield* replying({ ...HttpServer.text("21"), structuredContent: { degrees: 21 } })
      assert.deepStrictEqual(result, ["completed", { degrees: 21 }])
    }).pipe(Effect.scoped)
  )

  it.live("shows its images to the model in the next request", () =>
    Effect.gen(function* () {
      const { harness, result } = yield* replying({
        content: [
          { type: "text", text: "a map" },
          { type: "image", mimeType: "image/png", data: "AAEC" }
        ]
      })
      assert.deepStrictEqual(result, ["completed", "a map\n(an image of type image/png, in the message that follows)"])
      const shown = harness.requests[1]!.items.flatMap((item) =>
        item._tag === "UserMessage" && item.fragment === "tool_images" ? [item.content] : []
      )
      assert.deepStrictEqual(shown, [[{ _tag: "Image", url: "data:image/png;base64,AAEC" }]])
    }).pipe(Effect.scoped)
  )

  it.live("describes resources, audio and links in words", () =>
    Effect.gen(function* () {
      const { result } = yield* replying({
        content: [
          { type: "resource", resource: { uri: "file:///a", text: "in a" } },
          { type: "resource", resource: { uri: "file:///b", blob: "AAEC" } },
          { type: "resource_link", uri: "file:///c", name: "c", description: "the third" },
          { type: "audio", mimeType: "audio/wav", data: "AAEC" }
        ]
      })
      const lines = [
        "in a",
        "(the binary resource file:///b)",
        "c: file:///c\nthe third",
        "(audio of type audio/wav, which cannot be shown)"
      ]
      assert.deepStrictEqual(result, ["completed", lines.join("\n")])
    }).pipe(Effect.scoped)
  )

  it.live("cuts what is too long for a model", () =>
    Effect.gen(function* () {
      const { result } = yield* replying(HttpServer.text(`begin${"x".repeat(100_000)}end`))
      const output = String(result![1])
      assert.isBelow(output.length, 41_000)
      assert.match(output, /^begin[^]*\n\.\.\. 60008 characters are left out \.\.\.\n[^]*end$/)
    }).pipe(Effect.scoped)
  )

  it.live("shows its progress as output", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.session([["mcp__stdio__progress"]])
      yield* harness.run("go")
      const outputs = harness.events.flatMap((event) => (event._tag === "ToolOutput" ? [event.text] : []))
      assert.deepStrictEqual(outputs, ["1/2 half\n"])
    }).pipe(Harness.withTools([Harness.stdio()]), Effect.scoped)
  )

  it.live("of a server that dies has failed, and the turn continues", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.session([["mcp__stdio__die"], ["mcp__stdio__echo"]])
      yield* harness.run("go")
      const [died, echoed] = Harness.results(harness)
      assert.deepStrictEqual(died, [
        "failed",
        "the MCP server stdio has ended: its process exited with code 7; it printed: out of memory"
      ])
      assert.deepStrictEqual(echoed, ["completed", "{}"])
    }).pipe(Harness.withTools([Harness.stdio()]), Effect.scoped)
  )
})

describe("the names of tools", () => {
  it.live("have only characters that models take, and at most 64 of them", () =>
    Effect.gen(function* () {
      const long = "x".repeat(80)
      const { names } = yield* named("my server", [HttpServer.tool("do.this"), HttpServer.tool(long)])
      assert.strictEqual(names![0], "mcp__my_server__do_this")
      assert.match(names![1]!, /^mcp__my_server__x{8}[0-9a-f]{40}$/)
    }).pipe(Effect.scoped)
  )

  it.live("that occur twice are reported, and the first is used", () =>
    Effect.gen(function* () {
      const tools = [HttpServer.tool("a.b"), HttpServer.tool("a_b"), HttpServer.tool("c")]
      const { names, warnings } = yield* named("http", tools)
      assert.deepStrictEqual(names, ["mcp__http__a_b", "mcp__http__c"])
      assert.deepStrictEqual(warnings, [
        "the tool a_b of the MCP server http is not used: there is another tool named mcp__http__a_b"
      ])
    }).pipe(Effect.scoped)
  )
})

describe("the tools of servers", () => {
  it.live("can be chosen and excluded", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.session([["mcp__stdio__die"]])
      yield* harness.run("go")
      assert.deepStrictEqual(Harness.offered(harness)[0], ["mcp__stdio__echo"])
      assert.deepStrictEqual(Harness.results(harness), [
        ["failed", "unsupported call: there is no tool mcp__stdio__die"]
      ])
    }).pipe(
      Harness.withTools([Harness.stdio("", { enabledTools: ["echo", "die"], disabledTools: ["die"] })]),
      Effect.scoped
    )
  )

  it.live("change with the next request after the server said so", () =>
    Effect.gen(function* () {
      // the list is read while the server answers `received`
      const calls = [["mcp__stdio__grow"], ["mcp__stdio__received"], ["mcp__stdio__received"]] as const
      const harness = yield* Harness.session(calls)
      const { servers } = yield* McpTools.McpTools
      yield* servers[0]!.started
      yield* harness.run("go")
      while (!servers[0]!.tools().some(({ name }) => name === "grown")) yield* Effect.yieldNow
      yield* harness.run("again")
      const last = Harness.offered(harness).at(-1)!
      assert.include(last, "mcp__stdio__grown")
      assert.notInclude(last, "mcp__stdio__hang")
    }).pipe(Harness.withTools([Harness.stdio()]), Effect.scoped)
  )

  it.live("change over HTTP after a notification on the stream that listens", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start({
        onListen: (send) => {
          wire.tools = [HttpServer.tool("other")]
          send({ jsonrpc: "2.0", method: "notifications/tools/list_changed" })
        }
      })
      yield* Effect.gen(function* () {
        const { servers } = yield* McpTools.McpTools
        while (servers[0]!.tools()[0]?.name !== "other") yield* Effect.yieldNow
        const harness = yield* Harness.session([])
        yield* harness.run("go")
        assert.deepStrictEqual(Harness.offered(harness)[0], ["mcp__http__other"])
      }).pipe(Harness.withTools([Harness.http(wire.url)]))
    }).pipe(Effect.scoped)
  )

  it.live("of a server that does not start are missing: it is reported once, and the others are used", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.session([["mcp__good__echo"]])
      yield* harness.run("go")
      yield* harness.run("again")
      assert.deepStrictEqual(Harness.warnings(harness), [
        "cannot start the MCP server bad: its process exited with code 3; it printed: no such database"
      ])
      assert.deepStrictEqual(Harness.results(harness)[0], ["completed", "{}"])
    }).pipe(
      Harness.withTools([Harness.stdio("fails", { name: "bad" }), Harness.stdio("", { name: "good" })]),
      Effect.scoped
    )
  )

  it.live("of a server that is required and does not start are an error", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Layer.build(Harness.tools([Harness.stdio("fails", { required: true }), Harness.stdio("silent")]))
      )
      assert.strictEqual(error.reason._tag, "NotStarted")
    }).pipe(Effect.scoped)
  )
})

describe("the approval of a call", () => {
  const tools = [
    HttpServer.tool("read", { annotations: { readOnlyHint: true } }),
    HttpServer.tool("write", { annotations: { destructiveHint: false } }),
    HttpServer.tool("delete", { annotations: { destructiveHint: true } }),
    HttpServer.tool("echo")
  ]
  const calls = tools.map((tool) => [`mcp__http__${(tool as { readonly name: string }).name}`] as const)

  it.live("is asked for, unless the tool only reads", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start({ tools })
      yield* Effect.gen(function* () {
        const harness = yield* Harness.session(calls, { approvals: denyAll("no") })
        yield* harness.run("go")
        assert.deepStrictEqual(
          Harness.results(harness).map(([status]) => status),
          ["completed", "denied", "denied", "denied"]
        )
        const approved = yield* Harness.session(calls, { approvals: approveAll })
        yield* approved.run("go")
        assert.isTrue(Harness.results(approved).every(([status]) => status === "completed"))
      }).pipe(Harness.withTools([Harness.http(wire.url)], "ask"))
    }).pipe(Effect.scoped)
  )

  it.live("is not asked for if everything is allowed", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start({ tools })
      yield* Effect.gen(function* () {
        const harness = yield* Harness.session(calls, { approvals: denyAll("no") })
        yield* harness.run("go")
        assert.isTrue(Harness.results(harness).every(([status]) => status === "completed"))
      }).pipe(Harness.withTools([Harness.http(wire.url)], "allow"))
    }).pipe(Effect.scoped)
  )
})
