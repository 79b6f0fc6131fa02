/** Chooses the role and the model of an agent. Fails with a text for the model that lists the possible choices. */
import { Model } from "@spindle/core/Model"
import { Turn } from "@spindle/core/Turn"
import * as Effect from "effect/Effect"
import { SubAgentFailed } from "../DelegateError.ts"
import type { NamedModel, Role, Settings, Wish } from "../Roles.ts"

/** Fails with a text for the model. */
export const fail = (detail: string): Effect.Effect<never, SubAgentFailed, Turn> =>
  Effect.flatMap(Turn, ({ session }) => Effect.fail(new SubAgentFailed({ path: session.path, detail })))

/** Returns the role of this name. */
export const roleOf = <R>(settings: Settings<R>, name: string): Effect.Effect<Role<R>, SubAgentFailed, Turn> => {
  const role = own(settings.roles, name)
  if (role !== undefined) return Effect.succeed(role)
  return fail(`there is no agent type ${name}; there are: ${namesOf(settings.roles)}`)
}

/** Returns the model that was asked for, else that of the role. Undefined means the model of the session. */
export const modelOf = Effect.fnUntraced(function* <R>(
  { models }: Settings<R>,
  role: Role<R>,
  { effort, model: asked }: Wish
) {
  const current = role.model ?? (yield* Model)
  const name = asked ?? current.model
  if (effort === undefined && name === current.model) return role.model
  const named: NamedModel | undefined = models === undefined ? undefined : own(models, name)
  if (named === undefined) {
    const known = namesOf({ [current.model]: true, ...models })
    return asked === undefined
      ? yield* fail(`the reasoning effort of model ${name} cannot be chosen`)
      : yield* fail(`there is no model ${name}; there are: ${known}`)
  }
  if (effort === undefined || named.efforts.includes(effort)) return yield* named.make(effort)
  const efforts = named.efforts.length === 0 ? "none can be chosen" : `it has: ${named.efforts.join(", ")}`
  return yield* fail(`model ${name} has no reasoning effort ${effort}; ${efforts}`)
})

/** The choices of a model, by name. `Settings` have this shape. */
export interface Choices {
  readonly roles: { readonly [name: string]: Pick<Role, "description"> }
  readonly models?: { readonly [name: string]: Pick<NamedModel, "efforts"> } | undefined
}

/** Describes the choices, for the description of a tool. */
export const choicesOf = ({ models = {}, roles }: Choices): string => {
  const agents = Object.entries(roles).map(([name, { description }]) => `\n- ${name}: ${description}`)
  const named = Object.entries(models).map(([name, { efforts }]) =>
    efforts.length === 0 ? `\n- ${name}` : `\n- ${name}, with the reasoning efforts ${efforts.join(", ")}`
  )
  const ofModels = named.length === 0 ? "" : `\nModels:${named.join("")}`
  return `\nAgent types:${agents.join("")}${ofModels}`
}

const own = <A>(all: { readonly [name: string]: A }, name: string): A | undefined =>
  Object.hasOwn(all, name) ? all[name] : undefined

const namesOf = (all: object): string => Object.keys(all).join(", ")
