/**
 * The agent of this program: a coding agent, and with `features.multi_agent` one that starts agents of its own.
 */
import * as Agent from "@spindle/core/Agent"
import type { Journal } from "@spindle/core/ports/Journal"
import type { Model, OutputFormat } from "@spindle/core/ports/Model"
import * as Limits from "@spindle/delegate/Limits"
import type * as SubAgents from "@spindle/delegate/SubAgents"
import * as SubAgentTools from "@spindle/delegate/SubAgentTools"
import * as CodingTools from "@spindle/tools/CodingTools"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Settings from "./Settings.ts"

/** What the agent is made from; `output` is the form of its answer. */
export interface Options {
  readonly cwd: string
  readonly settings: Settings.Settings
  readonly output?: OutputFormat | undefined
}

type Handlers = Tool.HandlersFor<CodingTools.Tools & SubAgentTools.Tools>

/** How an agent of this program behaves, unless the configuration says otherwise. */
const instructions = (cwd: string): string =>
  [
    "You are a coding agent. You work on the project in the current directory, with the tools you are given.",
    `Current directory: ${cwd}`,
    "Look before you change something, change as little as is needed, and check what you changed by running it.",
    "Edit files with apply_patch. When you are done, say in a few sentences what you did and what you found."
  ].join("\n")

const both = Toolkit.merge(CodingTools.toolkit, SubAgentTools.toolkit)

interface Common {
  readonly instructions: string
  readonly policies: ReturnType<typeof CodingTools.policies>
}

const common = ({ cwd, settings }: Options): Common => ({
  instructions: settings.instructions ?? instructions(cwd),
  policies: CodingTools.policies({ approval: Settings.approval(settings) === "allow" ? "allow" : "ask", cwd })
})

const alone = ({ instructions, policies }: Common): Agent.Agent<Handlers> =>
  Agent.make({ toolkit: CodingTools.toolkit, approvals: policies, instructions })

const leading = ({ instructions, policies }: Common): Agent.Agent<Handlers> =>
  Agent.make({ toolkit: both, approvals: { ...policies, ...SubAgentTools.policies }, instructions })

/** The agent of the session. */
export const make = (options: Options): Agent.Agent<Handlers> => {
  const agent = options.settings.agents === undefined ? alone(common(options)) : leading(common(options))
  return options.output === undefined ? agent : Agent.withOutput(agent, options.output)
}

/** The handlers of the tools that start agents; without the feature nobody calls them. */
export const layer = (
  options: Options
): Layer.Layer<Tool.HandlersFor<SubAgentTools.Tools>, never, Model | Journal | Tool.HandlersFor<CodingTools.Tools>> => {
  const agents = options.settings.agents ?? noAgents
  // one that can start nobody gets no tools for it
  const made = agents.depth > 1 ? leading(common(options)) : alone(common(options))
  const roles: { [name: string]: SubAgents.Role<Handlers> } = {}
  for (const { description, instructions, name } of agents.roles) {
    roles[name] = { description, agent: instructions === undefined ? made : Agent.withInstructions(made, instructions) }
  }
  return SubAgentTools.layer<Handlers>({
    roles: { default: { description: "Any task.", agent: made }, ...roles },
    deadline: `${agents.runtimeSeconds} seconds`
  })
}

const noAgents: Settings.AgentSettings = { threads: 0, depth: 0, runtimeSeconds: 0, roles: [] }

/** The limits of the tree below the session. */
export const limited = (settings: Settings.Settings) => {
  const { depth, threads } = settings.agents ?? noAgents
  return Effect.provideService(Limits.Limits, { ...Limits.defaults, depth, concurrent: threads })
}
