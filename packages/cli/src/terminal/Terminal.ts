/**
 * The driver of a transcript: writes it to a stream, draws the status line and the last lines of a running command, and
 * asks for approvals with a key press.
 *
 * It owns the timer of the redrawn lines and, while it asks, the keyboard. A stream that is not a terminal gets plain
 * text and no redrawn lines. Questions are then asked at another screen, if there is one.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Approvals, Question } from "@spindle/core/Approvals"
import type { SessionId } from "@spindle/core/Ids"
import type { Decision } from "@spindle/core/Op"
import type { Snapshot } from "@spindle/core/Session"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Tree from "@spindle/app/Tree"
import * as AgentText from "../output/agentText.ts"
import * as Ansi from "../output/Ansi.ts"
import { rejectedByUser } from "../output/reasons.ts"
import type { ColorMode } from "../args/Flags.ts"
import * as Fields from "../output/fields.ts"
import * as Keys from "./keys.ts"
import * as QuestionText from "../output/question.ts"
import * as Region from "./Region.ts"
import * as Transcript from "../output/TranscriptText.ts"
import * as Wrapping from "../output/wrapping.ts"

/** A source of keys: `process.stdin` is one. */
export interface Keyboard {
  readonly isTTY?: boolean
  readonly setRawMode?: (raw: boolean) => unknown
  readonly on: (event: "data", listener: (bytes: Uint8Array | string) => void) => unknown
  readonly off: (event: "data", listener: (bytes: Uint8Array | string) => void) => unknown
  readonly resume: () => unknown
  readonly pause: () => unknown
}

/**
 * The options of a terminal. `screen` shows the questions if `output` is not a terminal. `verbose`: nothing is cut or
 * folded. `onCtrlC` replaces SIGINT, which a terminal does not send while a key is awaited.
 */
export interface Options {
  readonly sessionId: SessionId
  readonly cwd: string
  readonly output: Region.Output
  readonly keyboard: Keyboard
  readonly screen?: Region.Output | undefined
  readonly color: ColorMode
  readonly verbose?: boolean | undefined
  /** Returns the size of the context of a model, in tokens; undefined if it is unknown. */
  readonly contextWindow?: ((model: string) => number | undefined) | undefined
  readonly env: { readonly [name: string]: string | undefined }
  readonly onCtrlC: () => void
}

/** A terminal that shows one session. */
export interface Terminal {
  /**
   * Takes the earlier part of a resumed session, and shows the header above the transcript, unless it is written to a
   * pipe. Called before the first event.
   */
  readonly open: (snapshot: Snapshot, header: ReadonlyArray<string>) => void
  /**
   * Shows an event, or while a question is open, shows it after the answer. Called in order. **Interruption** shows all
   * of the event or nothing.
   */
  readonly show: (event: SessionEvent) => Effect.Effect<void>
  /** Takes an event of the session or of an agent below it. Shows the start and the end of agents. */
  readonly showAgent: (sessionId: SessionId, event: SessionEvent) => void
  /**
   * Asks the person, one question at a time. The keys: y allows once, t for the turn, a for the session, p always, by a
   * rule; n or Escape denies, d denies and reads another instruction, q denies and stops the turn. A question or a form
   * takes one line for each field, and Escape declines it. Keys that were typed before the question was shown do not
   * answer it. Undefined if there is no keyboard or no screen. **Interruption** releases the keyboard.
   */
  readonly approvals: Approvals | undefined
  /** Erases the redrawn lines and releases the keyboard at once, for a program that cannot wait for the scope. */
  readonly restore: () => void
}

/** The time for which keys are ignored before a question can be answered, in milliseconds. */
const typedAheadMillis = 100
const frameMillis = 100

/** A key that decides, with its label. */
interface Choice {
  readonly key: string
  readonly label: string
  /** For a narrow terminal. */
  readonly short: string
  /** Undefined if the person types another instruction. */
  readonly decision: Decision | undefined
}

