/**
 * Rules that redact spans before any exporter sees them.
 *
 * The spans of this project contain no content unless it is asked for. The rules are for values from elsewhere:
 * addresses with keys, headers, messages of errors, and content that was asked for.
 */

/** Returns the value to use for an attribute; undefined leaves the attribute out. */
export type Redact = (key: string, value: unknown) => unknown

/** The text that replaces a secret. */
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
 * Redacts the values of attributes with a secret name, and the parts of texts that look like a key, a bearer token, or
 * a password in an address or an assignment.
 */
export const standard: Redact = (key, value) =>
  secretName.test(key) && typeof value === "string" ? removed : textsOf(value)

/** Changes nothing. */
export const none: Redact = (_, value) => value

const textsOf = (value: unknown): unknown => {
  if (typeof value === "string") return secrets.reduce((text, [pattern, by]) => text.replace(pattern, by), value)
  return Array.isArray(value) ? value.map(textsOf) : value
}
