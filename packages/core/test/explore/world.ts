/** What explores a session: to be imported with all of core behind it, or with all but one mechanism. */
export * as Laws from "@spindle/testing/Laws"
export * as SessionPrograms from "@spindle/testing/SessionPrograms"
export { races } from "./races.ts"
