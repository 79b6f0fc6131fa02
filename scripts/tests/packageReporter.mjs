// A vitest reporter that prints one line for each package as soon as its last test file has ended. Vitest's own `minimal` reporter prints the failures
// at the end.
import { relative, sep } from "node:path"
import { root } from "../workspace.mjs"

/** The name of the package of a test file. */
const packageOf = (path) => relative(root, path).split(sep)[1]

export default class PackageReporter {
  /** By name of the package: files that still run, tests by state, and the time that its files took. */
  #packages = new Map()

  onTestRunStart(specifications) {
    for (const { moduleId } of specifications) {
      const known = this.#packages.get(packageOf(moduleId)) ?? { open: 0, passed: 0, failed: 0, skipped: 0, millis: 0 }
      this.#packages.set(packageOf(moduleId), { ...known, open: known.open + 1 })
    }
  }

  onTestModuleEnd(module) {
    const name = packageOf(module.moduleId)
    const one = this.#packages.get(name)
    one.open--
    one.millis += module.diagnostic().duration + module.diagnostic().collectDuration
    for (const test of module.children.allTests()) one[test.result().state]++
    if (!module.ok() && [...module.children.allTests("failed")].length === 0) one.failed++
    if (one.open === 0) this.#print(name, one)
  }

  #print(name, { failed, millis, passed, skipped }) {
    const seconds = `${(millis / 1000).toFixed(1)} s`.padStart(8)
    const others = [failed > 0 ? `, ${failed} failed` : "", skipped > 0 ? `, ${skipped} skipped` : ""].join("")
    console.log(
      `${failed > 0 ? "FAILED" : "ok    "} ${`tests of ${name}`.padEnd(26)} ${seconds}  ${passed} passed${others}`
    )
  }
}
