/** Loads mutants of the sources in the test runner: production code has no switch. Docs: decision 20. */
import { readFileSync } from "node:fs"
import type { Plugin } from "vite"
import { type Mutant, mutantsOf, mutate, problemsOf, type Row, sourcesOfWorkspace } from "./mutantMarkers.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** By name. */
    readonly mutants: { readonly [name: string]: Mutant }
    /** Mutants without a row, and rows without a mutant. */
    readonly mutantProblems: ReadonlyArray<string>
  }
}

const query = /\?mutant=([\w-]+)$/

/** Returns what the tests read with `inject`, from the sources and the tables of all packages. */
export const provideMutants = (...tables: ReadonlyArray<{ readonly [name: string]: Row }>) => {
  const mutants = mutantsOf(sourcesOfWorkspace())
  return { mutants, mutantProblems: problemsOf(mutants, ...tables) }
}

/** Import and export statements that load a module; those of types load none. */
const specifiers = /^(?:import|export)(?! type\b)(?:[^"'`;]*?\bfrom)? ["']([^"']+)["']/gm

/** Makes a function that keeps its results in a map. */
const memoized =
  <A>(results: Map<string, Promise<A>>, make: (path: string) => Promise<A>, keyOf = (path: string) => path) =>
  (path: string): Promise<A> => {
    const known = results.get(keyOf(path))
    if (known !== undefined) return known
    const result = make(path)
    results.set(keyOf(path), result)
    return result
  }

/**
 * Loads `import("./world.ts?mutant=fence")`, and all that it imports, from the sources of the mutant. A module that does not import the
 * mutant's sources, directly or through others, is not loaded again.
 */
export const mutantPlugin = (mutants: { readonly [name: string]: Mutant }): Plugin => {
  /** The sources that a source imports, by its path. */
  const imports = new Map<string, Promise<ReadonlyArray<string>>>()
  /** Whether a source imports those of a mutant, by the name of the mutant and the path. */
  const reached = new Map<string, Promise<boolean>>()
  return {
    name: "mutant",
    enforce: "pre",
    async resolveId(source, importer) {
      const name = importer === undefined ? undefined : query.exec(importer)?.[1]
      if (name === undefined || query.test(source)) return undefined
      const resolve = async (from: string, imported: string) => {
        const resolved = await this.resolve(imported, from, { skipSelf: true })
        return resolved === null || resolved.external || resolved.id.includes("/node_modules/")
          ? undefined
          : resolved.id
      }
      const importsOf = async (path: string) => {
        const found = [...readFileSync(path, "utf8").matchAll(specifiers)].map(([, one]) => resolve(path, one!))
        return (await Promise.all(found)).filter((one) => one !== undefined)
      }
      const files = mutants[name]?.files.map((file) => `/packages/${file}`) ?? []
      // the linter keeps the imports free of circles
      const reaches = memoized(
        reached,
        async (path: string): Promise<boolean> => {
          if (files.some((file) => path.endsWith(file))) return true
          const imported = await memoized(imports, importsOf)(path)
          return (await Promise.all(imported.map(reaches))).includes(true)
        },
        (path) => `${name} ${path}`
      )
      const path = await resolve(importer!.replace(query, ""), source)
      return path !== undefined && (await reaches(path)) ? `${path}?mutant=${name}` : path
    },
    transform(code, id) {
      const name = query.exec(id)?.[1]
      if (name === undefined) return undefined
      const path = id.replace(query, "")
      const file = mutants[name]?.files.find((one) => path.endsWith(`/packages/${one}`))
      return file === undefined ? undefined : mutate(name, file, code)
    }
  }
}
