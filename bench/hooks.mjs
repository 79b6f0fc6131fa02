// npm exec -- node bench/hooks.mjs [--turns 300] [--commands 3] [--reps 3]     what hooks cost a turn, in process and as commands
// Each turn is one text of the model, in one session with a journal in memory. Hooks run at the prompt and at the stop of each turn. Blocks of turns
// of all variants alternate, so that other work of the machine affects each. A command is `true`. Hooks in process are measured by the processor
// time of the program, on which other work has little effect; commands by elapsed time. Needs the build.
import { tmpdir } from "node:os"
import { parseArgs } from "node:util"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Machine from "@spindle/app/Machine"
import * as HookCommands from "@spindle/app/HookCommands"
import * as Agent from "@spindle/core/Agent"
import * as Hooks from "@spindle/core/Hooks"
import * as Journal from "@spindle/core/Journal"
import * as Op from "@spindle/core/Op"
import * as Session from "@spindle/core/Session"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Effect, Layer } from "effect"

const { values: options } = parseArgs({
  options: {
    turns: { type: "string", default: "300" },
    commands: { type: "string", default: "3" },
    reps: { type: "string", default: "3" }
  }
})
const reps = Number(options.reps)

const counts = [0, 1, 5]

/** Hooks in process that look at the prompt and at the stop, and decide nothing. */
const inProcess = (count) =>
  Array.from({ length: count }, () => ({
    ...Hooks.none,
    userPromptSubmit: () => Effect.succeed({ block: false, contexts: [] }),
    stop: () => Effect.succeed({})
  })).reduce((all, one) => Hooks.combine(all, one), Hooks.none)

/** As many commands at the prompt and at the stop. */
const commands = (count) => {
  if (count === 0) return Hooks.none
  const handlers = ["UserPromptSubmit", "Stop"].flatMap((event) =>
    Array.from({ length: count }, (_, order) => ({
      order,
      event,
      matcher: undefined,
      command: "true",
      timeoutMillis: 60_000,
      isClosed: false,
      statusMessage: undefined,
      source: "bench"
    }))
  )
  return HookCommands.make({
    settings: { handlers, project: undefined, problems: [] },
    cwd: tmpdir(),
    home: tmpdir(),
    shell: "/bin/sh",
    model: "none",
    approvalPolicy: "never"
  })
}

const sessionWith = (hooks) =>
  Effect.gen(function* () {
    const model = ScriptedModel.make(() => [ScriptedModel.text("done")])
    const own = Layer.mergeAll(model.layer, Journal.layerMemory(), Hooks.layer(hooks))
    return yield* Effect.provideContext(Session.make(Agent.make({})), yield* Layer.build(own))
  })

/** Microseconds of elapsed time, and of processor time of this thread. */
const clocks = {
  elapsed: () => Number(process.hrtime.bigint()) / 1_000,
  processor: () => {
    const { system, user } = process.threadCpuUsage()
    return system + user
  }
}

/** Runs turns and returns the microseconds that each took. */
const time = (session, turns, clock) =>
  Effect.gen(function* () {
    const start = clock()
    for (let turn = 0; turn < turns; turn++) {
      yield* session.submit(Op.userInput("go"))
      yield* session.awaitIdle
    }
    return (clock() - start) / turns
  })

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
const shown = (micros) => Math.round(micros).toLocaleString("en-US")

const measure = (name, make, turns, clock) =>
  Effect.gen(function* () {
    const times = counts.map(() => [])
    for (let rep = 0; rep <= reps; rep++) {
      for (const [index, count] of counts.entries()) {
        const micros = yield* Effect.scoped(
          Effect.flatMap(sessionWith(make(count)), (session) => time(session, turns, clock))
        )
        // the first block warms the compiler up
        if (rep > 0) times[index].push(micros)
      }
    }
    const cells = times.map((all) => `${shown(median(all))} [${shown(Math.min(...all))}-${shown(Math.max(...all))}]`)
    console.log(`| ${name} | ${cells.join(" | ")} |`)
  })

const platform = Machine.processes.pipe(Layer.provideMerge(NodeServices.layer))

await Effect.runPromise(
  Effect.gen(function* () {
    console.log("| hooks | 0 | 1 | 5 |")
    console.log("| --- | --- | --- | --- |")
    yield* measure("in process, processor microseconds a turn", inProcess, Number(options.turns), clocks.processor)
    yield* measure("as commands, elapsed microseconds a turn", commands, Number(options.commands), clocks.elapsed)
  }).pipe(Effect.provide(platform))
)
