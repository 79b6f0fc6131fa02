import type { Plugin } from "vite"
import { without } from "./mechanisms.ts"

const query = /\?without=([\w-]+)$/

/** Loads sources of the workspace without a mechanism: `import("./scenario.ts?without=fence")` and all that it imports. */
export const withoutMechanism = (): Plugin => ({
  name: "without-mechanism",
  enforce: "pre",
  async resolveId(source, importer) {
    const name = importer === undefined ? undefined : query.exec(importer)?.[1]
    if (name === undefined || query.test(source)) return undefined
    const resolved = await this.resolve(source, importer!.replace(query, ""), { skipSelf: true })
    if (resolved === null || resolved.external || resolved.id.includes("/node_modules/")) return resolved
    return { ...resolved, id: `${resolved.id}?without=${name}` }
  },
  transform(code, id) {
    const name = query.exec(id)?.[1]
    return name === undefined ? undefined : without(name, id.replace(query, ""), code)
  }
})
