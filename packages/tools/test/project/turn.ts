/** A turn for tools that only give input to their session and ask questions. */
import { Effect } from "effect"
import { type Input, Local, type Op, type Turn } from "@spindle/core"

/**
 * The turn, the input that its session received, and the questions that were asked. `answer` settles every question.
 */
export const makeTurn = (answer: Turn.Answer = { _tag: "Cancelled", by: "deadline" }) => {
  const received: Array<Input.Input> = []
  const asked: Array<Turn.NewQuestion> = []
  const recorded: Array<Turn.CallDecision> = []
  const members: Partial<Turn.Turn> = {
    locals: new Local.Locals(),
    session: {
      locals: new Local.Locals(),
      submit: (op: Op.Op) => {
        if (op._tag === "Notice") received.push(op.input)
        return Effect.succeed({ _tag: "Queued" } as unknown as Op.Receipt)
      }
    } as unknown as Turn.TurnSession,
    recordDecision: (decision) => Effect.sync(() => void recorded.push(decision)),
    ask: (question) => {
      asked.push(question)
      return Effect.succeed(answer)
    }
  }
  return { turn: members as Turn.Turn, received, asked, recorded }
}
