// A vitest reporter that prints one line for each project as soon as its last test file has ended. Vitest's own `minimal` reporter prints the failures
// at the end.
export default class ProjectReporter {
  /** By name of the project: files that still run, tests by state, and the time that its files took. */
  #projects = new Map()

  onTestRunStart(specifications) {
    for (const { project } of specifications) {
      const known = this.#projects.get(project.name) ?? { open: 0, passed: 0, failed: 0, skipped: 0, millis: 0 }
      this.#projects.set(project.name, { ...known, open: known.open + 1 })
    }
  }

  onTestModuleEnd(module) {
    const project = this.#projects.get(module.project.name)
    project.open--
    project.millis += module.diagnostic().duration + module.diagnostic().collectDuration
    for (const test of module.children.allTests()) project[test.result().state]++
    if (!module.ok() && [...module.children.allTests("failed")].length === 0) project.failed++
    if (project.open === 0) this.#print(module.project.name, project)
  }

  #print(name, { failed, millis, passed, skipped }) {
    const seconds = `${(millis / 1000).toFixed(1)} s`.padStart(8)
    const others = [failed > 0 ? `, ${failed} failed` : "", skipped > 0 ? `, ${skipped} skipped` : ""].join("")
    console.log(
      `${failed > 0 ? "FAILED" : "ok    "} ${`tests of ${name}`.padEnd(26)} ${seconds}  ${passed} passed${others}`
    )
  }
}
