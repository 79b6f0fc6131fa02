import { assert, describe, it } from "@effect/vitest"
import * as SessionConfig from "@spindle/core/SessionConfig"
import { Config, ConfigProvider, Duration, Effect } from "effect"

const layer = SessionConfig.layerConfig({
  turnModelRequests: Config.Int("REQUESTS"),
  turnDuration: Config.Duration("DURATION").pipe(Config.withDefault(undefined))
})
const from = (env: { readonly [name: string]: string }) =>
  Effect.service(SessionConfig.SessionConfig).pipe(
    Effect.provide(layer),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
  )

describe("layerConfig", () => {
  it.effect("reads bounds of turns from the configuration, and has the defaults for the others", () =>
    Effect.gen(function* () {
      const config = yield* from({ REQUESTS: "7", DURATION: "2 minutes" })
      assert.deepStrictEqual(Duration.fromInputUnsafe(config.turnDuration!), Duration.minutes(2))
      assert.deepStrictEqual(
        { ...config, turnDuration: undefined },
        { ...SessionConfig.defaults, turnModelRequests: 7 }
      )
    })
  )

  it.effect("fails with the name of a variable that is no number", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(from({ REQUESTS: "many" }))
      assert.include(error.message, "REQUESTS")
    })
  )
})
