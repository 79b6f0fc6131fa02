/** The parts of the web platform that this package uses. Every runtime has them, so no platform's types are needed. */

/** A parsed address. */
export interface URL {
  readonly href: string
  readonly origin: string
  readonly protocol: string
  readonly host: string
  readonly hostname: string
  readonly pathname: string
  readonly searchParams: {
    readonly get: (name: string) => string | null
    readonly set: (name: string, value: string) => void
  }
}

const web = globalThis as unknown as {
  readonly URL: (new (url: string) => URL) & { readonly canParse: (url: string) => boolean }
  readonly Response: new (body: string | null, options: { readonly status: number; readonly headers: object }) => object
}

/** Parses an address. Throws if the text is not an address. */
export const URL = web.URL

/** A response as `fetch` returns it. */
export const Response = web.Response
