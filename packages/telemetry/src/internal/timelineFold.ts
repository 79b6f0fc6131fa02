/** The fold of `Timeline`: one pass over the records, over a state of its own that it changes. */
import { textOf } from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import type { KnownRecord, JournalRecord, Terminal } from "@spindle/core/SessionEvent"
import * as TokenUsage from "@spindle/core/TokenUsage"
import type { Bar, Mark, Note, Said, TurnLane } from "../Timeline.ts"

type Draft<A> = { -readonly [K in keyof A]: A[K] }

interface TurnDraft extends Omit<Draft<TurnLane>, "bars" | "marks" | "said"> {
  readonly bars: Array<Draft<Bar>>
  readonly marks: Array<Mark>
  readonly said: Array<Said>
}

/** What the fold has gathered. */
export interface State {
  meta: { readonly [key: string]: string }
  readonly turns: Array<TurnDraft>
  readonly notes: Array<Note>
  /** What has not ended, by its id. */
  readonly open: Map<string, Draft<Bar>>
}

export const begin = (): State => ({ meta: {}, turns: [], notes: [], open: new Map() })

/** The longest text of a detail, in characters. */
const detailLimit = 4_000

const shown = (value: unknown): string => {
  const text = typeof value === "string" ? value : (JSON.stringify(value, undefined, 2) ?? "")
  return text.length <= detailLimit ? text : `${text.slice(0, detailLimit)} … (${text.length} characters)`
}

type Ended = Pick<Bar, "endedAt" | "status" | "mood" | "note">

const openBar = (state: State, bar: Omit<Bar, "endedAt" | "status" | "mood">): void => {
  const made: Draft<Bar> = { ...bar, endedAt: undefined, status: "open", mood: "open" }
  state.open.set(bar.id, made)
  state.turns.at(-1)?.bars.push(made)
}

const endBar = (state: State, id: string, ended: Ended, more: Bar["details"] = []) => {
  const bar = state.open.get(id)
  if (bar === undefined) return
  state.open.delete(id)
  Object.assign(bar, ended)
  bar.details = [...bar.details, ...more]
}

const mark = (state: State, one: Mark): void => void state.turns.at(-1)?.marks.push(one)
const note = (state: State, at: number, text: string): void =>
  void state.notes.push({ at, text, afterTurns: state.turns.length })

export const step = (state: State, record: JournalRecord): void => {
  switch (record._tag) {
    case "SessionStarted":
      state.meta = record.meta
      if (record.forkedFrom !== undefined) note(state, record.at, `forked from ${record.forkedFrom}`)
      return
    case "SessionResumed":
      return note(
        state,
        record.at,
        [
          "resumed",
          ...(record.cutBytes === 0 ? [] : [`${record.cutBytes} bytes were cut off`]),
          ...(record.damage === undefined ? [] : [`${record.damage.missingCount} records are missing`])
        ].join("; ")
      )
    case "TurnStarted":
      return startTurn(state, record)
    case "ItemRecorded":
      return takeItem(state, record.item, record.at)
    case "TurnCompleted":
    case "TurnFailed":
    case "TurnAborted":
      return endTurn(state, record)
    case "StragglerEnded": {
      const { kind, name } = record.straggler
      const text = `${kind} ${name} ended after ${record.afterMillis} ms`
      const turn = state.turns.find(({ turnId }) => turnId === record.ofTurn)
      return void turn?.marks.push({ at: record.at, kind: "straggler", text })
    }
    case "InputAccepted":
      return record.turnId === undefined
        ? undefined
        : mark(state, { at: record.at, kind: "steer", text: textOf(record.input) })
    case "RolledBack":
      return note(state, record.at, `${record.turns} turns were rolled back`)
    case "Warning":
      return mark(state, { at: record.at, kind: "warning", text: record.message })
    default:
      return takeWork(state, record)
  }
}

const startTurn = (state: State, record: Extract<KnownRecord, { readonly _tag: "TurnStarted" }>): void =>
  void state.turns.push({
    turnId: record.turnId,
    number: state.turns.length + 1,
    kind: record.kind,
    at: record.at,
    endedAt: undefined,
    outcome: "open",
    reason: undefined,
    usage: TokenUsage.zero,
    lastMessage: undefined,
    traceId: (record.span ?? record.trace)?.traceparent.split("-")[1],
    bars: [],
    marks: [],
    said: []
  })

const outcomes = { TurnCompleted: "completed", TurnFailed: "failed", TurnAborted: "aborted" } as const

const endTurn = (state: State, record: Terminal): void => {
  const turn = state.turns.find(({ turnId }) => turnId === record.turnId)
  if (turn === undefined) return
  turn.endedAt = record.at
  turn.outcome = outcomes[record._tag]
  turn.usage = record.usage
  turn.lastMessage = record.lastMessage
  if (record._tag === "TurnFailed") turn.reason = `${record.error.tag}: ${record.error.message}`
  if (record._tag !== "TurnAborted") return
  turn.reason = record.crashed === true ? `${record.reason}, the program had died` : record.reason
  turn.marks.push({ at: record.requestedAt, kind: "abort", text: `asked to stop: ${record.reason}` })
  for (const { kind, name } of record.stragglers) {
    turn.marks.push({ at: record.at, kind: "straggler", text: `${kind} ${name} had not ended` })
  }
}

