import { assert, describe, it } from "@effect/vitest"
import type { SessionId, SubmissionId, TurnId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import type { KnownRecord, SessionEvent } from "@spindle/core/SessionEvent"
import { measure } from "./fold.ts"
import { callId, itemId, processId, questionId, requestId, submissionId, turnId, usage } from "./ids.ts"
import { cleanAbort } from "../../core/test/fixtures/records.ts"

type Plain<R> = R extends unknown ? Omit<R, "seq" | "at"> : never
/** A record at a time, in milliseconds. */
const at = (time: number, record: Plain<KnownRecord>): SessionEvent => ({ seq: 0, at: time, ...record }) as SessionEvent

const started = (time: number, kind = "regular") => at(time, { _tag: "TurnStarted", turnId, kind })
const item = (time: number, value: Plain<Item> extends infer I ? I : never) =>
  at(time, { _tag: "ItemRecorded", turnId, item: { id: itemId, ...(value as object) } as Item })
const requested = (time: number) =>
  at(time, { _tag: "ModelRequested", turnId, requestId, attempt: 1, provider: "openai", model: "gpt-5" })
const responded = (time: number, finish: "stop" | "failed" | "aborted" = "stop") =>
  at(time, { _tag: "ModelResponded", turnId, requestId, finish, usage })
const delta = (tag: "TextDelta" | "ReasoningDelta" = "TextDelta"): SessionEvent => ({
  _tag: tag,
  turnId,
  itemId,
  offset: 0,
  text: "x"
})
const call = (time: number) => item(time, { _tag: "ToolCall", id: itemId, callId, name: "exec", params: {} })
const result = (time: number, status: "completed" | "aborted" = "completed") =>
  item(time, { _tag: "ToolResult", id: itemId, callId, name: "exec", status, output: "" })
const completed = (time: number) => at(time, { _tag: "TurnCompleted", turnId, usage })
const aborted = (time: number, more: Partial<Extract<KnownRecord, { readonly _tag: "TurnAborted" }>> = {}) =>
  at(time, {
    ...cleanAbort,
    turnId,
    requestedAt: time - 100,
    usage,
    ...more
  })
const failed = (time: number) =>
  at(time, { _tag: "TurnFailed", turnId, error: { tag: "ModelFailed", message: "no" }, kept: [], usage })

const atEnd = (outcome: string) => [
  `spindle.turn.tool_calls{task.kind=regular,outcome=${outcome}} 0`,
  `spindle.turn.token_usage{task.kind=regular,outcome=${outcome},token.type=total} 120`,
  `spindle.turn.token_usage{task.kind=regular,outcome=${outcome},token.type=input} 100`,
  `spindle.turn.token_usage{task.kind=regular,outcome=${outcome},token.type=cached_input} 60`,
  `spindle.turn.token_usage{task.kind=regular,outcome=${outcome},token.type=output} 20`,
  `spindle.turn.token_usage{task.kind=regular,outcome=${outcome},token.type=reasoning_output} 5`,
  "spindle.turn.network_proxy{} 1"
]

describe("turns", () => {
  it("O2 a turn that completes is measured once: duration, tool calls, five counts of tokens, proxy", () => {
    assert.deepStrictEqual(measure([started(1_000), completed(3_500)]), [
      "spindle.turn.started{task.kind=regular} 1",
      "spindle.turn.active{task.kind=regular} 1",
      "spindle.turn.active{task.kind=regular} -1",
      "spindle.turn.duration{task.kind=regular,outcome=completed} 2.5",
      ...atEnd("completed")
    ])
  })

  it("O2 a turn that fails is measured once, with the type of its error", () => {
    const points = measure([started(1_000), failed(2_000)]).slice(3)
    assert.deepStrictEqual(points, [
      "spindle.turn.duration{task.kind=regular,outcome=failed,error.type=ModelFailed} 1",
      ...atEnd("failed")
    ])
  })

  it("O2 a turn that is aborted is measured once, with its reason and how long the abort took", () => {
    const points = measure([started(1_000), aborted(2_000)]).slice(3)
    assert.deepStrictEqual(points, [
      "spindle.turn.duration{task.kind=regular,outcome=aborted,abort.reason=Interrupted} 1",
      ...atEnd("aborted"),
      "spindle.abort.duration{phase=settled,abort.reason=Interrupted} 0.1"
    ])
  })

  it("O2 under the reference's policy an aborted turn has its times only", () => {
    const options = { abortedTurns: false }
    const events = [started(1_000), requested(1_100), delta(), responded(1_500, "aborted"), aborted(2_000)]
    assert.deepStrictEqual(measure(events, options, "codex."), [
      "codex.turn.ttft.duration_ms{} 101",
      "codex.turn.e2e_duration_ms{} 1000"
    ])
    const points = measure(events, options)
    assert.deepStrictEqual(
      points.filter((point) => /turn\.(tool_calls|token_usage|network_proxy)/.test(point)),
      []
    )
  })

  it("O2 a turn whose end cannot be written is measured as failed when its session fails", () => {
    const sessionFailed = { _tag: "SessionFailed", sessionId: "x" as SessionId, message: "no" } as const
    const points = measure([started(1_000), sessionFailed])
    assert.include(points, "spindle.session.failed{} 1")
    assert.include(points, "spindle.turn.duration{task.kind=regular,outcome=failed,error.type=JournalFailed} 0.001")
    assert.lengthOf(measure([started(1_000), sessionFailed, completed(2_000)]), points.length, "and not once more")
  })

  it("O2 the end of a turn that crashed with another host is not measured", () => {
    assert.deepStrictEqual(measure([aborted(2_000, { crashed: true })]), [])
  })

  it("10.4 the reference's names, units and attributes", () => {
    const points = measure(
      [
        started(1_000),
        requested(1_200),
        delta(),
        item(1_800, { _tag: "AssistantMessage", id: itemId, text: "hello" }),
        responded(1_900),
        completed(3_500)
      ],
      { memoryEnabled: true },
      "codex."
    )
    assert.deepStrictEqual(points, [
      "codex.turn.ttft.duration_ms{} 201",
      "codex.turn.ttfm.duration_ms{} 800",
      "codex.turn.e2e_duration_ms{} 2500",
      "codex.turn.tool.call{tmp_mem_enabled=true} 0",
      "codex.turn.token_usage{token_type=total,tmp_mem_enabled=true} 120",
      "codex.turn.token_usage{token_type=input,tmp_mem_enabled=true} 100",
      "codex.turn.token_usage{token_type=cached_input,tmp_mem_enabled=true} 60",
      "codex.turn.token_usage{token_type=output,tmp_mem_enabled=true} 20",
      "codex.turn.token_usage{token_type=reasoning_output,tmp_mem_enabled=true} 5",
      "codex.turn.network_proxy{tmp_mem_enabled=true} 1"
    ])
  })

  it("10.4 tasks of the reference's kinds are counted at their start, a thread at its own, its turns at its end", () => {
    const start = at(0, { _tag: "SessionStarted", sessionId: "x" as SessionId, meta: {} })
    const events = ["review", "undo", "user_shell", "regular"].map((kind) => started(0, kind))
    assert.deepStrictEqual(measure([start, ...events, { _tag: "Closed" }], { isGit: true }, "codex."), [
      "codex.thread.started{is_git=true} 1",
      "codex.task.review{} 1",
      "codex.task.undo{} 1",
      "codex.task.user_shell{} 1",
      "codex.conversation.turn.count{} 4"
    ])
  })

  it("10.4 a task alongside a turn is counted when it is accepted, and a queued one when its turn starts", () => {
    const accepted = (more: object) =>
      at(0, {
        _tag: "InputAccepted",
        submissionId,
        input: [],
        delivery: "wait",
        task: { kind: "user_shell", params: {}, mode: "alongside" },
        ...more
      })
    const count = "codex.task.user_shell{} 1"
    assert.deepStrictEqual(measure([started(0), accepted({ turnId })], {}, "codex.task"), [count])
    assert.deepStrictEqual(measure([accepted({}), started(0, "user_shell")], {}, "codex.task"), [count])
  })

  it("10.4 a compaction is counted once, with who is asked for the summary, if it is a task", () => {
    const note = (trigger: "manual" | "limit", remote?: true) =>
      at(0, {
        _tag: "TaskNote",
        turnId,
        name: "compaction.started",
        data: { trigger, tokens: 1, ...(remote && { remote }) }
      })
    const points = (...events: ReadonlyArray<SessionEvent>) => measure(events, {}, "codex.task")
    const local = "codex.task.compact{type=local} 1"
    assert.deepStrictEqual(points(started(0, "compact"), note("manual"), failed(1)), [local])
    assert.deepStrictEqual(points(started(0, "compact"), note("manual", true), completed(1)), [
      "codex.task.compact{type=remote} 1"
    ])
    assert.deepStrictEqual(points(started(0, "compact"), failed(1)), [local])
    assert.deepStrictEqual(points(started(0), note("limit"), completed(1)), [])
  })
})

describe("the first output", () => {
  const first = (...events: ReadonlyArray<SessionEvent>) =>
    measure([started(1_000), ...events]).filter((point) => point.includes("time_to_first"))

  it("10.5 is a delta of text or reasoning, counted once", () => {
    assert.deepStrictEqual(first(delta(), delta()), ["spindle.turn.time_to_first_token{task.kind=regular} 0.001"])
    assert.deepStrictEqual(first(delta("ReasoningDelta")), [
      "spindle.turn.time_to_first_token{task.kind=regular} 0.001"
    ])
  })

  it("10.5 is a non-empty message or reasoning, or a tool call", () => {
    const token = "spindle.turn.time_to_first_token{task.kind=regular} 0.5"
    assert.deepStrictEqual(first(call(1_500)), [token])
    assert.deepStrictEqual(first(item(1_500, { _tag: "Reasoning", id: itemId, text: "hm" })), [token])
    assert.deepStrictEqual(first(item(1_500, { _tag: "AssistantMessage", id: itemId, text: "hello" })), [
      token,
      "spindle.turn.time_to_first_message{task.kind=regular} 0.5"
    ])
  })

  it("10.5 is not empty reasoning, nor text of users and tools", () => {
    assert.deepStrictEqual(
      first(
        item(1_500, { _tag: "Reasoning", id: itemId, text: "", encrypted: "x" }),
        item(1_500, { _tag: "UserMessage", id: itemId, content: [] }),
        item(1_500, { _tag: "DeveloperMessage", id: itemId, text: "context" }),
        { _tag: "ToolOutput", turnId, callId, offset: 0, text: "out" },
        result(1_500)
      ),
      []
    )
  })

  it("10.5 the first message is a complete one", () => {
    assert.deepStrictEqual(
      first(
        item(1_500, { _tag: "AssistantMessage", id: itemId, text: "hel", partial: "superseded" }),
        item(2_000, { _tag: "AssistantMessage", id: itemId, text: "hello" }),
        item(3_000, { _tag: "AssistantMessage", id: itemId, text: "again" })
      ),
      [
        "spindle.turn.time_to_first_token{task.kind=regular} 0.5",
        "spindle.turn.time_to_first_message{task.kind=regular} 1"
      ]
    )
  })

  it("10.5 without a turn nothing is recorded", () => {
    assert.deepStrictEqual(measure([delta()]), [])
  })
})

describe("requests and tools", () => {
  const chat = "gen_ai.operation.name=chat,gen_ai.provider.name=openai,gen_ai.request.model=gpt-5"

  it("O2 a model request has a duration, a time to its first chunk, and tokens by type", () => {
    const events = [started(0), requested(1_000), delta(), delta(), responded(3_000), requested(4_000), call(4_250)]
    assert.deepStrictEqual(measure(events, {}, "gen_ai."), [
      `gen_ai.client.operation.time_to_first_chunk{${chat}} 0.001`,
      `gen_ai.client.operation.duration{${chat}} 2`,
      `gen_ai.client.token.usage{${chat},gen_ai.token.type=input} 100`,
      `gen_ai.client.token.usage{${chat},gen_ai.token.type=output} 20`,
      `gen_ai.client.operation.time_to_first_chunk{${chat}} 0.25`
    ])
  })

  it("O2 a request that failed or was aborted says so", () => {
    const [point] = measure([started(0), requested(1_000), responded(3_000, "aborted")], {}, "gen_ai.")
    assert.strictEqual(point, `gen_ai.client.operation.duration{${chat},error.type=aborted} 2`)
  })

  it("O2 tool calls are counted a turn, and timed from their record to their result", () => {
    const points = measure([started(0), call(100), result(600, "aborted"), completed(700)])
    assert.include(points, "spindle.tool.duration{gen_ai.tool.name=exec,status=aborted} 0.5")
    assert.include(points, "spindle.turn.tool_calls{task.kind=regular,outcome=completed} 1")
  })

  it("O2 a retry is counted with its cause", () => {
    const retrying = at(0, {
      _tag: "ModelRetrying",
      turnId,
      requestId,
      attempt: 1,
      maxAttempts: 4,
      delayMillis: 200,
      kind: "RateLimited",
      detail: "slow down"
    })
    assert.deepStrictEqual(measure([retrying]), ["spindle.model.retries{error.type=RateLimited} 1"])
  })
})

describe("input", () => {
  const accepted = (id: string, steers?: TurnId) =>
    at(0, {
      _tag: "InputAccepted",
      submissionId: id as SubmissionId,
      input: [],
      delivery: "steer",
      ...(steers === undefined ? {} : { turnId: steers })
    })
  const waiting = (points: ReadonlyArray<string>) =>
    points.reduce((sum, point) => sum + (point.startsWith("spindle.inbox") ? Number(point.split(" ")[1]) : 0), 0)

  it("O2 is counted when it is accepted, and by its fate", () => {
    const points = measure([
      accepted("a"),
      started(0),
      item(1, { _tag: "UserMessage", id: itemId, content: [], submissionId: "a" as SubmissionId }),
      accepted("b", turnId),
      accepted("c", turnId),
      at(2, { _tag: "InputBlocked", turnId, submissionId: "c" as SubmissionId }),
      accepted("d"),
      accepted("e"),
      aborted(200, {
        returned: [{ submissionId: "b" as SubmissionId, input: [] }],
        kept: ["d" as SubmissionId],
        dropped: ["e" as SubmissionId]
      })
    ]).filter((point) => point.includes("input."))
    assert.deepStrictEqual(points, [
      "spindle.input.accepted{delivery=queued} 1",
      "spindle.input.fate{fate=carried} 1",
      "spindle.input.accepted{delivery=steered} 1",
      "spindle.input.accepted{delivery=steered} 1",
      "spindle.input.fate{fate=blocked} 1",
      "spindle.input.accepted{delivery=queued} 1",
      "spindle.input.accepted{delivery=queued} 1",
      "spindle.input.fate{fate=kept} 1",
      "spindle.input.fate{fate=returned} 1",
      "spindle.input.fate{fate=dropped} 1"
    ])
  })

  it("O2 how much waits is right after any fate, and nothing is left when the session is closed", () => {
    const events = [
      accepted("a"),
      accepted("b"),
      started(0),
      aborted(200, { kept: ["a" as SubmissionId], dropped: ["b" as SubmissionId] })
    ]
    assert.strictEqual(waiting(measure(events)), 1)
    assert.strictEqual(waiting(measure([...events, { _tag: "Closed" }])), 0)
  })

  it("O2 input that waited before this program started is not subtracted twice", () => {
    const carried = item(1, { _tag: "UserMessage", id: itemId, content: [], submissionId })
    assert.strictEqual(waiting(measure([started(0), carried])), 0)
  })
})

describe("questions, processes, aborts, journal", () => {
  it("O2 a question is counted when it is asked and when it is settled, with how long that took", () => {
    const opened = at(1_000, {
      _tag: "QuestionOpened",
      turnId,
      questionId,
      kind: "command",
      tool: "exec",
      payload: {},
      path: []
    })
    const settle = (tag: "Approved" | "Cancelled") =>
      at(4_000, {
        _tag: "QuestionSettled",
        turnId,
        questionId,
        decision: tag === "Approved" ? { _tag: tag, scope: "turn" } : { _tag: tag, by: "abort" }
      })
    assert.deepStrictEqual(measure([opened, settle("Approved")]), [
      "spindle.approval.requested{kind=command} 1",
      "spindle.approval.decided{kind=command,decision=approved} 1",
      "spindle.approval.duration{kind=command,decision=approved} 3"
    ])
    assert.deepStrictEqual(measure([opened, settle("Approved")], {}, "codex."), [
      "codex.approval.requested{tool=exec,approved=true} 1"
    ])
    assert.include(
      measure([opened, settle("Cancelled")]),
      "spindle.approval.decided{kind=command,decision=cancelled} 1"
    )
    assert.deepStrictEqual(measure([settle("Approved")]), [])
  })

  it("O2 processes are counted while they live, and timed with how they ended", () => {
    const start = at(0, { _tag: "ProcessStarted", processId, turnId, command: ["sleep"], cwd: "/", keep: false })
    const end = (exitCode: number | null, signal?: string) =>
      measure([
        start,
        at(2_000, { _tag: "ProcessEnded", processId, exitCode, ...(signal === undefined ? {} : { signal }) })
      ]).slice(2)
    const gone = "spindle.process.active{} -1"
    assert.deepStrictEqual(end(0), [gone, "spindle.process.duration{exit=zero} 2"])
    assert.deepStrictEqual(end(1), [gone, "spindle.process.duration{exit=nonzero} 2"])
    assert.deepStrictEqual(end(null, "SIGKILL"), [gone, "spindle.process.duration{exit=signal} 2"])
    assert.deepStrictEqual(end(null), [gone, "spindle.process.duration{exit=none} 2"])
    assert.include(measure([start, { _tag: "Closed" }]), "spindle.process.active{} -1")
  })

  it("O2 delegates are counted while they live, with their depth, how they live and how they end", () => {
    const delegateId = "child" as SessionId
    const start = (linked: boolean) =>
      at(0, { _tag: "DelegateStarted", turnId, delegateId, name: "reviewer", linked, depth: 2 })
    const end = at(2_000, { _tag: "DelegateEnded", delegateId, status: "completed" })
    assert.deepStrictEqual(measure([start(true), end]), [
      "spindle.delegate.started{mode=linked} 1",
      "spindle.delegate.active{} 1",
      "spindle.delegate.depth{} 2",
      "spindle.delegate.ended{mode=linked,outcome=completed} 1",
      "spindle.delegate.active{} -1"
    ])
    assert.include(measure([start(false), end]), "spindle.delegate.ended{mode=detached,outcome=completed} 1")
    const spent = at(2_000, {
      _tag: "DelegateEnded",
      delegateId,
      status: "completed",
      spent: { tokens: 70, started: 1 }
    })
    assert.include(measure([start(true), spent]), "spindle.delegate.token_usage{mode=linked,outcome=completed} 70")
    assert.deepStrictEqual(measure([end]), [])
    assert.include(measure([start(true), { _tag: "Closed" }]), "spindle.delegate.active{} -1")
  })

  it("O2 an abort has three phases: accepted, settled, and the end of each straggler", () => {
    const straggler = { kind: "task", name: "regular" } as const
    const points = measure([
      { _tag: "Submitted", op: "Interrupt", receipt: "Accepted", rejection: undefined, millis: 2 },
      started(0),
      aborted(200, { stragglers: [straggler, { kind: "process", name: "sleep" }] }),
      at(900, { _tag: "StragglerEnded", straggler, ofTurn: turnId, afterMillis: 800 })
    ]).filter((point) => point.includes("abort."))
    assert.deepStrictEqual(points.slice(0, 1), [
      "spindle.abort.duration{phase=accepted,abort.reason=Interrupted} 0.002"
    ])
    assert.includeMembers(
      [...points],
      [
        "spindle.abort.duration{phase=settled,abort.reason=Interrupted} 0.1",
        "spindle.abort.stragglers{kind=task} 1",
        "spindle.abort.stragglers{kind=process} 1",
        "spindle.abort.duration{phase=straggler} 0.8"
      ]
    )
  })

  it("I3 stragglers are counted, by kind", () => {
    const stragglers = [
      { kind: "task", name: "regular" },
      { kind: "process", name: "a" },
      { kind: "process", name: "b" }
    ] as const
    const points = measure([started(0), aborted(200, { stragglers: [...stragglers] })])
    assert.deepStrictEqual(
      points.filter((point) => point.includes("stragglers")),
      [
        "spindle.abort.stragglers{kind=task} 1",
        "spindle.abort.stragglers{kind=process} 1",
        "spindle.abort.stragglers{kind=process} 1"
      ]
    )
  })

  it("O2 receipts, batches of the journal and waits for it are timed, and events that wait for subscribers are counted", () => {
    assert.deepStrictEqual(
      measure([
        { _tag: "Submitted", op: "UserInput", receipt: "Rejected", rejection: "InboxFull", millis: 1 },
        { _tag: "Appended", recordsCount: 7, millis: 3 },
        { _tag: "Flushed", millis: 4 },
        { _tag: "Waiting", eventsChange: 5 },
        { _tag: "Waiting", eventsChange: -3 },
        { _tag: "Closed" }
      ]),
      [
        "spindle.submission.duration{op=UserInput,receipt=Rejected,error.type=InboxFull} 0.001",
        "spindle.journal.append.duration{} 0.003",
        "spindle.journal.append.records{} 7",
        "spindle.journal.flush.duration{} 0.004",
        "spindle.subscriber.waiting{} 5",
        "spindle.subscriber.waiting{} -3",
        "spindle.subscriber.waiting{} -2"
      ]
    )
  })
})
