import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import * as Authority from "@spindle/core/Authority"
import { Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"

const Permission = Schema.Literals(["allow", "ask", "deny"])

/** A session of a tree: what its agent declares for a tool, by its arguments, and its children. */
interface Node {
  readonly declares: Authority.Permission
  readonly whenLarge: Authority.Permission
  readonly children: ReadonlyArray<Node>
}
const NodeOf = (depth: number): Schema.Codec<Node> =>
  Schema.Struct({
    declares: Permission,
    whenLarge: Permission,
    children: depth === 0 ? Schema.Tuple([]) : Schema.Array(NodeOf(depth - 1)).check(Schema.isMaxLength(4))
  }) as Schema.Codec<Node>

const tool = Tool.make("tool", { parameters: Schema.Struct({ size: Schema.Finite }), success: Schema.String })
const toolkit = Toolkit.make(tool)
const agentOf = ({ declares, whenLarge }: Node) =>
  Agent.make({
    toolkit,
    approvals: {
      tool: { approval: ({ size }) => (size > 10 ? whenLarge : declares), concurrency: "parallel" }
    }
  })

/** Calls `visit` for each session from a root downwards, with its agent narrowed to the authority of its parent. */
const walk = <R>(
  node: Node,
  agent: Agent.Agent<R>,
  path: ReadonlyArray<Node>,
  visit: (agent: Agent.Agent<R>, path: ReadonlyArray<Node>) => void
): void => {
  visit(agent, path)
  for (const child of node.children) {
    walk(child, Agent.narrow(agentOf(child) as Agent.Agent<R>, Agent.authorityOf(agent)), [...path, child], visit)
  }
}

describe("A4 authority in a tree of sessions", () => {
  it.prop(
    "is the meet of the declarations from the root down: never more than that of an ancestor, and narrowing again adds none",
    [NodeOf(5), Schema.Literals([1, 100])],
    ([root, size]) => {
      walk(root, agentOf(root), [root], (agent, path) => {
        const [spec] = agent.tools().specs
        const declared = path.map(({ declares, whenLarge }) => (size > 10 ? whenLarge : declares))
        const may = Agent.authorityOf(agent)(spec!, { size })!
        assert.strictEqual(may, declared.reduce(Authority.meet))
        for (const above of declared) assert.strictEqual(Authority.meet(may, above), may)
        const again = Agent.narrow(agent, Agent.authorityOf(agent))
        assert.strictEqual(Agent.authorityOf(again)(spec!, { size }), may)
      })
    },
    { arbitrary: { runs: 100 } }
  )
})