/** Returns the choices for a question. A question outside a turn cannot be allowed for a turn. */
const choicesOf = ({ kind, payload, turnId }: Question): ReadonlyArray<Choice> => {
  const amendment = QuestionText.amendmentIn(payload)
  const turn: Decision = { _tag: "Approved", scope: "turn" }
  // a command runs at once with its grant; permissions are for the commands that follow
  const scope = kind === "command" || turnId === undefined ? "once" : "turn"
  const less = QuestionText.lessIn(payload).map(({ label, permissions }, index): Choice => {
    const text = Ansi.toVisible(label)
    return { key: String(index + 1), label: text, short: text, decision: { _tag: "Approved", scope, permissions } }
  })
  const always: Decision = { _tag: "Approved", scope: "session", amendment }
  return [
    { key: "y", label: "once", short: "once", decision: { _tag: "Approved", scope: "once" } },
    ...(turnId === undefined ? [] : [{ key: "t", label: "this turn", short: "turn", decision: turn }]),
    { key: "a", label: "this session", short: "session", decision: { _tag: "Approved", scope: "session" } },
    ...(amendment === undefined ? [] : [{ key: "p", label: "always", short: "always", decision: always }]),
    ...less,
    { key: "n", label: "no", short: "no", decision: { _tag: "Denied", reason: rejectedByUser } },
    { key: "d", label: "instead", short: "instead", decision: undefined },
    { key: "q", label: "no, stop", short: "stop", decision: { _tag: "Abort" } }
  ]
}

/** Returns the prompt with the choices: in one line, or on a narrow terminal with one line for each choice. */
const choicePrompt = (
  choices: ReadonlyArray<Pick<Choice, "key" | "label" | "short">>,
  columns: number
): ReadonlyArray<string> => {
  const lines = [
    `  ${choices.map(({ key, label }) => `[${key}] ${label}`).join("  ")} `,
    `  ${choices.map(({ key, short }) => `${key} ${short}`).join(", ")} `
  ]
  const shortest = `  ${choices.map(({ key }) => key).join("/")} `
  const fitting = lines.find((line) => Ansi.width(line) < columns)
  if (fitting !== undefined) return [fitting]
  return [...choices.map(({ key, short }) => Ansi.fit(`  ${key} ${short}`, Math.max(1, columns - 1))), shortest]
}

/** Makes a terminal. When the scope closes, it erases the redrawn lines. */
export const make = (options: Options): Effect.Effect<Terminal, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { color, cwd, env, keyboard, output, sessionId } = options
    const isDumb = env["TERM"] === "dumb"
    const isTerminal = output.isTTY === true && !isDumb
    const screen = output.isTTY === true ? output : options.screen
    const isAttended = screen?.isTTY === true && keyboard.isTTY === true && keyboard.setRawMode !== undefined
    const region = Region.make(screen, isDumb)
    const columns = () => (output.isTTY === true ? output.columns || 80 : 120)
    const useColor = Ansi.usesColor(color, output.isTTY === true, env)
    let state = Transcript.initial({
      sessionId,
      cwd,
      color: useColor,
      columns: columns(),
      wraps: output.isTTY === true,
      isComplete: output.isTTY !== true || options.verbose === true,
      contextWindow: options.contextWindow
    })
    let asking = false
    let prompt: Array<string> = []
    // events during a question are shown after its answer: at most the rest of one model response, and one result for
    // each running tool
    const held: Array<() => void> = []
    let tree = Tree.initial(sessionId)

    const write = ([next, text]: readonly [Transcript.TranscriptState, string]) => {
      state = next
      if (text === "") return
      region.erase()
      output.write(text)
    }
    /** Writes the text of a question, and writes it to the screen on which the question is asked, too. */
    const writeStep = (step: (from: Transcript.TranscriptState) => ReturnType<typeof Transcript.question>) => {
      const screenColor = Ansi.usesColor(color, true, env)
      const shown = step({ ...state, options: { ...state.options, color: screenColor } })[1]
      write(step(state))
      if (screen !== output) screen?.write(shown)
    }
    const show = (event: SessionEvent) => {
      const step = () => write(Transcript.step(state, event))
      if (asking && !isSilent(event)) held.push(step)
      else step()
    }
    const showAgent = (from: SessionId, event: SessionEvent) => {
      const [next, change] = Tree.step(tree, from, event)
      tree = next
      state = Transcript.countAgents(state, tree.agentTokens)
      if (change === undefined) return
      const line = AgentText.lineOf(tree, change)
      if (asking) held.push(() => write(Transcript.note(state, line)))
      else write(Transcript.note(state, line))
    }
    const draw = (last: ReadonlyArray<string>) => {
      if (last.length === 0) return region.erase()
      const room = isTerminal ? Math.max(0, (screen?.rows || 24) - last.length - 2) : 0
      region.draw([...Transcript.tail(state, { isAsking: asking, room }), ...last])
    }
    const statusLines = (nowMillis: number) => {
      const line = Transcript.status(state, nowMillis, AgentText.summary(tree))
      return line === undefined ? [] : [Ansi.palette(useColor).dim(line)]
    }
    const resize = () => {
      if (state.options.columns !== columns()) state = { ...state, options: { ...state.options, columns: columns() } }
    }
    if (isTerminal) {
      yield* everyFrame((now) => {
        resize()
        draw(asking ? prompt : statusLines(now))
      })
      yield* Effect.addFinalizer(() => Effect.sync(region.erase))
    }

    const oneByOne = yield* Semaphore.make(1)
    const screenColumns = () => screen?.columns || 80
    const drawPrompt = (lines: ReadonlyArray<string>) => draw((prompt = [...lines]))
    const keepPrompt = () => region.keep(prompt.splice(0))
    const ask = (request: Question) => {
      const fields = Fields.fieldsOf(request)
      return Effect.acquireUseRelease(
        Effect.sync(() => {
          asking = true
          region.erase()
          writeStep((from) => Transcript.question(from, request, AgentText.askerOf(tree, request.path)))
          return listen(keyboard, options.onCtrlC)
        }),
        (heard) =>
          Effect.sleep(typedAheadMillis).pipe(
            Effect.andThen(
              Effect.suspend(() => {
                const lines: Lines = { heard, columns: screenColumns, prompt: drawPrompt, keepPrompt }
                return fields.length === 0 ? askKey(lines, choicesOf(request)) : askFields(lines, request.kind, fields)
              })
            )
          ),
        (heard, exit) =>
          Effect.sync(() => {
            heard.stop()
            region.erase()
            asking = false
            prompt = []
            const { questionId } = request
            writeStep((from) =>
              Exit.isSuccess(exit)
                ? Transcript.answer(from, questionId, exit.value)
                : Transcript.withdrawal(from, questionId)
            )
            for (const step of held.splice(0)) step()
          })
      )
    }
    return {
      open: (snapshot, header) => {
        state = Transcript.resume(state, snapshot)
        if (output.isTTY === true) write(Transcript.header(state, header))
      },
      restore: () => {
        region.erase()
        if (asking) keyboard.setRawMode?.(false)
      },
      show: (event) => Effect.sync(() => show(event)),
      showAgent,
      approvals: isAttended ? { decide: (request) => oneByOne.withPermits(1)(ask(request)) } : undefined
    }
  })

