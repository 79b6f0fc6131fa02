import { assert, describe, it } from "@effect/vitest"
import type { Question } from "@spindle/core/Approvals"
import type { Decision } from "@spindle/core/Op"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as Harness from "./fixtures/harness.ts"
import * as HttpServer from "./fixtures/httpServer.ts"

const form = { message: "Who is it for?", requestedSchema: { type: "object", properties: { to: { type: "string" } } } }

/** A call of a server that asks, with this answer to its question. Returns the question, and what the server got. */
const asking = Effect.fnUntraced(function* (params: object, decision: Decision) {
  const questions: Array<Question> = []
  const harness = yield* Harness.session([["mcp__stdio__ask", params]], {
    approvals: {
      decide: (question) =>
        Effect.sync(() => {
          questions.push(question)
          return decision
        })
    }
  })
  yield* harness.run("go")
  return { question: questions[0]!, got: JSON.parse(String(Harness.results(harness)[0]![1])) }
})

describe("a question of a server", () => {
  it.live("is put to the person, and the server gets the answers", () =>
    Effect.gen(function* () {
      const { got, question } = yield* asking(form, { _tag: "Answered", answers: { to: "Ada" } })
      assert.strictEqual(question.kind, "elicitation")
      assert.strictEqual(question.tool, "mcp__stdio__ask")
      assert.deepStrictEqual(question.payload, { serverName: "stdio", ...form })
      assert.deepStrictEqual(got, { action: "accept", content: { to: "Ada" } })
    }).pipe(Harness.withTools([Harness.stdio()]), Effect.scoped)
  )

  it.live("is put to the person in the call that is open, if it comes over HTTP outside of any response", () =>
    Effect.gen(function* () {
      const listening = yield* Deferred.make<(message: object) => void>()
      const called = yield* Deferred.make<HttpServer.Call>()
      const wire = yield* HttpServer.start({
        onListen: (send) => Deferred.doneUnsafe(listening, Effect.succeed(send)),
        onCall: (call) => Deferred.doneUnsafe(called, Effect.succeed(call))
      })
      yield* Effect.gen(function* () {
        const harness = yield* Harness.session([["mcp__http__echo"]], {
          approvals: { decide: () => Effect.succeed({ _tag: "Answered", answers: { to: "Ada" } }) }
        })
        yield* harness.submit("go")
        const call = yield* Deferred.await(called)
        const send = yield* Deferred.await(listening)
        send({ jsonrpc: "2.0", id: "question", method: "elicitation/create", params: form })
        const { message } = yield* wire.awaitReceived(({ message }) => message.id === "question")
        assert.deepStrictEqual(message.result, { action: "accept", content: { to: "Ada" } })
        call.reply(HttpServer.text("done"))
        yield* harness.session.awaitIdle
      }).pipe(Harness.withTools([Harness.http(wire.url)]))
    }).pipe(Effect.scoped)
  )

  describe("in the result of a call, in revision 2026-07-28,", () => {
    const ask = (method: string, params: object, more: object = {}) => ({
      resultType: "input_required",
      inputRequests: { who: { method, params } },
      ...more
    })
    /** Calls a tool of a server that responds like this. Returns the results, and the calls that it got. */
    const calling = Effect.fnUntraced(function* (onCall: (call: HttpServer.Call) => void) {
      const calls: Array<HttpServer.Received["message"]> = []
      const wire = yield* HttpServer.start({
        onCall: (call) => {
          calls.push(call.message)
          onCall(call)
        }
      })
      return yield* Effect.gen(function* () {
        const harness = yield* Harness.session([["mcp__http__echo"]], {
          approvals: { decide: () => Effect.succeed({ _tag: "Answered", answers: { to: "Ada" } }) }
        })
        yield* harness.run("go")
        return { calls, results: Harness.results(harness) }
      }).pipe(Harness.withTools([Harness.http(wire.url, { protocol: "2026-07-28" })]))
    })

    it.live("is answered by another call, with the state of the server", () =>
      Effect.gen(function* () {
        const { calls, results } = yield* calling(({ message, reply }) =>
          reply(
            message.params?.["inputResponses"] === undefined
              ? ask("elicitation/create", form, { requestState: "opaque" })
              : HttpServer.text("thanks")
          )
        )
        assert.deepStrictEqual(results, [["completed", "thanks"]])
        const [first, second] = calls
        assert.strictEqual(calls.length, 2)
        assert.notStrictEqual(second!.id, first!.id)
        assert.notProperty(first!.params, "requestState")
        assert.deepInclude(second!.params, {
          requestState: "opaque",
          inputResponses: { who: { action: "accept", content: { to: "Ada" } } }
        })
        assert.deepInclude(first!.params?.["_meta"], {
          "io.modelcontextprotocol/clientCapabilities": { elicitation: { form: {}, url: {} } }
        })
      }).pipe(Effect.scoped)
    )

    it.live("fails the call if it is for the model", () =>
      Effect.gen(function* () {
        const { calls, results } = yield* calling(({ reply }) =>
          reply(ask("sampling/createMessage", { messages: [], maxTokens: 1 }))
        )
        assert.strictEqual(calls.length, 1)
        assert.strictEqual(results[0]![0], "failed")
        assert.include(String(results[0]![1]), "this client does not let servers use its model")
      }).pipe(Effect.scoped)
    )

    it.live("fails the call if the server never has enough", () =>
      Effect.gen(function* () {
        const { calls, results } = yield* calling(({ reply }) => reply(ask("elicitation/create", form)))
        assert.strictEqual(calls.length, 17)
        assert.include(String(results[0]![1]), "it asked for input more than 16 times in one call")
      }).pipe(Effect.scoped)
    )
  })

  it.live("can be declined", () =>
    Effect.gen(function* () {
      const { got } = yield* asking(form, { _tag: "Denied" })
      assert.deepStrictEqual(got, { action: "decline" })
    }).pipe(Harness.withTools([Harness.stdio()]), Effect.scoped)
  )

  it.live("can be an address to visit", () =>
    Effect.gen(function* () {
      const url = "https://example.org/login"
      const { got, question } = yield* asking(
        { mode: "url", message: "Log in", url },
        { _tag: "Approved", scope: "once" }
      )
      assert.deepStrictEqual(question.payload, { serverName: "stdio", message: "Log in", url })
      assert.deepStrictEqual(got, { action: "accept" })
    }).pipe(Harness.withTools([Harness.stdio()]), Effect.scoped)
  )

  it.live("without a message is refused", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.session([["mcp__stdio__ask", {}]])
      yield* harness.run("go")
      assert.include(String(Harness.results(harness)[0]![1]), "an elicitation needs a message")
    }).pipe(Harness.withTools([Harness.stdio()]), Effect.scoped)
  )

  it.live("over HTTP is asked in the turn of its call", () =>
    Effect.gen(function* () {
      const answered = yield* Deferred.make<HttpServer.Message>()
      const wire = yield* HttpServer.start({
        onCall: (call) => {
          call.send({ jsonrpc: "2.0", id: "question", method: "elicitation/create", params: form })
          const wait = wire.awaitReceived(({ message }) => message.id === "question")
          Effect.runFork(
            Effect.flatMap(wait, ({ message }) => {
              call.reply(HttpServer.text("thanks"))
              return Deferred.succeed(answered, message)
            })
          )
        }
      })
      yield* Effect.gen(function* () {
        const harness = yield* Harness.session([["mcp__http__echo"]], {
          approvals: { decide: () => Effect.succeed({ _tag: "Answered", answers: { to: "Ada" } }) }
        })
        yield* harness.run("go")
        assert.deepStrictEqual(Harness.results(harness), [["completed", "thanks"]])
        const { result } = yield* Deferred.await(answered)
        assert.deepStrictEqual(result, { action: "accept", content: { to: "Ada" } })
        const opened = harness.records().find((one) => one._tag === "QuestionOpened")
        assert.isDefined(opened?.turnId)
      }).pipe(Harness.withTools([Harness.http(wire.url)]))
    }).pipe(Effect.scoped)
  )

  it.effect("stops the clock of its call", () =>
    Effect.gen(function* () {
      const answer = yield* Deferred.make<Decision>()
      const asked = yield* Deferred.make<void>()
      const harness = yield* Harness.session([["mcp__stdio__ask", form]], {
        approvals: { decide: () => Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(answer)) }
      })
      yield* harness.submit("go")
      yield* Deferred.await(asked)
      yield* TestClock.adjust("10 minutes")
      yield* Deferred.succeed(answer, { _tag: "Denied" })
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(Harness.results(harness), [["completed", '{"action":"decline"}']])
    }).pipe(Harness.withTools([Harness.stdio()]), Effect.scoped)
  )

  it.live("for the model of the user is refused", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.session([["mcp__stdio__sample"]])
      yield* harness.run("go")
      const [[, output]] = Harness.results(harness) as [readonly [string, unknown]]
      assert.deepStrictEqual(JSON.parse(String(output)), {
        code: -32601,
        message: "this client does not let servers use its model"
      })
    }).pipe(Harness.withTools([Harness.stdio()]), Effect.scoped)
  )
})
