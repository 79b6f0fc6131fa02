/**
 * The environment variables that mark a process and its descendants. If a command runs Spindle, the processes of that
 * program have other marks, and carry those of the outer program and its command in a third variable.
 */

/** The variable with the id that the process, or its ancestor, was started with. */
export const markerName = "SPINDLE_PROCESS"
/** The variable with the mark of the host. */
export const hostName = "SPINDLE_HOST"
/** The variable with the marks and ids of the outer programs and commands, separated by spaces. */
export const outerName = "SPINDLE_OUTER"

/** Returns the value of a variable in the text of `/proc/<pid>/environ`. */
export const valueOf = (environment: string, name: string): string | undefined =>
  environment
    .split("\0")
    .find((one) => one.startsWith(`${name}=`))
    ?.slice(name.length + 1)

/** Makes a test of the text of `/proc/<pid>/environ`: whether a variable has a value, or {@link outerName} contains it. */
export const carries = (name: string, value: string): ((environment: string) => boolean) => {
  const own = `\0${name}=${value}\0`
  const outer = `\0${outerName}=`
  return (environment) => {
    const text = `\0${environment}`
    if (text.includes(own)) return true
    return text.includes(outer) && ` ${valueOf(environment, outerName)} `.includes(` ${value} `)
  }
}

/** Returns the value of {@link outerName} for the commands of a program; undefined if no command runs the program. */
export const outerOf = (environment: string): string | undefined => {
  const marks = [outerName, hostName, markerName].flatMap((name) => valueOf(environment, name) ?? [])
  return marks.length === 0 ? undefined : marks.join(" ")
}
