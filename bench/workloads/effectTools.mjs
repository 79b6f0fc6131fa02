// The tools of the workloads for the peers that are Effect programs: one that returns, one that can be stopped, one that cannot.
import { add, deaf, hangClose, hangOpen } from "./brain.mjs"

export const toolsOf = ({ Schema, Tool }) => [
  Tool.make("add", {
    description: "add",
    parameters: Schema.Struct({ a: Schema.Number, b: Schema.Number }),
    success: Schema.Number
  }),
  ...["hang", "deaf"].map((name) =>
    Tool.make(name, {
      description: name,
      parameters: Schema.Struct({ why: Schema.String }),
      success: Schema.String
    })
  )
]

export const handlersOf = ({ Effect }) => ({
  add: (args) => Effect.promise(() => add(args)),
  hang: () =>
    Effect.scoped(
      Effect.andThen(
        Effect.acquireRelease(Effect.sync(hangOpen), (timer) => Effect.sync(() => hangClose(timer))),
        Effect.never
      )
    ),
  deaf: () => Effect.promise(deaf)
})
