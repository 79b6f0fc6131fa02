import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

/** The modules that a source imports, itself and relative ones followed; types included. */
const reached = (url: URL, seen = new Set<string>()): ReadonlySet<string> => {
  if (seen.has(url.href)) return seen
  seen.add(url.href)
  for (const [, name] of readFileSync(url, "utf8").matchAll(/^(?!\s*\*).*\bfrom "([^"]+)"$/gm)) {
    if (name!.startsWith(".")) reached(new URL(name!, url), seen)
    else seen.add(name!)
  }
  return seen
}

describe("the explorer", () => {
  for (const module of ["Interrupts", "Simulation", "Faults", "Vitest"]) {
    it(`needs nothing but effect: ${module}`, () => {
      const others = [...reached(new URL(`../src/${module}.ts`, import.meta.url))].filter(
        (name) => !name.startsWith("file:") && !name.startsWith("effect/")
      )
      assert.deepStrictEqual(others, [])
    })
  }

  it("is separate from the modules that know sessions", () => {
    const names = [...reached(new URL("../src/SessionPrograms.ts", import.meta.url))]
    assert.isTrue(names.some((name) => name.startsWith("@spindle/core/")))
  })
})
