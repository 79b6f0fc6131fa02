// How long the compaction of a session of 1,000 turns takes without the model's share, and how many tokens it leaves.
// Each turn has a call with a result of 2,000 characters. The model responds at once.
import { Agent, CompactTask, History, Journal, Op, Session, Turn } from "@spindle/core"
import { ScriptedModel } from "@spindle/testing"
import { Effect, Layer, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"

const turns = 1_000
const reps = 5

const read = Tool.make("read", {
  description: "Reads a file",
  parameters: Schema.Struct({ path: Schema.String }),
  success: Schema.String,
  dependencies: [Turn.Turn]
})
const toolkit = Toolkit.make(read)
const handlers = toolkit.toLayer({ read: ({ path }) => Effect.succeed(`${path} ${"source ".repeat(285)}`) })
const agent = Agent.make({
  toolkit,
  approvals: {
    read: {
      approval: "allow",
      concurrency: "parallel",
      display: ({ path }) => ({ _tag: "Command", command: `cat ${path}`, cwd: "/" })
    }
  },
  tasks: [CompactTask.kind]
})

const script = ({ items }, index) => {
  if (items.at(-1)?.id === "compact") return [ScriptedModel.text("summary ".repeat(500))]
  if (items.at(-1)?._tag === "ToolResult") return [ScriptedModel.text("what it says ".repeat(30))]
  return [ScriptedModel.call("read", { path: `src/file${index}.ts` }, `call${index}`)]
}

const measure = Effect.gen(function* () {
  const session = yield* Session.make(agent)
  for (let turn = 0; turn < turns; turn++) {
    yield* session.submit(Op.userInput(`Read the next file, number ${turn}, and say what is in it.`))
    yield* session.awaitIdle
  }
  const before = History.estimateAll((yield* session.snapshot).items)
  const usageBefore = process.cpuUsage()
  const from = performance.now()
  yield* session.submit(Op.startTask("compact"))
  yield* session.awaitIdle
  const millis = performance.now() - from
  const { system, user } = process.cpuUsage(usageBefore)
  const { items } = yield* session.snapshot
  if (!items.some(({ fragment }) => fragment === "summary")) throw new Error("the session was not compacted")
  return { millis, processorMillis: (system + user) / 1_000, before, after: History.estimateAll(items) }
}).pipe(
  Effect.scoped,
  Effect.provide(Layer.mergeAll(handlers, ScriptedModel.make(script).layer, Journal.layerMemory()))
)

const runs = []
for (let rep = 0; rep < reps; rep++) runs.push(await Effect.runPromise(measure))
const [{ after, before }] = runs
for (const measured of ["millis", "processorMillis"]) {
  const sorted = runs.map((run) => run[measured]).sort((a, b) => a - b)
  const [least, median, most] = [sorted[0], sorted[reps >> 1], sorted.at(-1)].map((time) => time.toFixed(1))
  const what = measured === "millis" ? "wall time" : "processor time"
  console.log(`compaction of ${turns} turns, ${what}: median ${median} ms [${least}-${most}]`)
}
console.log(`tokens, estimated: ${before.toLocaleString("en-US")} before, ${after.toLocaleString("en-US")} after`)
