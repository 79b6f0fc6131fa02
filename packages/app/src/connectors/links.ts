/**
 * Links to apps and skills in an input: `[$name](path)`, as a person writes it and as a structured mention
 * (`Input.MentionPart`) reads.
 */
import * as Input from "@spindle/core/Input"

/** The links of a text. A link counts by its path alone. */
export interface Links {
  /** The ids of apps: paths as `app://id`. */
  readonly apps: ReadonlySet<string>
  /** The files of skills: paths that end in `SKILL.md`, or as `skill://path`. */
  readonly skills: ReadonlySet<string>
  /** The text without these links. */
  readonly rest: string
}

/** Reads the links of a text. A link to anything else stays in the rest. */
export const read = (text: string): Links => {
  const apps = new Set<string>()
  const skills = new Set<string>()
  const rest = text.replaceAll(/\[\$[^\]\n]*\]\(([^)\s]+)\)/g, (link: string, path: string) => {
    const app = /^apps?:\/\/(.+)$/.exec(path)?.[1]
    const skill = /^skill:\/\/(.+)$/.exec(path)?.[1] ?? /^(?:.*[/\\])?SKILL\.md$/.exec(path)?.[0]
    if (app !== undefined) apps.add(app)
    else if (skill !== undefined) skills.add(skill)
    else return link
    return " "
  })
  return { apps, skills, rest }
}

/** Returns true if links name an id or a path. */
export const has = (links: ReadonlySet<string>, path: string): boolean => links.has(Input.escapePath(path))

/** Returns the links that name none of these. */
export const unknown = (links: ReadonlySet<string>, known: ReadonlyArray<string>): ReadonlyArray<string> => {
  const escaped = new Set(known.map(Input.escapePath))
  return [...links].filter((link) => !escaped.has(link))
}
