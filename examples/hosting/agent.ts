// The agent: a tool that needs a service of the program and the user of the request, and a model that needs no key.
import { Agent, Model } from "@spindle/core"
import { Context, Effect, Layer, Schema, Stream } from "effect"
import { Tool, Toolkit } from "effect/ai"

/** The user of a request. `Sessions` passes it on to turns. */
export const CurrentUser: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "hosting/CurrentUser",
  { defaultValue: () => undefined }
)

/** A service of the program, for all users. */
export class Orders extends Context.Service<Orders, { readonly of: (user: string) => Effect.Effect<string> }>()(
  "hosting/Orders"
) {
  static readonly layer = Layer.succeed(Orders, {
    of: (user) => Effect.succeed(`${user} has ordered ${user.length} books`)
  })
}

const toolkit = Toolkit.make(Tool.make("orders", { success: Schema.String, dependencies: [Orders] }))
const handlers = toolkit.toLayer({
  orders: () =>
    Effect.gen(function* () {
      const user = yield* CurrentUser
      const orders = yield* Orders
      // a session that was resumed without a request has no user
      return user === undefined ? "nobody is logged in" : yield* orders.of(user)
    })
})

export const agent = Agent.make({ name: "support", toolkit, approvals: { orders: { approval: "allow" } } })

/** Calls the tool, then repeats its result word by word, and `slowly` if the input says so. */
const model = Layer.succeed(Model.Model, {
  provider: "example",
  model: "echo",
  contextWindow: undefined,
  stream: ({ items }) => {
    const last = items.at(-1)
    const finish = { _tag: "Finish", reason: "stop", usage: undefined } as const
    if (last?._tag !== "ToolResult") {
      return Stream.make(
        { _tag: "ToolCall", callId: `call-${items.length}` as never, name: "orders", params: {} } as const,
        { ...finish, reason: "tool-calls" } as const
      )
    }
    const isSlow = JSON.stringify(items.findLast((item) => item._tag === "UserMessage")).includes("slowly")
    return Stream.fromIterable(String(last.output).split(" ")).pipe(
      Stream.tap(() => Effect.sleep(isSlow ? "1 second" : 0)),
      Stream.map((word) => ({ _tag: "TextDelta", id: "text", delta: `${word} ` }) as const),
      Stream.concat(Stream.make({ _tag: "TextEnd", id: "text" } as const, finish))
    )
  }
})

export const requirements = Layer.mergeAll(handlers, model, Orders.layer)
