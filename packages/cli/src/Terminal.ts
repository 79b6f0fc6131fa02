/**
 * The driver of a transcript: writes it to a stream, draws the line that says what is awaited, and asks for approvals
 * with a key press.
 *
 * It owns the timer of that line and, while it asks, the keyboard. A stream that is no terminal gets plain text, no
 * such line, and nobody is asked.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { type Question, type Approvals, denyAll } from "@spindle/core/Approvals"
import type { SessionId } from "@spindle/core/Ids"
import type { Decision } from "@spindle/core/Op"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as AgentTree from "./AgentTree.ts"
import * as Ansi from "./Ansi.ts"
import type { ColorMode } from "./Flags.ts"
import * as Fields from "./internal/fields.ts"
import * as Keys from "./internal/keys.ts"
import * as QuestionPrompt from "./internal/question.ts"
import * as Transcript from "./Transcript.ts"

/** Where to write: `process.stdout` is one. */
export interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly write: (text: string) => unknown
}

/** Where keys come from: `process.stdin` is one. */
export interface Keyboard {
  readonly isTTY?: boolean
  readonly setRawMode?: (raw: boolean) => unknown
  readonly on: (event: "data", listener: (bytes: Uint8Array | string) => void) => unknown
  readonly off: (event: "data", listener: (bytes: Uint8Array | string) => void) => unknown
  readonly resume: () => unknown
  readonly pause: () => unknown
}

/** What a terminal is made from. `onCtrlC` stands for SIGINT, which a terminal does not send while a key is awaited. */
export interface Options {
  readonly sessionId: SessionId
  readonly output: Output
  readonly keyboard: Keyboard
  readonly color: ColorMode
  readonly env: { readonly [name: string]: string | undefined }
  readonly onCtrlC: () => void
}

/** A terminal that shows one session. */
export interface Terminal {
  /** Whether somebody can be asked: input and output are a terminal. */
  readonly isAttended: boolean
  /**
   * Shows an event; while a question stands, behind its answer. To be called in order. **Interruption**: shows all of
   * it or nothing.
   */
  readonly show: (event: SessionEvent) => Effect.Effect<void>
  /** Takes note of an event of the session or of an agent below it; says who starts, is done or was stopped. */
  readonly showAgent: (sessionId: SessionId, event: SessionEvent) => void
  /**
   * Asks the person, one question at a time: y once, a for the session, n no, q no and stop the turn; a question or a
   * form by a line for each field, and Escape declines it. What was typed before a question stood there does not answer it.
   * With nobody to ask it denies. **Interruption**: gives the
   * keyboard back.
   */
  readonly decider: Approvals
  /**
   * Takes away what is not part of the transcript and gives the keyboard back, at once: for whoever cannot wait for the
   * scope.
   */
  readonly restore: () => void
}

/** How many milliseconds the keyboard is emptied before a question can be answered. */
const typedAheadMillis = 100
const frameMillis = 100
const eraseLine = "\r\x1b[2K"

const keys: { readonly [key: string]: Decision } = {
  y: { _tag: "Approved", scope: "once" },
  a: { _tag: "Approved", scope: "session" },
  n: { _tag: "Denied", reason: "rejected by user" },
  q: { _tag: "Abort" }
}
const choices = "  [y] once  [a] for this session  [n] no  [q] no, and stop "
/** The same for a narrow terminal: only one line can be taken away again. */
const shortChoices = "  y once, a session, n no, q stop "

/** Makes a terminal. When the scope closes, the line of what is awaited is taken away. */
export const make = (options: Options): Effect.Effect<Terminal, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { color, env, keyboard, output, sessionId } = options
    const isTerminal = output.isTTY === true && env["TERM"] !== "dumb"
    const isAttended = isTerminal && keyboard.isTTY === true && keyboard.setRawMode !== undefined
    const columns = () => (output.isTTY === true ? output.columns || 80 : 120)
    const useColor = Ansi.usesColor(color, output.isTTY === true, env)
    let state = Transcript.begin({
      sessionId,
      color: useColor,
      columns: columns(),
      wraps: output.isTTY === true
    })
    let drawn = false
    let asking = false
    let prompted = false
    // what happens while a question stands is shown behind its answer: at most the rest of one model response, and one
    // result for each tool that runs
    const held: Array<() => void> = []
    let tree = AgentTree.begin(sessionId)

    const erase = () => {
      if (drawn || prompted) output.write(eraseLine)
      drawn = false
    }
    const write = ([next, text]: readonly [Transcript.TranscriptState, string]) => {
      state = next
      if (text === "") return
      erase()
      output.write(text)
    }
    const show = (event: SessionEvent) => {
      const step = () => write(Transcript.step(state, event))
      if (asking && !isSilent(event)) held.push(step)
      else step()
    }
    const showAgent = (from: SessionId, event: SessionEvent) => {
      const [next, said] = AgentTree.step(tree, from, event)
      tree = next
      if (said.length === 0) return
      if (asking) held.push(() => write(Transcript.note(state, said)))
      else write(Transcript.note(state, said))
    }
    const draw = (nowMillis: number) => {
      if (asking) return
      const line = Transcript.status(state, nowMillis, AgentTree.summary(tree))
      if (line === undefined) return erase()
      output.write(eraseLine + Ansi.palette(useColor).dim(line))
      drawn = true
    }
    const resize = () => {
      if (state.options.columns !== columns()) state = { ...state, options: { ...state.options, columns: columns() } }
    }
    if (isTerminal) {
      const frame = Effect.map(Clock.currentTimeMillis, (now) => {
        resize()
        draw(now)
      })
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(frameMillis), frame)))
      yield* Effect.addFinalizer(() => Effect.sync(erase))
    }

    const oneByOne = yield* Semaphore.make(1)
    const prompt = (line: string) => {
      output.write(prompted ? eraseLine + line : line)
      prompted = true
    }
    const entered = () => {
      output.write("\n")
      prompted = false
    }
    const ask = (request: Question) => {
      const fields = Fields.fieldsOf(request)
      return Effect.acquireUseRelease(
        Effect.sync(() => {
          asking = true
          erase()
          write(Transcript.question(state, request, AgentTree.namesOf(tree, request.path)))
          return listen(keyboard, options.onCtrlC)
        }),
        (heard) =>
          Effect.sleep(typedAheadMillis).pipe(
            Effect.andThen(
              fields.length === 0
                ? byKey(heard, columns, prompt)
                : byFields({ heard, columns, prompt, entered }, request.kind, fields)
            )
          ),
        (heard, exit) =>
          Effect.sync(() => {
            heard.stop()
            erase()
            prompted = false
            asking = false
            const { questionId } = request
            if (Exit.isSuccess(exit)) write(Transcript.answered(state, questionId, exit.value))
            else write(Transcript.withdrawn(state, questionId))
            for (const step of held.splice(0)) step()
          })
      )
    }
    return {
      isAttended,
      restore: () => {
        erase()
        if (asking) keyboard.setRawMode?.(false)
      },
      show: (event) => Effect.sync(() => show(event)),
      showAgent,
      decider: isAttended
        ? { decide: (request) => oneByOne.withPermits(1)(ask(request)) }
        : denyAll("nobody is there to ask")
    }
  })

