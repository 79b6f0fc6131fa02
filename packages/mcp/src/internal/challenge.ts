/** Reads the header `WWW-Authenticate`, with which a server that refuses a request asks for a bearer token. */

/** A challenge for a bearer token. */
export interface Challenge {
  readonly error: string | undefined
  /** The permissions that the request needs, separated by spaces. */
  readonly scope: string | undefined
  /** The address of a description of the server. */
  readonly resourceMetadata: string | undefined
}

const parameter = /([a-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi

/** Reads the header. Returns undefined if it asks for no bearer token. */
export const parse = (header: string | undefined): Challenge | undefined => {
  const scheme = /(?:^|,)\s*bearer(?=\s|$|,)/i.exec(header ?? "")
  if (header === undefined || scheme === null) return undefined
  const found = new Map<string, string>()
  for (const [, name, quoted, plain] of header.slice(scheme.index + scheme[0].length).matchAll(parameter)) {
    const key = name!.toLowerCase()
    if (!found.has(key)) found.set(key, quoted?.replace(/\\(.)/g, "$1") ?? plain!)
  }
  return {
    error: found.get("error"),
    scope: found.get("scope"),
    resourceMetadata: found.get("resource_metadata")
  }
}
