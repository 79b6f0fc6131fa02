/**
 * The agent of this application: a coding agent. With the feature `multi_agent` it can start other agents.
 */
import * as Agent from "@spindle/core/Agent"
import * as CompactTask from "@spindle/core/CompactTask"
import type { Journal } from "@spindle/core/Journal"
import type { Model, OutputFormat } from "@spindle/core/Model"
import type { Processes } from "@spindle/core/Processes"
import { ofTurn, type TurnContext } from "@spindle/core/TurnContext"
import * as Limits from "@spindle/delegate/Limits"
import type * as SubAgents from "@spindle/delegate/SubAgents"
import * as SubAgentTools from "@spindle/delegate/SubAgentTools"
import type { Git } from "@spindle/tools/Git"
import type * as McpTools from "@spindle/mcp/McpTools"
import { Sandbox, type SandboxUnavailable } from "@spindle/tools/Sandbox"
import * as SandboxPolicy from "@spindle/tools/SandboxPolicy"
import type { Snapshots } from "@spindle/tools/Snapshots"
import * as CodingTools from "@spindle/tools/CodingTools"
import * as JsRepl from "@spindle/tools/JsRepl"
import * as ProjectTools from "@spindle/tools/ProjectTools"
import type * as ApprovalPolicy from "@spindle/tools/ApprovalPolicy"
import type * as CommandApproval from "@spindle/tools/CommandApproval"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Connectors from "./connectors/Connectors.ts"
import * as Machine from "./Machine.ts"
import { type MakeModel, NamedModels } from "./Models.ts"
import * as ReviewTask from "./tasks/ReviewTask.ts"
import * as UndoTask from "./tasks/UndoTask.ts"
import type { AgentRole, AgentSettings } from "./settings/agents.ts"
import * as RuleFiles from "./RuleFiles.ts"
import { narrowerMode, networkIn, policiesOf } from "./settings/sandbox.ts"
import * as TurnContexts from "./settings/TurnContexts.ts"
import type * as Settings from "./Settings.ts"
import * as UserShellTask from "./tasks/UserShellTask.ts"

/** The options of the agent. `output` is the form of its answer. */
export interface Options {
  readonly cwd: string
  readonly settings: Settings.Settings
  readonly output?: OutputFormat | undefined
  /** True if nothing lets its commands out of the sandbox, and no turn has a wider sandbox. */
  readonly isBound?: boolean | undefined
  /**
   * The rule of a face whose clients may change less of the context than turns support. A change can widen the actions
   * that the tools may take without a question. By default inputs may change everything.
   */
  readonly mayChange?: TurnContexts.Rule | undefined
}

/**
 * Returns true if commands run in the sandbox that the settings ask for, and false if full access was chosen.
 * **Errors**: `SandboxUnavailable` if the sandbox is not available here. Then each command needs approval.
 */
export const isSandboxed = ({
  sandboxMode
}: Pick<Settings.Settings, "sandboxMode">): Effect.Effect<boolean, SandboxUnavailable, Sandbox> =>
  Effect.flatMap(Sandbox, ({ available }) =>
    sandboxMode === "danger-full-access" ? Effect.succeed(false) : Effect.as(available, true)
  )

/** The tools of the agent, without those that start agents. */
export type OwnTools = CodingTools.Tools & ProjectTools.Tools & JsRepl.Tools

/** The services that a session of this agent needs. */
export type Services =
  | Tool.HandlersFor<OwnTools & SubAgentTools.Tools>
  | McpTools.McpTools
  | Model
  | Journal
  | Processes
  | Snapshots
  | Git

/** The instructions, unless the configuration names others. */
const instructions = (cwd: string): string =>
  [
    "You are a coding agent. You work on a project, with the tools you are given.",
    `Directory of the project: ${cwd}`,
    "Commands and relative paths start in the cwd that the environment names last.",
    "Look before you change something, change as little as is needed, and check what you changed by running it.",
    "Edit files with apply_patch. When you are done, say in a few sentences what you did and what you found."
  ].join("\n")

/** Returns the instructions for the personality of the model. */
const personalityText = ({ personality }: Settings.Settings): string | undefined => {
  switch (personality) {
    case "friendly":
      return "Be warm and encouraging. Explain what you do as you would to a colleague, and say what went well."
    case "pragmatic":
      return "Be brief and direct. State facts, decisions and open points, and leave out praise and small talk."
    case undefined:
      return undefined
  }
}

interface Common {
  readonly instructions: string
  readonly policies: Agent.Policies<OwnTools>
  readonly agents: AgentSettings
  readonly sources: ReadonlyArray<typeof Connectors.source>
  readonly tasks: ReturnType<typeof tasksIn>
}

