/** Loads mutants of the sources in the test runner: production code has no switch. Docs: decision 20. */
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
const packageOf = (file: string) => file.slice(0, file.indexOf("/"))

/** Returns what the tests read with `inject`, from the sources and the tables of all packages. */
export const provideMutants = (...tables: ReadonlyArray<{ readonly [name: string]: Row }>) => {
  const mutants = mutantsOf(sourcesOfWorkspace())
  return { mutants, mutantProblems: problemsOf(mutants, ...tables) }
}

/**
 * Loads `import("./world.ts?mutant=fence")`, and all that it imports, from the sources of the mutant. Every package imports core, and core
 * imports no other: it is loaded again for its own mutants only.
 */
export const mutantPlugin = (mutants: { readonly [name: string]: Mutant }): Plugin => {
  const ownPackage = (name: string): string => {
    const own = new Set(mutants[name]?.files.map(packageOf))
    if (own.size !== 1) throw new Error(`mutant ${name} is in ${own.size} packages`)
    return own.values().next().value!
  }
  return {
    name: "mutant",
    enforce: "pre",
    async resolveId(source, importer) {
      const name = importer === undefined ? undefined : query.exec(importer)?.[1]
      if (name === undefined || query.test(source)) return undefined
      const resolved = await this.resolve(source, importer!.replace(query, ""), { skipSelf: true })
      if (resolved === null || resolved.external || resolved.id.includes("/node_modules/")) return resolved
      const own = ownPackage(name)
      if (own !== "core" && !resolved.id.includes(`/packages/${own}/`)) return resolved
      return { ...resolved, id: `${resolved.id}?mutant=${name}` }
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
