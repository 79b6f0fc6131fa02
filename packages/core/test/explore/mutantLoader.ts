/**
 * Loads mutants of the sources: `world.ts?mutant=fence`, and all that it imports. Production code has no switch. Docs: decision 20.
 *
 * Node itself loads a mutant, not the test runner: a source without its types is the same in every mutant, and is made
 * once in a process. So `vitest.workspace.ts` must leave this module to Node.
 */
import { readFileSync } from "node:fs"
import { registerHooks, type ResolveFnOutput, type ResolveHookContext, stripTypeScriptTypes } from "node:module"
import { fileURLToPath } from "node:url"

/** A change of a source, from one offset to another. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** Changes a source. Throws if two edits overlap. */
export const applyEdits = (source: string, edits: ReadonlyArray<Edit>): string => {
  const ordered = edits.toSorted((a, b) => b.start - a.start || b.end - a.end)
  let before = source.length
  return ordered.reduce((text, { end, start, text: instead }) => {
    if (end > before) throw new Error("two markers change the same code")
    before = start
    return text.slice(0, start) + instead + text.slice(end)
  }, source)
}

/** The edits of a mutant, by the file below `packages`. */
type Edits = { readonly [file: string]: ReadonlyArray<Edit> }

const query = /\?mutant=([\w-]+)$/

/** The mutants that were loaded, by name. */
const mutants = new Map<string, Edits>()

/** Loads a module from the sources of a mutant. A module that does not import these, directly or through others, stays as it is. */
export const load = <Module>(url: string, name: string, edits: Edits): Promise<Module> => {
  mutants.set(name, edits)
  return import(`${url}?mutant=${name}`)
}

/** Import and export statements that load a module; those of types load none. */
const specifiers = /^(?:import|export)(?! type\b)(?:[^"'`;]*?\bfrom)? ["']([^"']+)["']/gm

const sources = new Map<string, string>()
const sourceOf = (url: string): string => {
  const source = sources.get(url) ?? readFileSync(fileURLToPath(url), "utf8")
  sources.set(url, source)
  return source
}

type Resolve = (specifier: string, context: Partial<ResolveHookContext>) => ResolveFnOutput

/** The sources that a source imports, by its URL. */
const imports = new Map<string, ReadonlyArray<string>>()
const importsOf = (url: string, resolve: Resolve): ReadonlyArray<string> => {
  const known = imports.get(url)
  if (known !== undefined) return known
  const found = Array.from(sourceOf(url).matchAll(specifiers), ([, one]) => resolve(one!, { parentURL: url }).url)
  const own = found.filter((one) => one.endsWith(".ts") && !one.includes("/node_modules/"))
  imports.set(url, own)
  return own
}

const editsOf = (url: string, edits: Edits): ReadonlyArray<Edit> | undefined =>
  edits[Object.keys(edits).find((file) => url.endsWith(`/packages/${file}`)) ?? ""]

/** Whether a source imports those of a mutant, by the files of the mutant and the URL. */
const reached = new Map<string, boolean>()
const reaches = (url: string, edits: Edits, resolve: Resolve): boolean => {
  const key = `${Object.keys(edits).join()} ${url}`
  const known = reached.get(key)
  if (known !== undefined) return known
  // the linter keeps the imports free of circles
  const isReached =
    editsOf(url, edits) !== undefined || importsOf(url, resolve).some((one) => reaches(one, edits, resolve))
  reached.set(key, isReached)
  return isReached
}

/** The sources without their types, by URL. */
const stripped = new Map<string, string>()

registerHooks({
  resolve: (specifier, context, next) => {
    const name = query.exec(context.parentURL ?? "")?.[1]
    const edits = name === undefined ? undefined : mutants.get(name)
    if (edits === undefined) return next(specifier, context)
    const resolve: Resolve = (one, from) => next(one, { ...context, ...from })
    const found = resolve(specifier, { parentURL: context.parentURL!.replace(query, "") })
    const isOwn = found.url.endsWith(".ts") && !found.url.includes("/node_modules/")
    return isOwn && reaches(found.url, edits, resolve) ? { ...found, url: `${found.url}?mutant=${name}` } : found
  },
  load: (url, context, next) => {
    const edits = mutants.get(query.exec(url)?.[1] ?? "")
    if (edits === undefined) return next(url, context)
    const bare = url.replace(query, "")
    const changes = editsOf(bare, edits)
    const source =
      changes === undefined
        ? (stripped.get(bare) ?? stripTypeScriptTypes(sourceOf(bare)))
        : stripTypeScriptTypes(applyEdits(sourceOf(bare), changes))
    if (changes === undefined) stripped.set(bare, source)
    return { format: "module", source, shortCircuit: true }
  }
})