/** The approvals and limits of one turn. */
export interface InTurn {
  readonly approval: CommandApproval.Options
  /** The containment of patches. */
  readonly patches: ApprovalPolicy.Containment
  /** The most that commands and patches may touch. Without a sandbox, each command is approved before it runs. */
  readonly sandbox: CodingTools.Limits
}

/** Looks for a sandbox. Without one, `InTurn` asks for approval. */
const lookForSandbox = Effect.flatMap(Sandbox, ({ available }) => Effect.ignore(available))

/**
 * Looks for a sandbox, if the running turn needs one. A session with full access does not look when it is opened, so
 * its turns look before their first request. Until then nothing is contained, and commands need approval.
 */
export const prepareTurn = (settings: Settings.Settings): Effect.Effect<void, never, Sandbox> =>
  Effect.flatMap(ofTurn, (context) =>
    TurnContexts.settingsIn(settings, context).sandboxMode === "danger-full-access" ? Effect.void : lookForSandbox
  )

/** Returns the limits of a turn with a context: approval of commands, and containment of commands and patches. */
export const limitsIn: (options: Options) => Effect.Effect<(context: TurnContext) => InTurn, never, Sandbox> =
  Effect.fnUntraced(function* ({ cwd, isBound = false, settings: own }) {
    const sandbox = yield* Sandbox
    if (own.sandboxMode !== "danger-full-access") yield* lookForSandbox
    const made = new Map<string, InTurn>()
    const rules = () => RuleFiles.read({ home: own.home, cwd }).rules
    const make = (settings: Settings.Settings): InTurn => {
      const { sandboxMode } = settings
      const isConfined = sandbox.isAvailable() && sandboxMode !== "danger-full-access"
      const containmentOf = (isConfinedHere: boolean) =>
        sandboxMode === "danger-full-access" ? "full-access" : isConfinedHere ? "sandbox" : "missing"
      const { commands, patches } = policiesOf(sandboxMode, settings.sandbox, cwd)
      return {
        approval: {
          policy: settings.approvalPolicy,
          containment: containmentOf(isConfined),
          isBound,
          sandbox: accessText(settings, isConfined),
          rules
        },
        patches: containmentOf(isConfined && sandboxMode === "workspace-write"),
        sandbox: { commands: isConfined ? commands : SandboxPolicy.fullAccess, patches }
      }
    }
    return (context) => {
      const changed = TurnContexts.settingsIn(own, context)
      const settings = isBound
        ? { ...changed, sandboxMode: narrowerMode(changed.sandboxMode, own.sandboxMode) }
        : changed
      const key = JSON.stringify([settings.approvalPolicy, settings.sandboxMode, sandbox.isAvailable()])
      let known = made.get(key)
      if (known === undefined) made.set(key, (known = make(settings)))
      return known
    }
  })

const common = Effect.fnUntraced(function* (options: Options) {
  const { cwd, settings } = options
  const limits = yield* limitsIn(options)
  const approval = (context: TurnContext) => limits(context).approval
  const patches = (context: TurnContext) => limits(context).patches
  const places = { cwd, directory: TurnContexts.directoryIn(cwd) }
  const parts: Common = {
    instructions: [settings.instructions ?? instructions(cwd), personalityText(settings), settings.addition]
      .filter((part) => part !== undefined)
      .join("\n\n"),
    agents: settings.agents ?? noAgents,
    sources: settings.mcpServers.length === 0 ? [] : [Connectors.source],
    tasks: tasksIn(cwd),
    policies: {
      ...CodingTools.policies({ approval, patches, ...places }),
      ...ProjectTools.policies,
      ...JsRepl.policies({ approval, ...places })
    }
  }
  return parts
})

/** Describes the access that the sandbox allows, for the person who is asked. */
const accessText = ({ sandbox, sandboxMode }: Settings.Settings, isConfined: boolean): string | undefined => {
  if (sandboxMode === "danger-full-access") return undefined
  if (!isConfined) return "there is none: the command can do what you can"
  const network = networkIn(sandboxMode, sandbox)
  const hosts =
    typeof network === "boolean" || network.allowed.length === 0 ? [] : [`reach ${network.allowed.join(", ")}`]
  const write = sandboxMode === "read-only" ? [] : ["write in the project"]
  return ["it lets commands read", ...write, ...hosts].join(", and ")
}

/** The tasks that a client may start by name. */
const tasksIn = (cwd: string) => [
  CompactTask.kind,
  UndoTask.kind,
  ReviewTask.kind({ cwd }),
  UserShellTask.kind({ cwd, shell: Machine.host.env["SHELL"] || "/bin/sh" })
]

const ownToolkit = Toolkit.merge(CodingTools.toolkit, ProjectTools.toolkit, JsRepl.toolkit)

