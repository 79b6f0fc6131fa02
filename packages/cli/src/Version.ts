/**
 * The version of the program, put in by the bundler.
 */
declare const __SPINDLE_VERSION__: string | undefined

/** As in `package.json`; `0.0.0` when the program runs from its sources. */
export const version: string = typeof __SPINDLE_VERSION__ === "string" ? __SPINDLE_VERSION__ : "0.0.0"