/** Calls a function with the time, again and again until the scope closes. */
const everyFrame = (draw: (nowMillis: number) => void) =>
  Effect.forkScoped(
    Effect.forever(Effect.andThen(Effect.sleep(frameMillis), Effect.map(Clock.currentTimeMillis, draw)))
  )

const yesOrNo = [
  { key: "y", label: "yes", short: "yes" },
  { key: "n", label: "no", short: "no" }
]

/** Asks a person to confirm something with y or n. Escape is n, Ctrl-C interrupts the program. */
export const confirm = (
  { keyboard, screen }: { readonly keyboard: Keyboard; readonly screen: Region.Output },
  title: string
) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      screen.write(`${Wrapping.all(`? ${title}`, screen.columns || 80)}\n`)
      return listen(keyboard, () => process.kill(process.pid, "SIGINT"))
    }),
    ({ keyOf }) =>
      Effect.sleep(typedAheadMillis).pipe(
        Effect.andThen(Effect.sync(() => screen.write(choicePrompt(yesOrNo, screen.columns || 80).join("\n")))),
        Effect.andThen(keyOf(["y", "n", "q"])),
        Effect.map((pressed) => pressed === "y")
      ),
    ({ stop }) =>
      Effect.sync(() => {
        stop()
        screen.write("\n")
      })
  )

/** Returns true if an event adds no text by itself, so that it need not be held. Output of commands can be large. */
const isSilent = (event: SessionEvent): boolean =>
  event._tag === "ToolOutput" || (event._tag === "ItemRecorded" && event.item._tag === "ToolCall")

/** Returns the decision of a person who leaves a question: no answer to a question, a denial of a form. */
const decisionOnLeave = (kind: Question["kind"]): Decision =>
  kind === "question" ? { _tag: "Answered", answers: {} } : { _tag: "Denied", reason: rejectedByUser }

/**
 * Waits for a key that decides. A person who leaves the line for another instruction, or leaves it empty, chooses
 * again.
 */
