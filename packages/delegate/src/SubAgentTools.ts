/**
 * Tools that start and steer agents, with the names, arguments and results that models know. The toolkit, the policies
 * and the handlers fit `Agent.make`.
 */
import * as Agent from "@spindle/core/Agent"
import type { Journal } from "@spindle/core/Journal"
import type { Model } from "@spindle/core/Model"
import type { AgentState, CallDisplay } from "@spindle/core/Display"
import { CallId, SessionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import { Turn } from "@spindle/core/Turn"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { SubAgentFailed } from "./DelegateError.ts"
import { type Choices, choicesOf, fail } from "./internal/choosing.ts"
import { nodeOf } from "./internal/tree.ts"

export type { Choices } from "./internal/choosing.ts"
import { pendingInit, type Status, toState, toWire } from "./Status.ts"
import * as SubAgents from "./SubAgents.ts"

const text = (description: string) => Schema.optionalKey(Schema.String.annotate({ description }))
const flag = (description: string) => Schema.optionalKey(Schema.Boolean.annotate({ description }))

/** One part of an input: a text, an image by its URL, or a file, a skill or a mention by name and path. */
export const InputItem = Schema.Struct({
  type: Schema.Literals(["text", "image", "local_image", "skill", "mention"]),
  text: Schema.optionalKey(Schema.String),
  image_url: Schema.optionalKey(Schema.String),
  name: Schema.optionalKey(Schema.String),
  path: Schema.optionalKey(Schema.String)
})

const inputFields = {
  message: text("The task, as text. Give either message or items."),
  items: Schema.optionalKey(
    Schema.Array(InputItem).annotate({
      description: "The task, as parts: texts and images. Give either message or items."
    })
  )
}

/** The status of an agent. */
export const AgentStatus = Schema.Union([
  Schema.Literals(["pending_init", "running", "interrupted", "shutdown", "not_found"]),
  Schema.Struct({ completed: Schema.NullOr(Schema.String) }),
  Schema.Struct({ errored: Schema.String })
])

const common = { failure: SubAgentFailed.asText, failureMode: "return" as const, dependencies: [Turn] as [typeof Turn] }
const target = SessionId.annotate({ description: "The id of the agent." })

/** `choices` describes the roles and the models to choose from. */
const spawnAgent = (choices: string) =>
  Tool.make("spawn_agent", {
    ...common,
    description: `Start an agent on a task and return its id at once. The agent works while you continue; use wait_agent to get its answer. It ends with your turn unless it is detached.${choices}`,
    parameters: Schema.Struct({
      ...inputFields,
      agent_type: text("The role of the agent. Default: `default`."),
      model: text("The name of the model. Default: the model of the role, or yours."),
      reasoning_effort: text("The reasoning effort of the model. Default: that of the model."),
      fork_context: flag("Start the agent with a copy of this conversation. Default: false; it sees only the task."),
      detached: flag("Keep the agent running after your turn. You get a notice when it is done. Default: false."),
      wake: flag(
        "Start a turn of yours with that notice if you are idle. Default: false; the notice waits for your next turn."
      )
    }),
    success: Schema.Struct({ agent_id: SessionId, nickname: Schema.String })
  })

const sendInput = Tool.make("send_input", {
  ...common,
  description: "Send an agent more input. It joins the work in progress, or starts new work if the agent is idle.",
  parameters: Schema.Struct({
    target,
    ...inputFields,
    interrupt: flag("Stop the current work of the agent first. Default: false.")
  }),
  success: Schema.Struct({ submission_id: Schema.String })
})

const waitAgent = Tool.make("wait_agent", {
  ...common,
  description:
    "Wait until at least one of the agents is done, and return the status of each one that is done. If none is done in time, timed_out is true and status is empty.",
  parameters: Schema.Struct({
    targets: Schema.Array(SessionId).annotate({ description: "The ids of the agents." }),
    timeout_ms: Schema.optionalKey(
      Schema.Finite.annotate({ description: "The timeout in milliseconds, from 10000 to 3600000. Default: 30000." })
    )
  }),
  success: Schema.Struct({ status: Schema.Record(Schema.String, AgentStatus), timed_out: Schema.Boolean })
})

const closeAgent = Tool.make("close_agent", {
  ...common,
  description: "Stop an agent and every agent below it. Return its status before it was stopped.",
  parameters: Schema.Struct({ target }),
  success: Schema.Struct({ previous_status: AgentStatus })
})

const resumeAgent = Tool.make("resume_agent", {
  ...common,
  description: "Reopen one of your agents that has ended, with its history. Then use send_input to give it work.",
  parameters: Schema.Struct({ id: target }),
  success: Schema.Struct({ status: AgentStatus })
})

const listAgents = Tool.make("list_agents", {
  ...common,
  description: "List your agents and the agents below them, each with its status.",
  parameters: Schema.Struct({}),
  success: Schema.Struct({
    agents: Schema.Array(
      Schema.Struct({
        agent_id: SessionId,
        agent_name: Schema.String,
        agent_type: Schema.String,
        agent_status: AgentStatus,
        depth: Schema.Finite
      })
    )
  })
})

const toolkitOf = (choices: string) =>
  Toolkit.make(spawnAgent(choices), sendInput, waitAgent, closeAgent, resumeAgent, listAgents)

/** All tools. */
export const toolkit = toolkitOf("")

/**
 * Returns the tools with the roles and the models to choose from in the description of `spawn_agent`. Give it the
 * settings of the handlers.
 */
export const toolkitFor = (choices: Choices): typeof toolkit => toolkitOf(choicesOf(choices))

/** The tools of {@link toolkit}, by name. */
export type Tools = (typeof toolkit)["tools"]

const allowed = { approval: "allow", concurrency: "parallel", mutates: false } as const

/** The policies. The start of an agent needs no approval. The agent's own policies decide about its calls. */
export const policies: Agent.Policies<Tools> = {
  spawn_agent: {
    ...allowed,
    display: ({ agent_type, model, reasoning_effort, ...given }) =>
      agentCall("spawn", [], {
        ...promptOf(given),
        ...(agent_type === undefined ? {} : { role: agent_type }),
        ...(model === undefined ? {} : { model }),
        ...(reasoning_effort === undefined ? {} : { effort: reasoning_effort })
      })
  },
  send_input: { ...allowed, display: ({ target, ...given }) => agentCall("send", [target], promptOf(given)) },
  wait_agent: { ...allowed, display: ({ targets }) => agentCall("wait", targets) },
  close_agent: { ...allowed, display: ({ target }) => agentCall("close", [target]) },
  resume_agent: { ...allowed, display: ({ id }) => agentCall("resume", [id]) },
  list_agents: { ...allowed, display: () => agentCall("list", []) }
}

type AgentCall = Extract<CallDisplay, { readonly _tag: "Agent" }>

const agentCall = (
  operation: AgentCall["operation"],
  targets: AgentCall["targets"],
  more: Partial<AgentCall> = {}
): AgentCall => ({ _tag: "Agent", operation, targets, ...more })

const promptOf = ({ items, message }: GivenInput): Pick<AgentCall, "prompt"> => {
  const prompt = message ?? items?.map(({ text, type }) => text ?? type).join(" ")
  return prompt === undefined ? {} : { prompt }
}

/** Reports the agents that a call has reached. */
const report = (callId: string | undefined, agents: ReadonlyArray<AgentState>, timedOut = false) =>
  Effect.flatMap(Turn, (turn) =>
    callId === undefined
      ? Effect.void
      : turn.detail(CallId.make(callId), { _tag: "Agent", agents, ...(timedOut ? { timedOut } : {}) })
  )

const reportOne = (callId: string | undefined, agentId: SessionId, status: Status) =>
  report(callId, [toState(agentId, status)])

type Needs<R> = Exclude<R, Tool.HandlersFor<Tools>>

/**
 * The handlers. The services that the roles need come from the context in which the layer is built and from the session
 * of each call, so an agent that has these tools can be a role. At the last level that the limits allow, an agent is
 * started without them.
 */
export const layer = <R = never>(
  settings: SubAgents.Settings<R>
): Layer.Layer<Tool.HandlersFor<Tools>, never, Model | Journal | Needs<R>> =>
  toolkit.toLayer(
    Effect.contextWith((made: Context.Context<Model | Journal | Needs<R>>) => {
      /** Provides the services of the layer, then those of the call. Turns every error into a text for the model. */
      const run = <A, E extends { readonly message: string }>(
        effect: Effect.Effect<A, E, Turn | Model | Journal | R>
      ): Effect.Effect<A, SubAgentFailed, Turn> =>
        Effect.contextWith((called: Context.Context<Turn>) =>
          Effect.mapError(
            // a session that calls these tools has their handlers
            Effect.provideContext(effect, Context.merge(made, called) as Context.Context<Turn | Model | Journal | R>),
            ({ message }) => new SubAgentFailed({ path: Context.get(called, Turn).session.path, detail: message })
          )
        )
      return Effect.succeed(handlers(settings, run))
    })
  )

type Run<R> = <A, E extends { readonly message: string }>(
  effect: Effect.Effect<A, E, Turn | Model | Journal | R>
) => Effect.Effect<A, SubAgentFailed, Turn>

/**
 * Returns the settings for agents at the last level of the limits. They cannot start agents and get no tools for it.
 */
const settingsAtLastLevel = <R>(settings: SubAgents.Settings<R>): SubAgents.Settings<R> => {
  const withoutAgentTools = (role: SubAgents.Role<R>) => ({
    ...role,
    agent: Agent.withoutTools(role.agent, Object.keys(toolkit.tools))
  })
  const roles = Object.fromEntries(
    Object.entries(settings.roles).map(([name, role]) => [name, withoutAgentTools(role)])
  )
  return { ...settings, roles: { ...roles, default: withoutAgentTools(settings.roles.default) } }
}

const handlers = <R>(all: SubAgents.Settings<R>, run: Run<R>) => {
  const last = settingsAtLastLevel(all)
  const settingsHere = Effect.gen(function* () {
    const { levelsBelow } = yield* nodeOf((yield* Turn).session)
    return Math.min(levelsBelow - 1, all.limits?.depth ?? Infinity) > 0 ? all : last
  })
  return toolkit.of({
    spawn_agent: ({ agent_type, detached, fork_context, model, reasoning_effort, wake, ...given }, { toolCallId }) =>
      run(
        Effect.gen(function* () {
          const { agentId, nickname } = yield* SubAgents.spawn(yield* settingsHere, {
            input: yield* inputOf(given),
            ...(agent_type === undefined ? {} : { role: agent_type }),
            ...(model === undefined ? {} : { model }),
            ...(reasoning_effort === undefined ? {} : { effort: reasoning_effort }),
            fork: fork_context === true,
            detached: detached === true,
            wake: wake === true
          })
          yield* report(toolCallId, [{ ...toState(agentId, pendingInit), name: nickname }])
          return { agent_id: agentId, nickname }
        })
      ),
    send_input: ({ interrupt, target: agentId, ...given }, { toolCallId }) =>
      run(
        Effect.gen(function* () {
          const input = yield* inputOf(given)
          const submissionId = yield* SubAgents.sendInput(agentId, input, { interrupt: interrupt === true })
          yield* reportOne(toolCallId, agentId, { _tag: "Running" })
          return { submission_id: submissionId }
        })
      ),
    wait_agent: ({ targets, timeout_ms }, { toolCallId }) =>
      run(
        Effect.gen(function* () {
          const { status, timedOut } = yield* SubAgents.wait(targets, timeout_ms)
          yield* report(
            toolCallId,
            Array.from(status, ([id, one]) => toState(id, one)),
            timedOut
          )
          return {
            status: Object.fromEntries(Array.from(status, ([id, one]) => [id, toWire(one)])),
            timed_out: timedOut
          }
        })
      ),
    close_agent: ({ target: agentId }, { toolCallId }) =>
      run(
        Effect.gen(function* () {
          const status = yield* SubAgents.close(agentId)
          yield* reportOne(toolCallId, agentId, status)
          return { previous_status: toWire(status) }
        })
      ),
    resume_agent: ({ id }, { toolCallId }) =>
      run(
        Effect.gen(function* () {
          const status = yield* SubAgents.resume(yield* settingsHere, id)
          yield* reportOne(toolCallId, id, status)
          return { status: toWire(status) }
        })
      ),
    list_agents: (_, { toolCallId }) => run(listAll(toolCallId))
  })
}

const listAll = Effect.fnUntraced(function* (callId: string | undefined) {
  const agents = yield* SubAgents.list
  yield* report(
    callId,
    agents.map(({ agentId, nickname, status }) => ({ ...toState(agentId, status), name: nickname }))
  )
  return {
    agents: agents.map(({ agentId, depth, nickname, role, status }) => ({
      agent_id: agentId,
      agent_name: nickname,
      agent_type: role,
      agent_status: toWire(status),
      depth
    }))
  }
})

interface GivenInput {
  readonly message?: string
  readonly items?: ReadonlyArray<typeof InputItem.Type>
}

/** Returns the input that a model gave: its message or its parts. */
const inputOf = ({ items, message }: GivenInput): Effect.Effect<Input.Input, SubAgentFailed, Turn> => {
  if (items === undefined) return Effect.succeed(message === undefined ? [] : Input.text(message))
  return message === undefined ? Effect.succeed(items.flatMap(partsOf)) : fail("give a message or items, not both")
}

const partsOf = (item: typeof InputItem.Type): Input.Input => {
  switch (item.type) {
    case "image":
      return item.image_url === undefined ? [] : [{ _tag: "Image", url: item.image_url }]
    case "text":
      return item.text === undefined ? [] : Input.text(item.text)
    case "skill":
    case "mention":
      if (item.name !== undefined && item.path !== undefined) {
        return [{ _tag: "Mention", name: item.name, path: item.path }]
      }
      return wordsOf(item)
    case "local_image":
      return wordsOf(item)
  }
}

/** Names a part, so that the agent can open it. */
const wordsOf = ({ name, path, type }: typeof InputItem.Type): Input.Input =>
  Input.text([type, name, path].filter((word) => word !== undefined).join(" "))
