/**
 * What is taken out of spans before any exporter sees them.
 *
 * The spans of this project hold no content unless it is asked for; these rules are for what comes from elsewhere:
 * addresses with keys in them, headers, messages of errors, and content that was asked for.
 */

/** Changes the value of an attribute; undefined leaves it out. */
export type Redact = (key: string, value: unknown) => unknown

/** What stands in the place of a secret. */
export const removed = "[redacted]"

// names that end with one of these words; `gen_ai.usage.input_tokens` and `token.type` do not
const secretName =
  /(^|[._-])(authorization|proxy-authorization|cookie|set-cookie|api[_-]?key|x-api-key|secret|password|passwd|token|signature|credential)s?$/i
const secrets: ReadonlyArray<readonly [pattern: RegExp, by: string]> = [
  [/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, `$1 ${removed}`],
  [/\b(sk|pk|rk|ghp|gho|ghs|github_pat|glpat|xox[abprs])[-_][\w-]{8,}/g, removed],
  [/\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*/g, removed],
  [/([?&;](?:[\w-]*(?:key|token|secret|password|signature)|sig|auth)=)[^&;#\s"]+/gi, `$1${removed}`],
  [/(:\/\/)[^/\s:@]+:[^/\s@]+@/g, `$1${removed}@`],
  [/\b([A-Z0-9_]*(?:API_KEY|TOKEN|SECRET|PASSWORD)=)\S+/g, `$1${removed}`]
]

/**
 * Takes out the values of attributes whose name says that they are secret, and in every text what looks like a key, a
 * bearer token, a password in an address or an assignment.
 */
export const standard: Redact = (key, value) =>
  secretName.test(key) && typeof value === "string" ? removed : textsOf(value)

/** Leaves everything as it is. */
export const none: Redact = (_, value) => value

const textsOf = (value: unknown): unknown => {
  if (typeof value === "string") return secrets.reduce((text, [pattern, by]) => text.replace(pattern, by), value)
  return Array.isArray(value) ? value.map(textsOf) : value
}
