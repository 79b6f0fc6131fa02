/** A kernel: a process of the session that runs cells of JavaScript and keeps their variables. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { InputClosed, Process, ProcessFailed, Processes } from "@spindle/core/Processes"
import { Turn } from "@spindle/core/Turn"
import * as BoundedOutput from "../../BoundedOutput.ts"
import { environment } from "../../ExecCommand.ts"
import * as Utf8 from "../../Utf8.ts"
import type { Cell } from "./cells.ts"
import { kernelScript, maxCalls } from "./kernelScript.ts"

/** The result of a cell. `error` is set if it threw, or if the kernel has ended. */
export interface Outcome {
  readonly output: string
  readonly images: ReadonlyArray<string>
  readonly value?: string | undefined
  readonly error?: string | undefined
}

/** The outcome of a cell whose kernel has ended. */
export const hasEnded = {
  output: "",
  images: [],
  error: "The kernel has ended. Its variables are gone."
} satisfies Outcome

/** The reply to a tool call of a cell: the output of the tool, or the reason why there is none. */
export type Reply = { readonly output: unknown } | { readonly error: string }

/** Runs the tool calls of a cell. */
export interface CallTool {
  (name: string, params: unknown): Effect.Effect<Reply>
}

/** A kernel. It runs one cell at a time. */
export interface Kernel {
  readonly process: Process
  readonly hasEnded: () => boolean
  /**
   * Runs a cell, and waits for its end and that of its tool calls. **Errors**: `InputClosed` if the kernel does not
   * read its input. **Interruption** interrupts the calls; the cell keeps running.
   */
  readonly run: (cell: Cell, callTool: CallTool) => Effect.Effect<Outcome, InputClosed>
}

/** The surroundings of a kernel. `node` is the program that runs JavaScript. */
export interface Options {
  readonly cwd: string
  readonly node: string
}

/** The most output of a cell that is kept, in bytes. */
export const maxOutputBytes = 40_000
/** The most images that a cell shows. */
export const maxImages = 10
/** The longest line that is read, in characters. */
const maxLine = 8_388_608

const Message = Schema.fromJsonString(
  Schema.Union([
    Schema.Struct({ type: Schema.Literal("output"), text: Schema.String }),
    Schema.Struct({ type: Schema.Literal("image"), data: Schema.String }),
    Schema.Struct({
      type: Schema.Literal("call"),
      cell: Schema.Finite,
      call: Schema.Finite,
      name: Schema.String,
      params: Schema.Unknown
    }),
    Schema.Struct({ type: Schema.Literal("done"), cell: Schema.Finite, value: Schema.optionalKey(Schema.String) }),
    Schema.Struct({ type: Schema.Literal("failed"), cell: Schema.Finite, error: Schema.String })
  ])
)
const decode = Schema.decodeUnknownOption(Message)

interface Call {
  readonly call: number
  readonly name: string
  readonly params: unknown
}

interface Running {
  readonly number: number
  /** The tool calls that have not started. A cell makes {@link maxCalls} at most. */
  readonly calls: Queue.Queue<Call>
  callsCount: number
  readonly output: BoundedOutput.BoundedOutput
  readonly images: Array<string>
  readonly done: Deferred.Deferred<Outcome>
}

/** Starts a kernel, which ends with its session. `fibers` reads its output. */
export const start: (
  options: Options,
  fibers: FiberSet.FiberSet
) => Effect.Effect<Kernel, ProcessFailed, Turn | Processes> = Effect.fnUntraced(function* ({ cwd, node }, fibers) {
  const turn = yield* Turn
  const mark = `\u0001${yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)} `
  const command = [node, "--disable-warning=ExperimentalWarning", "-e", kernelScript, "--", mark]
  const process = yield* turn.process({ command, cwd, env: environment, input: "pipe", keep: true })
  let running: Running | undefined
  let count = 0
  let isOver = false
  const settle = (result: Pick<Outcome, "value" | "error">) => {
    if (running === undefined) return
    const { done, images, output } = running
    running = undefined
    Deferred.doneUnsafe(done, Effect.succeed({ output: BoundedOutput.toText(output.toKept()), images, ...result }))
  }
  const print = (text: string) => running?.output.append(Utf8.encode(text))
  const take = (line: string) => {
    const message = line.startsWith(mark) ? Option.getOrUndefined(decode(line.slice(mark.length))) : undefined
    if (message === undefined) return line === "" ? undefined : print(`${line}\n`)
    if (message.type === "output") return print(message.text)
    if (message.type === "image") {
      return running !== undefined && running.images.length < maxImages ? running.images.push(message.data) : undefined
    }
    if (message.cell !== running?.number) return
    if (message.type === "call") {
      // the kernel refuses more calls itself: only a forged message comes here
      return running.callsCount++ < maxCalls ? Queue.offerUnsafe(running.calls, message) : undefined
    }
    settle(message.type === "done" ? { value: message.value } : { error: message.error })
  }
  const lines = makeLines(take)
  const read = Stream.runForEach(process.output, (chunk) => Effect.sync(() => lines(chunk))).pipe(
    Effect.andThen(
      Effect.sync(() => {
        isOver = true
        settle({ error: hasEnded.error })
      })
    )
  )
  yield* FiberSet.run(fibers, read)
  const send = (message: object) => process.input!.write(Utf8.encode(`${JSON.stringify(message)}\n`))
  return {
    process,
    hasEnded: () => isOver,
    run: Effect.fnUntraced(function* (cell, callTool) {
      const done = yield* Deferred.make<Outcome>()
      const calls = yield* Queue.unbounded<Call>()
      const output = BoundedOutput.make(maxOutputBytes)
      running = { number: ++count, output, images: [], done, calls, callsCount: 0 }
      yield* send({ cell: count, ...cell })
      const reply = ({ call, name, params }: Call) =>
        Effect.flatMap(callTool(name, params), (result) => send({ reply: call, ...result }))
      const serve = Stream.runDrain(Stream.mapEffect(Stream.fromQueue(calls), reply, { concurrency: "unbounded" }))
      return yield* Effect.raceFirst(Deferred.await(done), Effect.andThen(serve, Effect.never))
    })
  }
})

/** Splits chunks into lines. A line that is too long is taken in pieces. */
const makeLines = (take: (line: string) => void) => {
  const decoder = Utf8.makeDecoder()
  let rest: Array<string> = []
  let size = 0
  const flush = () => {
    const line = rest.join("")
    rest = []
    size = 0
    take(line)
  }
  return (chunk: Uint8Array): void => {
    const [first = "", ...more] = decoder.push(chunk).split("\n")
    const add = (text: string) => {
      rest.push(text)
      size += text.length
      if (size > maxLine) flush()
    }
    add(first)
    for (const text of more) {
      flush()
      add(text)
    }
  }
}
