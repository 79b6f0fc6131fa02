/**
 * The tool `request_user_input`: asks the user one to three questions with options, and returns the answers as data.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import { CallId } from "@spindle/core/Ids"
import { Turn } from "@spindle/core/Turn"
import * as Answers from "../internal/project/answers.ts"
import { ToolFailure } from "../ToolFailure.ts"

/** The most questions of a call. */
export const maxQuestions = 3

/** The arguments of the tool. */
export const Parameters = Schema.Struct({
  questions: Schema.Array(
    Schema.Struct({
      id: Schema.String.annotate({ description: "The name of the answer, in snake_case." }),
      header: Schema.String.annotate({ description: "A title of one or two words." }),
      question: Schema.String.annotate({ description: "The question, in one sentence." }),
      options: Schema.Array(
        Schema.Struct({
          label: Schema.String.annotate({ description: "The answer, in one to five words." }),
          description: Schema.String.annotate({ description: "What the answer means, in one sentence." })
        })
      ).annotate({ description: "Two or three answers, the recommended one first. The user may give another one." })
    })
  ).annotate({ description: "One to three questions." })
})
/** @see {@link Parameters} */
export type Parameters = typeof Parameters.Type

/** The tool. It returns `{"answers":{"id":{"answers":["..."]}}}`; a question that was left out has no answer. */
export const tool = Tool.make("request_user_input", {
  description:
    "Asks the user one to three short questions and waits for the answers. Use it only for a decision that you cannot make from what you know.",
  parameters: Parameters,
  success: Schema.String,
  failure: ToolFailure.asText,
  failureMode: "return",
  dependencies: [Turn]
})

/**
 * Asks. **Interruption** withdraws the question. **Errors**: `ToolFailure` for questions without a meaning, and if
 * nobody can be asked.
 */
export const run: (params: Parameters, callId: string | undefined) => Effect.Effect<string, ToolFailure, Turn> =
  Effect.fnUntraced(function* (params, callId) {
    const turn = yield* Turn
    const problem = problemOf(params)
    if (problem !== undefined) return yield* new ToolFailure({ detail: `The user was not asked: ${problem}.` })
    const answer = yield* turn.ask({
      kind: "question",
      tool: tool.name,
      ...(callId === undefined ? {} : { callId: CallId.make(callId) }),
      payload: { questions: params.questions.map((one) => ({ ...one, isOther: true, isSecret: false })) },
      // an answer holds for its question only
      keys: []
    })
    const decision = yield* Answers.requireAnswer(answer)
    if (decision._tag === "Approved") return yield* new ToolFailure({ detail: "The user gave no answer." })
    const ids = new Set(params.questions.map(({ id }) => id))
    const answers = Object.entries(decision.answers).filter(([id]) => ids.has(id))
    return JSON.stringify({ answers: Object.fromEntries(answers) })
  })

const problemOf = ({ questions }: Parameters): string | undefined => {
  if (questions.length < 1 || questions.length > maxQuestions) return `give 1 to ${maxQuestions} questions`
  if (new Set(questions.map(({ id }) => id)).size < questions.length) return "two questions have the same id"
  const isEmpty = (text: string) => text.trim() === ""
  if (questions.some(({ id, question }) => isEmpty(id) || isEmpty(question))) return "a question has no id or no text"
  if (questions.some(({ options }) => options.length === 0 || options.some(({ label }) => isEmpty(label)))) {
    return "each question needs options with labels"
  }
  return undefined
}
