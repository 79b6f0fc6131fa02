/** Names of tools in the form that every server takes: letters, digits, `_` and `-`, at most 64. */

const longest = 64
const hashLength = 8

/** Returns the name on the wire. A name of another form is changed and ends in a hash, so that it stays unique. */
export const wireName = (name: string): string => {
  if (/^[\w-]{1,64}$/.test(name)) return name
  const readable = name.replace(/[^\w-]+/g, "_").slice(0, longest - hashLength - 1)
  return `${readable}_${hashOf(name)}`
}

/** Returns the names that change, by their name on the wire. */
export const changedNames = (tools: ReadonlyArray<{ readonly name: string }>): ReadonlyMap<string, string> =>
  new Map(tools.flatMap(({ name }) => (wireName(name) === name ? [] : [[wireName(name), name] as const])))

/** Returns 32 bits of FNV-1a in eight hexadecimal digits. */
export const hashOf = (text: string): string => {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return (hash >>> 0).toString(16).padStart(hashLength, "0")
}
