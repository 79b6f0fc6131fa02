/**
 * The version of the program. The bundler inserts it.
 */
declare const __SPINDLE_VERSION__: string | undefined

/** The version in `package.json`; `0.0.0` if the program runs from its sources. */
export const version: string = typeof __SPINDLE_VERSION__ === "string" ? __SPINDLE_VERSION__ : "0.0.0"
