// npm exec -- node bench/telemetry.mjs [--turns 4000] [--reps 5]     what telemetry costs a turn, and how many spans it has
// npm exec -- node bench/telemetry.mjs --soak [--turns 100000]       memory with a collector that is away, or never replies
// Each turn calls two tools and then ends with a text of 20 deltas, in a new session. Each measurement is a process in which blocks of turns without
// telemetry alternate with blocks of turns with it, so that other work of the machine affects both. Needs the build.
import { spawn } from "node:child_process"
import { createServer } from "node:http"
import { parseArgs } from "node:util"

// "none" is measured against itself, to show how much of the other figures is chance
const variants = ["none", "recorder", "memory", "otlp", "sdk"]
const { values: options } = parseArgs({
  options: {
    turns: { type: "string" },
    reps: { type: "string", default: "5" },
    soak: { type: "boolean", default: false },
    worker: { type: "string" },
    endpoint: { type: "string" }
  }
})

/** Starts a collector that takes everything or one that never replies, or returns an address without a collector. */
const collector = async (kind) => {
  const server = createServer((request, response) => {
    request.resume()
    if (kind === "replies") request.on("end", () => response.writeHead(200).end())
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  const endpoint = `http://127.0.0.1:${server.address().port}`
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  if (kind !== "away") return { endpoint, close }
  close()
  return { endpoint, close: () => {} }
}

const inProcess = (variant, args) =>
  new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      ["--expose-gc", import.meta.filename, "--worker", variant, ...args, ...(options.soak ? ["--soak"] : [])],
      { stdio: ["ignore", "pipe", "inherit"] }
    )
    let output = ""
    child.stdout.on("data", (data) => {
      output += data
      if (options.soak) process.stderr.write(data)
    })
    child.on("close", (code) =>
      code === 0 ? resolve(JSON.parse(output.trim().split("\n").at(-1))) : reject(new Error(`${variant} failed`))
    )
  })

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

const measure = async () => {
  const turns = options.turns ?? "4000"
  const { close, endpoint } = await collector("replies")
  const results = Object.fromEntries(variants.map((variant) => [variant, []]))
  for (let rep = 0; rep < Number(options.reps); rep++)
    for (const variant of variants)
      results[variant].push(await inProcess(variant, ["--turns", turns, "--endpoint", endpoint]))
  close()
  console.log(
    "| telemetry | compared with none | microseconds of processor a turn, with none and with it | spans a turn |"
  )
  console.log("| --- | --- | --- | --- |")
  const percent = (ratio) => `${ratio < 1 ? "" : "+"}${((ratio - 1) * 100).toFixed(1)} %`
  for (const variant of variants) {
    const of = (key) => median(results[variant].map((one) => one[key]))
    const ratios = results[variant].map(({ ratio }) => ratio).sort((a, b) => a - b)
    console.log(
      `| ${variant} | ${percent(median(ratios))} [${percent(ratios[0])} to ${percent(ratios.at(-1))}] | ${of("off").toFixed(0)}, ${of("on").toFixed(0)} | ${of("spans").toFixed(1)} |`
    )
  }
}

const soak = async () => {
  console.log("| collector | heap after each fifth of the turns, MB | spans made | dropped and counted |")
  console.log("| --- | --- | --- | --- |")
  for (const kind of ["away", "never replies"]) {
    const { close, endpoint } = await collector(kind)
    const { dropped, heaps, spans } = await inProcess("otlp", [
      "--turns",
      options.turns ?? "100000",
      "--endpoint",
      endpoint
    ])
    close()
    console.log(`| ${kind} | ${heaps.map((bytes) => (bytes / 1e6).toFixed(1)).join(", ")} | ${spans} | ${dropped} |`)
  }
}

/** Loads the modules of the workspace, in the process that measures. */
const modules = async () => {
  const [Agent, Journal, Op, { Model }, Session, Telemetry, SessionMetrics] = await Promise.all([
    import("@spindle/core/Agent"),
    import("@spindle/core/Journal"),
    import("@spindle/core/Op"),
    import("@spindle/core/Model"),
    import("@spindle/core/Session"),
    import("@spindle/telemetry/Telemetry"),
    import("@spindle/telemetry/SessionMetrics")
  ])
  const [Context, Effect, Layer, Metric, Schema, Stream, Tool, Toolkit] = await Promise.all(
    ["Context", "Effect", "Layer", "Metric", "Schema", "Stream", "ai/Tool", "ai/Toolkit"].map(
      (name) => import(`effect/${name}`)
    )
  )
  const ours = { Agent, Journal, Op, Model, Session, Telemetry, SessionMetrics }
  return { ...ours, Context, Effect, Layer, Metric, Schema, Stream, Tool, Toolkit }
}

