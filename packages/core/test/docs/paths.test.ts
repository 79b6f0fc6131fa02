import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"

const root = join(import.meta.dirname, "../../../..")
const pages = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
  .map((path) => `docs/${path.replaceAll("\\", "/")}`)
  .filter((path) => path.endsWith(".md"))
  .concat("README.md", "CONTRIBUTING.md")
  .filter((path) => existsSync(join(root, path)))

describe("documents", () => {
  for (const page of pages) {
    const text = readFileSync(join(root, page), "utf8")

    it(`${page} names only sources and tests that exist`, () => {
      const named = Array.from(
        text.matchAll(/`(?:packages\/)?([a-z]+\/(?:src|test)\/[\w./-]+\.ts)`/g),
        (path) => path[1]!
      )
      const missing = named.filter((path) => !existsSync(join(root, "packages", path)))
      assert.deepStrictEqual([...new Set(missing)], [])
    })

    it(`${page} links only to files that exist`, () => {
      const linked = Array.from(text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g), (link) => link[1]!)
      assert.deepStrictEqual(
        linked.filter((path) => !existsSync(join(root, dirname(page), path))),
        []
      )
    })
  }
})