/** Whether an event adds no text by itself, so that it need not wait: what a command writes may be much. */
const isSilent = (event: SessionEvent): boolean =>
  event._tag === "ToolOutput" || (event._tag === "ItemRecorded" && event.item._tag === "ToolCall")

// oxlint-disable-next-line no-control-regex
const unfinishedEscape = /^\x1b(?:O|\[[0-?]*[ -/]*)?$/

/** Who left a question has given no answer to it, and has declined a form. */
const leftOf = (kind: Question["kind"]): Decision =>
  kind === "question" ? { _tag: "Answered", answers: {} } : { _tag: "Denied", reason: "rejected by user" }

/** Decided by one key. */
const byKey = (heard: Heard, columns: () => number, prompt: (line: string) => void): Effect.Effect<Decision> =>
  Effect.suspend(() => {
    prompt(choices.length < columns() ? choices : shortChoices)
    return Effect.map(heard.key, (key) => keys[key]!)
  })

/** Where lines are typed. */
interface Lines {
  readonly heard: Heard
  readonly columns: () => number
  readonly prompt: (line: string) => void
  readonly entered: () => void
}

/** Answered by a line for each field; one that makes no sense is asked for again. */
const byFields = Effect.fnUntraced(function* (
  { columns, entered, heard, prompt }: Lines,
  kind: Question["kind"],
  fields: ReadonlyArray<Fields.Field>
) {
  const answers: { [id: string]: unknown } = {}
  const waiting = [...fields]
  for (let field = waiting.shift(); field !== undefined;) {
    const asked = field
    const line = yield* heard.line((typed) => prompt(QuestionPrompt.prompt(asked, typed, columns())))
    if (line === undefined) return leftOf(kind)
    const read = asked.read(line.trim())
    if (read === undefined) continue
    entered()
    if (read !== "skip") answers[asked.id] = read.value
    field = waiting.shift()
  }
  return { _tag: "Answered", answers } satisfies Decision as Decision
})

/** What is heard of the keyboard. */
interface Heard {
  /** Waits for the next of the known keys. */
  readonly key: Effect.Effect<string>
  /** Waits for a line, which `draw` shows as it is typed; undefined if it was left. */
  readonly line: (draw: (typed: string) => void) => Effect.Effect<string | undefined>
  readonly stop: () => void
}

/**
 * Takes the keyboard. `key` waits for the next of the known keys that is pressed from then on. A key press comes as a
 * piece of its own: letters inside an escape sequence (an arrow key is `ESC [ A`) or a paste are no answer.
 */
const listen = (keyboard: Keyboard, onCtrlC: () => void): Heard => {
  let heard: ((key: string) => void) | undefined
  let typing: ((piece: string) => void) | undefined
  let begun = ""
  const onData = (bytes: Uint8Array | string) => {
    const text = begun + (typeof bytes === "string" ? bytes : new TextDecoder().decode(bytes))
    begun = unfinishedEscape.test(text) ? text : ""
    const key = text.trim().toLowerCase()
    if (text.includes("\x03")) onCtrlC()
    else if (typing !== undefined) typing(text)
    else if (Object.hasOwn(keys, key)) heard?.(key)
  }
  keyboard.setRawMode?.(true)
  keyboard.on("data", onData)
  keyboard.resume()
  return {
    key: Effect.callback<string>((resume) => {
      heard = (key) => resume(Effect.succeed(key))
    }),
    line: (draw) =>
      Effect.callback<string | undefined>((resume) => {
        let typed = Keys.empty
        draw(typed.text)
        typing = (piece) => {
          typed = Keys.type(typed, piece)
          draw(typed.text)
          if (typed.end === "open") return
          typing = undefined
          resume(Effect.succeed(typed.end === "entered" ? typed.text : undefined))
        }
      }),
    stop: () => {
      keyboard.off("data", onData)
      keyboard.setRawMode?.(false)
      keyboard.pause()
    }
  }
}
