import { defaultServerConditions } from "vite"
import { defineConfig } from "vitest/config"
import { mechanisms as ofCore } from "./packages/core/test/explore/mechanisms.ts"
import { withoutMechanism } from "./packages/core/test/explore/withoutMechanism.ts"
import { mechanisms as ofDelegates } from "./packages/delegate/test/explore/mechanisms.ts"

// without `module`: what is behind it is for bundlers, and Node cannot load that of @opentelemetry/api
const conditions = ["spindle-source", ...defaultServerConditions.filter((name) => name !== "module")]

export default defineConfig({
  test: {
    projects: ["core", "delegate", "tools", "testing", "telemetry", "openai", "app", "cli"].map((name) => ({
      root: `./packages/${name}`,
      plugins: [withoutMechanism(ofCore, ofDelegates)],
      resolve: { conditions },
      ssr: { resolve: { conditions, externalConditions: conditions } },
      test: {
        name,
        include: ["test/**/*.test.ts"],
        testTimeout: 30_000,
        // the tests of the program start its bundle
        ...(name === "cli" ? { globalSetup: ["./test/globalSetup.ts"] } : {})
      }
    })),
    coverage: { provider: "v8" as const, include: ["packages/*/src/**/*.ts"], reporter: ["text", "json-summary"] }
  }
})
