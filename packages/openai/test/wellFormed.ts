/** Whether servers take a name of a tool. */
export const isName = (name: unknown): boolean => typeof name === "string" && /^[\w-]{1,64}$/.test(name)

/** Whether no text has half a surrogate pair. */
export const isWellFormed = (value: unknown): boolean => {
  if (typeof value === "string") return value.isWellFormed()
  if (typeof value !== "object" || value === null) return true
  return Object.entries(value).every(([key, one]) => key.isWellFormed() && isWellFormed(one))
}