/** Makes the turn that is measured, and what it needs. */
const workload = ({ Agent, Effect, Journal, Layer, Model, Op, Schema, Session, Stream, Tool, Toolkit }) => {
  const usage = { input: 1, cachedInput: 0, output: 1, reasoning: 0, total: 2 }
  const deltas = Array.from({ length: 20 }, (_, index) => ({ _tag: "TextDelta", id: "t", delta: `word ${index} ` }))
  const call = (n) => ({ _tag: "ToolCall", callId: `call-${n}`, name: "add", params: { a: n, b: 1 } })
  const finish = (reason) => ({ _tag: "Finish", reason, usage })
  const model = Layer.succeed(Model, {
    provider: "script",
    model: "script",
    contextWindow: undefined,
    stream: ({ items }) =>
      items.at(-1)._tag === "ToolResult"
        ? Stream.concat(Stream.rechunk(Stream.fromIterable(deltas), 1), Stream.succeed(finish("stop")))
        : Stream.fromIterable([call(1), call(2), finish("tool-calls")])
  })
  const toolkit = Toolkit.make(
    Tool.make("add", { parameters: Schema.Struct({ a: Schema.Number, b: Schema.Number }), success: Schema.Number })
  )
  const agent = Agent.make({ toolkit, approvals: { add: { approval: "allow", concurrency: "parallel" } } })
  const turn = Effect.gen(function* () {
    const session = yield* Session.make(agent)
    yield* session.submit(Op.userInput("1 + 1"))
    yield* session.awaitIdle
  }).pipe(Effect.scoped)
  const turns = (count) =>
    Effect.gen(function* () {
      for (let index = 0; index < count; index++) yield* turn
    })
  const tools = toolkit.toLayer({ add: ({ a, b }) => Effect.succeed(a + b) })
  const journal = Journal.layerMemory({ retainCount: 16, retainClosed: false })
  return { turns, layer: Layer.mergeAll(model, tools, journal) }
}

/** Returns the layer of a variant. Calls `count` with the number of spans that were made. */
const layerOf = async (variant, { Layer, SessionMetrics, Telemetry }, count) => {
  const onSpan = () => count(1)
  switch (variant) {
    case "recorder":
      return SessionMetrics.layer()
    case "memory":
      return Telemetry.layerMemory({ capacity: 1_000, onSpan })
    case "otlp": {
      const Http = await import("@effect/platform-node/NodeHttpClient")
      const layer = Telemetry.layerOtlp({ endpoint: options.endpoint, interval: "1 second", onSpan })
      return Layer.provide(layer, Http.layerUndici)
    }
    case "sdk": {
      const OpenTelemetry = await import("@spindle/telemetry/OpenTelemetry")
      const { BatchSpanProcessor } = await import("@opentelemetry/sdk-trace-base")
      const exporter = {
        export: (batch, done) => {
          count(batch.length)
          done({ code: 0 })
        },
        shutdown: async () => {}
      }
      const spanProcessor = new BatchSpanProcessor(exporter, { maxQueueSize: 100_000 })
      return OpenTelemetry.layer(() => ({ resource: { serviceName: "bench" }, spanProcessor }))
    }
    default:
      return Layer.empty
  }
}

const worker = async (variant) => {
  const all = await modules()
  const { Context, Effect, Layer, Metric } = all
  const { layer, turns } = workload(all)
  const count = Number(options.turns)
  let spans = 0
  const own = await layerOf(variant, all, (made) => (spans += made))
  const block = 100
  const timed = (context) =>
    Effect.gen(function* () {
      const from = process.cpuUsage()
      yield* Effect.provideContext(turns(block), context)
      const { system, user } = process.cpuUsage(from)
      return (user + system) / block
    })
  const measured = Effect.scoped(
    Effect.gen(function* () {
      const off = yield* Layer.build(layer)
      const on = Context.merge(off, yield* Layer.build(own))
      const times = { off: [], on: [] }
      for (let done = 0; done < count; done += block) {
        if (done === count / 4) spans = 0
        const pair = [
          ["off", off],
          ["on", on]
        ]
        // the second block pays for the garbage of the first, so the order alternates
        for (const [name, context] of (done / block) % 2 === 0 ? pair : pair.toReversed())
          times[name].push(yield* timed(context))
      }
      // the first quarter is the warm-up
      const [cpuOff, cpuOn] = [times.off, times.on].map((all) => median(all.slice(all.length / 4)))
      return { off: cpuOff, on: cpuOn, ratio: cpuOn / cpuOff }
    })
  )
  const soaked = Effect.gen(function* () {
    const heaps = []
    for (let part = 0; part < 5; part++) {
      yield* turns(count / 5)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)))
      globalThis.gc()
      heaps.push(process.memoryUsage().heapUsed)
    }
    return { heaps }
  })
  const program = options.soak ? Effect.provide(soaked, Layer.mergeAll(layer, own)) : measured
  const result = await Effect.runPromise(program)
  const dropped = Metric.snapshotUnsafe(await Effect.runPromise(Effect.context()))
    .filter(({ id }) => id === "spindle.telemetry.dropped")
    .reduce((sum, { state }) => sum + state.count, 0)
  console.log(JSON.stringify({ ...result, spans: options.soak ? spans : spans / (count * 0.75), dropped }))
  process.exit(0)
}

if (options.worker !== undefined) await worker(options.worker)
else if (options.soak) await soak()
else await measure()
