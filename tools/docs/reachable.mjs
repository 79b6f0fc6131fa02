// Finds what users cannot name: types that the signature of a public export mentions, and that no public module exports. typedoc's own check
// (`notExported`) looks at one package only, so this one reads the JSON that typedoc writes.

const isOwn = ({ packageName }) => packageName.startsWith("@spindle/")

/** Whether a reference of typedoc's JSON leads to a declaration that is in no public module. A number is the id of one that is. */
const isLost = ({ refersToTypeParameter, target, type }) =>
  type === "reference" && refersToTypeParameter !== true && typeof target === "object" && isOwn(target)

/** Returns a line for each type that is mentioned and not exported, with the first export that mentions it. */
export const unreachable = (project) => {
  const found = new Map()
  const visit = (node, owner) => {
    if (Array.isArray(node)) for (const one of node) visit(one, owner)
    else if (typeof node === "object" && node !== null) {
      if (isLost(node)) {
        const { packageName, packagePath, qualifiedName } = node.target
        const name = `${packageName}/${packagePath}: ${qualifiedName}`
        if (!found.has(name)) found.set(name, owner)
      }
      const isNamed = node.variant === "declaration" || node.variant === "signature"
      const inside = isNamed && !node.name.startsWith("__") ? [...owner, node.name] : owner
      for (const one of Object.values(node)) visit(one, inside)
    }
  }
  visit(project.children, [])
  return [...found].map(([name, owner]) => `${name} is not exported, and ${owner.join(".")} mentions it`)
}
