import { availableParallelism } from "node:os"
import { defaultServerConditions } from "vite"
import { defineConfig } from "vitest/config"
import { provideMutants } from "./packages/core/test/explore/mutantMarkers.ts"
import { mutantTables } from "./scripts/tests/mutantTables.ts"

// without `module`: what is behind it is for bundlers, and Node cannot load that of @opentelemetry/api
const conditions = ["spindle-source", ...defaultServerConditions.filter((name) => name !== "module")]
const provide = provideMutants(...Object.values(mutantTables))

const libraries = ["core", "delegate", "tools", "testing", "telemetry", "openai", "anthropic", "mcp", "app"]

/** The tests of packages. A worker serves one project, so two projects share no loaded sources. */
const project = (name: string, packages: ReadonlyArray<string>, globalSetup: ReadonlyArray<string> = []) => ({
  root: "./packages",
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    name,
    // a worker runs many files, and loads the sources once; no test may leave anything behind in the process
    isolate: false,
    include: packages.map((one) => `${one}/test/**/*.test.ts`),
    // an exploration of a few seconds takes minutes on busy cores
    testTimeout: 300_000,
    // Node loads the mutants from the sources, and warns that it can take the types out of a source
    server: { deps: { external: [/\/mutantLoader\.ts$/] } },
    execArgv: ["--conditions=spindle-source", "--disable-warning=ExperimentalWarning"],
    provide,
    globalSetup: [...globalSetup],
    setupFiles: ["../scripts/tests/quiet.mjs"]
  }
})

export default defineConfig({
  test: {
    // many tests wait for a process or a clock: on two cores, three workers
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    globalSetup: ["./scripts/tests/home.mjs"],
    projects: [
      // vitest begins with the first name: the tests of the program, which start its bundle, often wait, and `npm test` runs checks next to them
      project("cli", ["cli"], ["./cli/test/globalSetup.ts"]),
      project("libraries", libraries)
    ],
    coverage: { provider: "v8" as const, include: ["packages/*/src/**/*.ts"], reporter: ["text", "json-summary"] }
  }
})