const askKey = Effect.fnUntraced(function* (lines: Lines, choices: ReadonlyArray<Choice>) {
  const { columns, keepPrompt, heard, prompt } = lines
  const decisions = new Map(choices.map(({ decision, key }) => [key, decision]))
  for (;;) {
    prompt(choicePrompt(choices, columns()))
    const decision = decisions.get(yield* heard.keyOf([...decisions.keys()]))
    if (decision !== undefined) return decision
    const reason = (yield* heard.line((typed) => prompt(QuestionText.prompt(instead, typed, columns()))))?.trim()
    if (reason === undefined || reason === "") continue
    keepPrompt()
    return { _tag: "Denied", reason } satisfies Decision as Decision
  }
})

const instead: Pick<Fields.Field, "title" | "choices" | "isSecret"> = {
  title: "Do this instead",
  choices: [],
  isSecret: false
}

/** The part of a terminal in which lines are typed and drawn. */
interface Lines {
  readonly heard: Heard
  readonly columns: () => number
  readonly prompt: (lines: ReadonlyArray<string>) => void
  readonly keepPrompt: () => void
}

/** Reads a line for each field. A line that makes no sense is asked for again. */
const askFields = Effect.fnUntraced(function* (
  { columns, keepPrompt, heard, prompt }: Lines,
  kind: Question["kind"],
  fields: ReadonlyArray<Fields.Field>
) {
  const answers: { [id: string]: unknown } = {}
  const waiting = [...fields]
  for (let field = waiting.shift(); field !== undefined;) {
    const asked = field
    const line = yield* heard.line((typed) => prompt(QuestionText.prompt(asked, typed, columns())))
    if (line === undefined) return decisionOnLeave(kind)
    const read = asked.read(line.trim())
    if (read === undefined) continue
    keepPrompt()
    if (read !== "skip") answers[asked.id] = read.value
    field = waiting.shift()
  }
  return { _tag: "Answered", answers } satisfies Decision as Decision
})

/** The keyboard, while a question is open. */
interface Heard {
  /** Waits for one of these keys. Escape is `n`. */
  readonly keyOf: (known: ReadonlyArray<string>) => Effect.Effect<string>
  /** Waits for a line, which `draw` shows as it is typed; undefined if the person left it. */
  readonly line: (draw: (typed: string) => void) => Effect.Effect<string | undefined>
  readonly stop: () => void
}

/** The time in which the rest of a key's sequence must arrive, in milliseconds. Otherwise the key is Escape. */
const escapeMillis = 50

/**
 * Takes the keyboard. A key press arrives as a separate piece, so letters inside an escape sequence (an arrow key is
 * `ESC [ A`) or a paste do not answer. Characters and sequences may arrive in pieces.
 */
const listen = (keyboard: Keyboard, onCtrlC: () => void): Heard => {
  let heard: ((key: string) => void) | undefined
  let typing: ((piece: string) => void) | undefined
  let unfinished = ""
  let timer: NodeJS.Timeout | undefined
  const decoder = new TextDecoder()
  const take = (tokens: ReadonlyArray<string>) => {
    if (tokens.some((token) => token.includes("\x03"))) return onCtrlC()
    if (typing !== undefined) return tokens.forEach((token) => typing?.(token))
    if (tokens.includes(Keys.escape)) return heard?.("n")
    const key = tokens.length === 1 ? tokens[0]!.trim().toLowerCase() : ""
    heard?.(key)
  }
  const onData = (bytes: Uint8Array | string) => {
    clearTimeout(timer)
    const piece = typeof bytes === "string" ? bytes : decoder.decode(bytes, { stream: true })
    const { rest, tokens } = Keys.split(unfinished + piece)
    unfinished = rest
    if (tokens.length > 0) take(tokens)
    if (rest !== "") timer = setTimeout(onEscape, escapeMillis)
  }
  const onEscape = () => {
    unfinished = ""
    take([Keys.escape])
  }
  keyboard.setRawMode?.(true)
  keyboard.on("data", onData)
  keyboard.resume()
  return {
    keyOf: (known) =>
      Effect.callback<string>((resume) => {
        heard = (key) => {
          if (known.includes(key)) resume(Effect.succeed(key))
        }
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
      clearTimeout(timer)
      keyboard.off("data", onData)
      keyboard.setRawMode?.(false)
      keyboard.pause()
    }
  }
}