const soloAgent = ({ instructions, policies, sources, tasks }: Common): Agent.Agent<Services> =>
  Agent.make({ toolkit: ownToolkit, approvals: policies, instructions, sources, tasks })

const leadingAgent = ({ agents, instructions, policies, sources, tasks }: Common): Agent.Agent<Services> => {
  const toolkit = Toolkit.merge(ownToolkit, SubAgentTools.toolkitFor(choicesOf(agents)))
  return Agent.make({ toolkit, approvals: { ...policies, ...SubAgentTools.policies }, instructions, sources, tasks })
}

const anyTask = "Any task."

const choicesOf = ({ models, roles }: AgentSettings) => ({
  roles: {
    default: { description: anyTask },
    ...Object.fromEntries(roles.map(({ description, name }) => [name, { description }]))
  },
  models: Object.fromEntries(models.map(({ efforts, name }) => [name, { efforts }]))
})

const agentOf = (options: Options): Effect.Effect<Agent.Agent<Services>, never, Sandbox> =>
  Effect.map(common(options), (parts) => {
    const { agents, features } = options.settings
    const agent = agents === undefined ? soloAgent(parts) : leadingAgent(parts)
    return features.isEnabled("js_repl") ? agent : Agent.withoutTools(agent, JsRepl.names)
  })

/** The agent of the session. */
export const make = ({ output, ...options }: Options): Effect.Effect<Agent.Agent<Services>, never, Sandbox> =>
  Effect.map(agentOf(options), (agent) => (output === undefined ? agent : Agent.withOutput(agent, output)))

/** The handlers of the tools that start agents. They are unused while the feature is off. */
export const layer = (
  options: Options
): Layer.Layer<
  Tool.HandlersFor<SubAgentTools.Tools>,
  never,
  Model | Journal | Processes | Sandbox | Snapshots | Git | Tool.HandlersFor<OwnTools> | McpTools.McpTools
> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const agents = options.settings.agents ?? noAgents
      const named = yield* NamedModels
      const agent = yield* agentOf(options)
      const roles: { [name: string]: SubAgents.Role<Services> } = {}
      for (const role of agents.roles) roles[role.name] = yield* roleOf(options, agent, role)
      return SubAgentTools.layer<Services>({
        roles: { default: { description: anyTask, agent }, ...roles },
        ...(named === undefined ? {} : { models: modelsOf(agents, named) }),
        deadline: `${agents.runtimeSeconds} seconds`
      })
    })
  )

const modelsOf = ({ models }: AgentSettings, make: MakeModel): { [name: string]: SubAgents.NamedModel } =>
  Object.fromEntries(models.map(({ efforts, name }) => [name, { efforts, make: (effort) => make({ name, effort }) }]))

const roleOf = Effect.fnUntraced(function* (options: Options, common: Agent.Agent<Services>, own: AgentRole) {
  const { settings } = options
  const { addition, description, instructions, model, nicknames, reasoningEffort } = own
  const named = yield* NamedModels
  const hasOwn = model !== undefined || reasoningEffort !== undefined
  const bounds = own.sandboxMode === undefined ? undefined : boundsOf(options, own.sandboxMode)
  const agent = bounds === undefined ? common : yield* agentOf(bounds.options)
  const parts = [instructions ?? agent.instructions, addition, bounds?.notice].filter((one) => one !== undefined)
  const role: SubAgents.Role<Services> = {
    description,
    agent: Agent.withInstructions(agent, parts.join("\n\n")),
    ...(bounds === undefined ? {} : { narrow: bounds.narrow }),
    ...(nicknames === undefined ? {} : { nicknames })
  }
  if (named === undefined || !hasOwn) return role
  return { ...role, model: yield* named({ name: model ?? settings.model, effort: reasoningEffort }) }
})

/** Returns the bounds of a role with its own sandbox mode. A mode that is wider than the session's changes nothing. */
const boundsOf = ({ cwd, settings }: Options, wanted: Settings.SandboxMode) => {
  const sandboxMode = narrowerMode(settings.sandboxMode, wanted)
  if (sandboxMode === "danger-full-access") return undefined
  return {
    options: { cwd, settings: { ...settings, sandboxMode }, isBound: true },
    narrow: SandboxPolicy.confine(policiesOf(sandboxMode, settings.sandbox, cwd).commands),
    notice: `Your sandbox mode is ${sandboxMode}, whatever the environment says, and nothing lets you out of it.`
  }
}

// a review needs one agent
const noAgents: AgentSettings = { threads: 1, depth: 1, runtimeSeconds: 0, roles: [], models: [] }

/** Runs a session with the limits of the tree of agents below it. */
export const withLimits = (settings: Settings.Settings) => {
  const { depth, threads } = settings.agents ?? noAgents
  return Effect.provideService(Limits.Limits, { ...Limits.defaults, depth, concurrent: threads })
}