const takeItem = (state: State, item: Item, at: number): void => {
  const said = state.turns.at(-1)?.said
  switch (item._tag) {
    case "UserMessage":
      return void said?.push({ at, by: item.fragment === undefined ? "user" : "developer", text: textOf(item.content) })
    case "DeveloperMessage":
      return void said?.push({ at, by: "developer", text: item.text })
    case "AssistantMessage":
      return void said?.push({ at, by: "assistant", text: item.text })
    case "Reasoning":
      return item.text === "" ? undefined : void said?.push({ at, by: "reasoning", text: item.text })
    case "ToolCall":
      return openBar(state, {
        id: item.callId,
        kind: "tool",
        name: item.name,
        parent: undefined,
        at,
        details: [["arguments", shown(item.invalid ?? item.params)]]
      })
    case "ToolResult":
      return endBar(state, item.callId, { endedAt: at, status: item.status, mood: moods[item.status] }, [
        ["result", shown(item.output)]
      ])
  }
}

const moods = { completed: "good", failed: "bad", denied: "bad", aborted: "stopped", unknown: "stopped" } as const

const finished = { failed: "bad", aborted: "stopped", "content-filter": "bad" } as const

const takeWork = (state: State, record: Exclude<JournalRecord, Terminal>): void => {
  const { at } = record
  switch (record._tag) {
    case "ModelRequested":
      return openBar(state, {
        id: record.requestId,
        kind: "model",
        name: record.model,
        parent: undefined,
        at,
        details: [
          ["provider", record.provider],
          ...(record.attempt === 1 ? [] : [["attempt", String(record.attempt)] as const])
        ]
      })
    case "ModelResponded": {
      const { finish, usage } = record
      const mood = (finished as { readonly [finish: string]: Bar["mood"] | undefined })[finish] ?? "good"
      const note = mood === "good" ? { note: `in ${usage.input}, out ${usage.output}` } : {}
      return endBar(state, record.requestId, { endedAt: at, status: finish, mood, ...note }, usageDetails(record))
    }
    case "ModelRetrying":
      return mark(state, { at, kind: "retry", text: `${record.kind}, again in ${record.delayMillis} ms` })
    case "QuestionOpened": {
      // below a delegate only the delegate has a bar here
      const by = record.path.map((id) => state.open.get(id)?.name).find((name) => name !== undefined)
      return openBar(state, {
        id: record.questionId,
        kind: "approval",
        name: by === undefined ? record.kind : `${record.kind} (${by})`,
        parent: record.callId,
        at,
        details: [["asked", shown(record.payload)]]
      })
    }
    case "QuestionSettled": {
      const { _tag } = record.decision
      const mood = _tag === "Denied" || _tag === "Abort" ? "bad" : _tag === "Cancelled" ? "stopped" : "good"
      return endBar(state, record.questionId, { endedAt: at, status: _tag.toLowerCase(), mood })
    }
    case "ProcessStarted":
      return openBar(state, {
        id: record.processId,
        kind: "process",
        name: record.command.at(-1) ?? "",
        parent: record.callId,
        at,
        details: [
          ["command", record.command.join(" ")],
          ["directory", record.cwd],
          ...(record.keep ? [["kept", "may outlive its turn"] as const] : [])
        ]
      })
    case "ProcessEnded": {
      const status = record.exitCode === null ? (record.signal ?? "not started") : `exit ${record.exitCode}`
      const mood = record.exitCode === 0 ? "good" : record.exitCode === null ? "stopped" : "bad"
      return endBar(state, record.processId, { endedAt: at, status, mood })
    }
    case "DelegateStarted":
      return openBar(state, {
        id: record.delegateId,
        kind: "delegate",
        name: record.name,
        parent: record.callId,
        at,
        details: [
          ["session", record.delegateId],
          ...(record.linked ? [] : [["detached", "goes on without its turn"] as const])
        ]
      })
    case "DelegateEnded": {
      const { status } = record
      const mood = status === "completed" || status === "shutdown" ? "good" : status === "errored" ? "bad" : "stopped"
      return endBar(state, record.delegateId, { endedAt: at, status, mood })
    }
    default:
      return undefined
  }
}

const usageDetails = ({
  estimated,
  finish,
  usage
}: Extract<KnownRecord, { readonly _tag: "ModelResponded" }>): Bar["details"] => {
  const tokens = `in ${usage.input} (cached ${usage.cachedInput}), out ${usage.output} (reasoning ${usage.reasoning})`
  return [
    ["ended", finish],
    ["tokens", estimated === true ? `${tokens}, estimated` : tokens]
  ]
}
