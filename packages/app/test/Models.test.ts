import * as Fs from "node:fs"
import * as Path from "node:path"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ItemId, SessionId, TurnId } from "@spindle/core/Ids"
import { Model, type ModelRequest, type ToolSpec } from "@spindle/core/Model"
import type { Script } from "@spindle/testing/ResponsesScript"
import * as ResponsesServer from "@spindle/testing/ResponsesServer"
import { Context, Effect, Layer, Stream } from "effect"
import * as Models from "../src/Models.ts"
import * as Settings from "../src/Settings.ts"
import { temporaryDirectory } from "../../core/test/fixtures/directories.ts"

const request = (tools: ReadonlyArray<ToolSpec> = []): ModelRequest => ({
  sessionId: SessionId.make("s"),
  turnId: TurnId.make("t"),
  instructions: undefined,
  items: [{ _tag: "UserMessage", id: ItemId.make("1"), content: [{ _tag: "Text", text: "hi" }] }],
  tools,
  output: undefined
})

const done = { events: [{ text: "done" }] }

/** The models of a configuration whose provider is a scripted server. */
const models = (config: string, script: Script = { turns: [done, done, done, done] }) =>
  Effect.gen(function* () {
    const server = yield* ResponsesServer.make(script)
    const home = yield* temporaryDirectory
    const catalog = { models: [{ slug: "listed", context_window: 1000, apply_patch_tool_type: "function" }] }
    Fs.writeFileSync(Path.join(home, "catalog.json"), JSON.stringify(catalog))
    const provider = `model_provider = "p"\nmodel_providers.p = { name = "P", base_url = "${server.baseUrl}" }\n`
    Fs.writeFileSync(Path.join(home, "config.toml"), `${config}\n${provider}`)
    const settings = yield* Settings.load({
      command: "exec",
      env: { SPINDLE_HOME: home },
      homeDirectory: "/nowhere",
      config: [],
      flags: {}
    })
    const context = yield* Layer.build(Models.layer(settings, Effect.die("not scripted"))).pipe(
      Effect.provideContext(yield* Layer.build(NodeHttpClient.layerUndici))
    )
    const named = Context.get(context, Models.NamedModels)!
    return { server, model: Context.get(context, Model), named, known: Context.get(context, Models.KnownModels) }
  })

const warnings = (model: Model, tools?: ReadonlyArray<ToolSpec>) =>
  Effect.map(Stream.runCollect(model.stream(request(tools))), (parts) =>
    parts.flatMap((part) => (part._tag === "Warning" ? [part.message] : []))
  )

const withCatalog = 'model = "listed"\nmodel_catalog_json = "catalog.json"'

describe("a model", () => {
  it.live("that no list has warns once; agents that have it do not warn again", () =>
    Effect.gen(function* () {
      const { model, named } = yield* models(withCatalog)
      assert.deepStrictEqual(yield* warnings(model), [])
      const other = yield* named({ name: "other", effort: undefined })
      assert.deepStrictEqual(yield* warnings(other), [
        "nothing is known about the model other of P, such as how much it can read (set model_context_window, or enable remote_models)"
      ])
      assert.deepStrictEqual(yield* warnings(other), [])
      assert.deepStrictEqual(yield* warnings(yield* named({ name: "other", effort: undefined })), [])
    })
  )

  it.live("does not warn where nothing is listed, or if its size is configured", () =>
    Effect.gen(function* () {
      const plain = yield* models('model = "any"')
      assert.deepStrictEqual([yield* warnings(plain.model), plain.model.contextWindow], [[], undefined])
      const sized = yield* models(`${withCatalog.replace("listed", "any")}\nmodel_context_window = 5`)
      assert.deepStrictEqual([yield* warnings(sized.model), sized.model.contextWindow], [[], 5])
    })
  )

  it.live("has the window of the list that the provider sends, as soon as there is one", () =>
    Effect.gen(function* () {
      const script = {
        turns: [done, done],
        models: { models: [{ slug: "remote", context_window: 4242 }] }
      }
      const { known, model, named, server } = yield* models('model = "remote"\nfeatures.remote_models = true', script)
      const until: Effect.Effect<void> = Effect.suspend(() =>
        known("remote") === undefined ? Effect.andThen(Effect.sleep(1), until) : Effect.void
      )
      yield* until
      assert.strictEqual(model.contextWindow, 4242)
      assert.strictEqual(server.others[0]!.path, "/v1/models")
      assert.deepStrictEqual(yield* warnings(model), [])
      const other = yield* named({ name: "other", effort: undefined })
      assert.lengthOf(yield* warnings(other), 1)
    })
  )

  it.live("that knows no grammars gets functions with one text", () =>
    Effect.gen(function* () {
      const tools = [
        {
          name: "patch",
          description: "Patches.",
          parameters: {},
          freeform: { syntax: "lark", definition: "start: /.+/" },
          source: undefined
        },
        { name: "plain", description: undefined, parameters: { type: "object" }, source: undefined }
      ]
      const { model, named, server } = yield* models(withCatalog)
      yield* warnings(model, tools)
      yield* warnings(yield* named({ name: "other", effort: undefined }), tools)
      const [patch, plain] = server.requests[0]!.body.tools
      assert.deepStrictEqual([patch.type, patch.parameters.required, plain.type], ["function", ["input"], "function"])
      assert.include(patch.parameters.properties.input.description, "start: /.+/")
      assert.strictEqual(server.requests[1]!.body.tools[0].type, "custom")
    })
  )
})
