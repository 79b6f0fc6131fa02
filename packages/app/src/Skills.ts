/**
 * Skills: folders with a `SKILL.md`, instructions for one kind of task. The model gets their names and descriptions.
 * The body of a skill follows a prompt that names it, as `$name` or by a mention of its file. The model may also read
 * the file itself.
 *
 * Skills are in `skills` of the home, and in `.agents/skills` of the directories from the root of the project down to
 * the working directory. Of two skills with one name the one closer to the working directory counts.
 */
import * as Path from "node:path"
import type { Fragment, FragmentUpdate } from "@spindle/core/Fragments"
import * as Hooks from "@spindle/core/Hooks"
import * as Input from "@spindle/core/Input"
import { Turn } from "@spindle/core/Turn"
import { type ByTurn, valueInTurn } from "@spindle/core/TurnContext"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Links from "./connectors/links.ts"
import * as Instructions from "./Instructions.ts"
import type { SkillSelection } from "./settings/skills.ts"
import { frontMatterOf } from "./settings/frontMatter.ts"

/** One skill. */
export interface Skill {
  readonly name: string
  readonly description: string
  readonly path: string
  readonly body: string
}

/** The places of skills, and the skills that are switched off. */
export interface Places extends Instructions.Places {
  readonly disabledSkills: SkillSelection
}

/** The skills that were found, in the order of their names. Each problem is one line. */
export interface Skills {
  readonly skills: ReadonlyArray<Skill>
  readonly problems: ReadonlyArray<string>
}

const limitBytes = 256 * 1024
const descriptionLimit = 1_024

/** Reads the skills. Those that cannot be used are left out, with a problem for each. */
export const read = Effect.fnUntraced(function* (
  places: Places
): Effect.fn.Return<Skills, never, FileSystem.FileSystem> {
  const fileSystem = yield* FileSystem.FileSystem
  const directories = (yield* Instructions.directoriesOf(places)).map((directory) =>
    Path.join(directory, ".agents", "skills")
  )
  const byName = new Map<string, Skill>()
  const problems: Array<string> = []
  for (const root of [Path.join(places.home, "skills"), ...directories]) {
    // a root that does not exist has no skills
    const folders = yield* Effect.orElseSucceed(fileSystem.readDirectory(root), (): Array<string> => [])
    for (const name of folders.toSorted()) {
      const found = yield* readSkill(Path.join(root, name, "SKILL.md"), name)
      if (typeof found === "string") problems.push(found)
      else if (found !== undefined) byName.set(found.name, found)
    }
  }
  const isDisabled = yield* disabledIn(places.disabledSkills)
  const skills: Array<Skill> = []
  for (const skill of byName.values()) if (!(yield* isDisabled(skill))) skills.push(skill)
  return { skills: skills.toSorted((a, b) => (a.name < b.name ? -1 : 1)), problems }
})

/** Returns a function that returns true for a skill that is switched off. Files are compared by their real paths. */
const disabledIn = Effect.fnUntraced(function* ({ names, paths }: SkillSelection) {
  const fileSystem = yield* FileSystem.FileSystem
  const real = (path: string) => Effect.orElseSucceed(fileSystem.realPath(path), () => path)
  const disabled = new Set(yield* Effect.forEach(paths, real))
  return ({ name, path }: Skill) =>
    names.has(name) || disabled.size === 0
      ? Effect.succeed(names.has(name))
      : Effect.map(real(path), (file) => disabled.has(file) || disabled.has(Path.dirname(file)))
})

/** Returns the skill of a file, or the problem if it cannot be used; undefined if there is no such file. */
const readSkill = Effect.fnUntraced(function* (
  path: string,
  folder: string
): Effect.fn.Return<Skill | string | undefined, never, FileSystem.FileSystem> {
  const file = yield* Instructions.readFile(path, limitBytes)
  if (file === undefined) return undefined
  if (file._tag !== "File") return Instructions.describe(file)
  if (file.isCut) return `${path} is not used: a skill may have ${limitBytes} bytes`
  const { body, fields } = frontMatterOf(file.text)
  const { description = "", name = folder } = fields
  if (description === "") return `${path} is not used: it has no description`
  if (!/^[\w:.-]{1,64}$/.test(name)) return `${path} is not used: ${name} is not a name of a skill`
  return { name, description: description.slice(0, descriptionLimit), path, body }
})

/** Returns the fragment that lists the skills; none if there are none. */
export const fragmentsOf = ({ problems, skills }: Skills): FragmentUpdate => ({
  fragments: skills.length === 0 ? [] : [listOf(skills)],
  warnings: problems
})

const listOf = (skills: ReadonlyArray<Skill>): Fragment => ({
  name: "skills",
  text: [
    "<skills_instructions>",
    "A skill is a file with instructions for one kind of task.",
    "Use a skill when the user names it as $name, or when the task fits its description: read its file completely, then follow it.",
    "Paths in a skill are relative to its folder. Do not carry a skill over to a later task unless it fits again.",
    ...skills.map(({ description, name, path }) => `- ${name}: ${description.replaceAll(/\s+/g, " ")} (file: ${path})`),
    "</skills_instructions>"
  ].join("\n")
})

/** Hooks that add the body of each skill that a prompt names, and warn of links to skills that do not exist. */
export const hooks = (places: ByTurn<Places>): Hooks.Hooks<never, Turn | FileSystem.FileSystem> => ({
  ...Hooks.none,
  userPromptSubmit: (turnId, text) => {
    const { rest, skills } = Links.read(text)
    const names = new Set(Array.from(rest.matchAll(/\$([\w:.-]*\w)/g), ([, name]) => name!))
    return names.size === 0 && skills.size === 0
      ? Hooks.none.userPromptSubmit(turnId, text)
      : Effect.flatMap(valueInTurn(places), (at) => addSkills(at, names, skills))
  }
})

const addSkills = Effect.fnUntraced(function* (
  places: Places,
  names: ReadonlySet<string>,
  links: ReadonlySet<string>
): Effect.fn.Return<Hooks.PromptVerdict, never, Turn | FileSystem.FileSystem> {
  const turn = yield* Turn
  const paths = new Set(Array.from(links, (path) => Input.escapePath(Path.resolve(places.cwd, path))))
  const { skills } = yield* read(places)
  const files = skills.map(({ path }) => path)
  for (const path of Links.unknown(paths, files)) {
    yield* turn.warn(`the input mentions the skill ${path}, which does not exist or cannot be used`)
  }
  const selected = skills.filter(({ name, path }) => names.has(name) || Links.has(paths, path))
  return { block: false, contexts: selected.map(bodyOf) }
})

const bodyOf = ({ body, name, path }: Skill): string =>
  `<skill>\n<name>${name}</name>\n<path>${path}</path>\n${body.trim()}\n</skill>`
