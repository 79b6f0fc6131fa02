import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import { ToolInvalid } from "@spindle/core/AgentError"
import * as Tools from "@spindle/core/Tools"
import { Effect, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"

const lookup = Tool.make("lookup", { success: Schema.String })
const search = Tool.providerDefined({ id: "acme.search", customName: "Search", providerName: "search" })
/** A toolkit whose names the compiler does not know. */
const toolkitOf = (...tools: ReadonlyArray<Tool.Any>) =>
  Toolkit.make(...tools) as Toolkit.Toolkit<{ readonly [name: string]: Tool.Any }>

const messageIn = (make: () => unknown): string => {
  try {
    make()
  } catch (error) {
    assert.instanceOf(error, ToolInvalid)
    return (error as ToolInvalid).message
  }
  return assert.fail("it was made")
}

describe("Agent.make", () => {
  it("refuses a tool without a policy by name", () => {
    assert.strictEqual(
      messageIn(() => Agent.make({ toolkit: toolkitOf(lookup), approvals: {} })),
      "the tool lookup has no policy: add one to `approvals`, or give the agent a `defaultPolicy`"
    )
    // a name that every object has is no policy
    assert.include(
      messageIn(() => Agent.make({ toolkit: toolkitOf(Tool.make("toString")), approvals: {} })),
      "the tool toString has no policy"
    )
  })

  it("refuses a tool that its provider runs by name", () => {
    assert.strictEqual(
      messageIn(() =>
        Agent.make({ toolkit: toolkitOf(search()), approvals: { Search: { approval: "allow" } as never } })
      ),
      "the tool Search is run by its provider, but a session runs its tools itself"
    )
  })

  it("gives tools without a policy the default policy", () => {
    const agent = Agent.make({ toolkit: toolkitOf(lookup), approvals: {}, defaultPolicy: { approval: "deny" } })
    assert.strictEqual(agent.tools().byName.get("lookup")?.policy?.approval, "deny")
  })

  it("takes the form of the output as a schema", () => {
    const Verdict = Schema.Struct({ isFine: Schema.Boolean })
    const { name, output } = Agent.make({ name: "reviewer", output: Verdict })
    assert.strictEqual(name, "reviewer")
    assert.deepStrictEqual(output, { name: "output", schema: Tool.getJsonSchemaFromSchema(Verdict) })
    const format = { name: "verdict", schema: { type: "object" } }
    assert.strictEqual(Agent.make({ output: format }).output, format)
    assert.deepStrictEqual(Agent.withOutput(Agent.make({}), Verdict).output, output)
  })
})

describe("Agent.makeEffect", () => {
  it.effect("fails with the tool that has no policy, and makes the agent with a default one", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Agent.makeEffect({ toolkit: toolkitOf(lookup) }))
      assert.deepStrictEqual(error, new ToolInvalid({ tool: "lookup", problem: "NoPolicy" }))
      const agent = yield* Agent.makeEffect({ toolkit: toolkitOf(lookup), defaultPolicy: { approval: "ask" } })
      assert.deepStrictEqual(
        agent.tools().specs.map(({ name }) => name),
        ["lookup"]
      )
    })
  )
})

describe("Tools.make", () => {
  const run = () => Effect.void

  it("refuses a name that occurs twice, and a tool that its provider runs", () => {
    const twice = ["lookup", "lookup"].map((name) => ({ tool: Tool.make(name), run }))
    assert.strictEqual(
      messageIn(() => Tools.make(twice)),
      "the tool lookup is defined twice"
    )
    assert.include(
      messageIn(() => Tools.make([{ tool: search(), run }])),
      "the tool Search is run by its provider"
    )
  })

  it("refuses a tool whose schema cannot be described to a model", () => {
    const unready = Schema.suspend((): Schema.Codec<string> => {
      throw new Error("not ready")
    })
    const tool = Tool.make("odd", { parameters: Schema.Struct({ value: unready }) })
    assert.strictEqual(
      messageIn(() => Tools.make([{ tool, run }])),
      "the tool odd has a schema that cannot be described to a model: not ready"
    )
  })
})

describe("the combinators of an agent", () => {
  it("take the agent first or last", () => {
    const agent = Agent.make({ toolkit: Toolkit.make(lookup), approvals: { lookup: { approval: "allow" } } })
    const format = { name: "verdict", schema: {} }
    const pairs = [
      [Agent.withInstructions(agent, "Read."), Agent.withInstructions("Read.")(agent)],
      [Agent.withOutput(agent, format), Agent.withOutput(format)(agent)],
      [Agent.withoutTools(agent, ["lookup"]), Agent.withoutTools(["lookup"])(agent)],
      [Agent.narrow(agent, () => "ask"), Agent.narrow(() => "ask" as const)(agent)]
    ] as const
    const shown = ({ instructions, output, tools }: (typeof pairs)[number][number]) => ({
      instructions,
      output,
      tools: tools().specs.map(({ name, source }) => [name, Agent.authorityOf(agent)({ name } as never, {}), source])
    })
    for (const [first, last] of pairs) assert.deepStrictEqual(shown(first), shown(last))
  })
})
