import type { Plugin } from "vite"

/** What is there, exactly once, in a file below `packages`, and what stands there without the mechanism. */
interface Change {
  readonly file: string
  readonly changes: ReadonlyArray<readonly [there: string, instead: string]>
}

const query = /\?without=([\w-]+)$/
const packageOf = (file: string) => file.slice(0, file.indexOf("/"))

/** The source of a file without a mechanism. Throws when the mechanism is not there as its table says. */
const without = (name: string, { changes, file }: Change, path: string, source: string): string => {
  if (!path.endsWith(`/packages/${file}`)) return source
  return changes.reduce((code, [there, instead]) => {
    if (code.split(there).length !== 2) throw new Error(`mechanism ${name}: not once in ${file}: ${there}`)
    return code.replace(there, () => instead)
  }, source)
}

/**
 * Loads sources of the workspace without a mechanism of one of the tables: `import("./world.ts?without=fence")` and all that it imports.
 * Core stands below everything else: it is loaded anew only for a mechanism of its own.
 */
export const withoutMechanism = (...tables: ReadonlyArray<{ readonly [name: string]: Change }>): Plugin => {
  const find = (name: string): Change => {
    const found = tables.flatMap((table) => (Object.hasOwn(table, name) ? [table[name]!] : []))
    if (found.length !== 1) throw new Error(`there are ${found.length} mechanisms ${name}`)
    return found[0]!
  }
  return {
    name: "without-mechanism",
    enforce: "pre",
    async resolveId(source, importer) {
      const name = importer === undefined ? undefined : query.exec(importer)?.[1]
      if (name === undefined || query.test(source)) return undefined
      const resolved = await this.resolve(source, importer!.replace(query, ""), { skipSelf: true })
      if (resolved === null || resolved.external || resolved.id.includes("/node_modules/")) return resolved
      const own = packageOf(find(name).file)
      if (own !== "core" && !resolved.id.includes(`/packages/${own}/`)) return resolved
      return { ...resolved, id: `${resolved.id}?without=${name}` }
    },
    transform(code, id) {
      const name = query.exec(id)?.[1]
      return name === undefined ? undefined : without(name, find(name), id.replace(query, ""), code)
    }
  }
}
