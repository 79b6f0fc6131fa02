import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, PlatformError } from "effect"
import * as Machine from "../src/Machine.ts"

const noLink = PlatformError.systemError({ _tag: "NotFound", module: "FileSystem", method: "readLink" })

/** The time zone of a machine whose link leads to a path. */
const timeZone = (link: string | undefined, env: { readonly [name: string]: string } = {}) =>
  Effect.provide(
    Machine.timeZoneOf(env),
    FileSystem.layerNoop({ readLink: () => (link === undefined ? Effect.fail(noLink) : Effect.succeed(link)) })
  )

const ofIntl = Intl.DateTimeFormat().resolvedOptions().timeZone

describe("the time zone", () => {
  it.effect("is that of the link of the system", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* timeZone("/usr/share/zoneinfo/Europe/Berlin"), "Europe/Berlin")
      assert.strictEqual(yield* timeZone("../usr/share/zoneinfo/posix/Etc/UTC"), "Etc/UTC")
      assert.strictEqual(yield* timeZone("/var/db/timezone/zoneinfo/America/New_York"), "America/New_York")
    })
  )

  it.effect("is that of Intl without a link, and with a variable", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* timeZone(undefined), ofIntl)
      assert.strictEqual(yield* timeZone("/run/timezone"), ofIntl)
      assert.strictEqual(yield* timeZone("/usr/share/zoneinfo/Antarctica/Troll", { TZ: "UTC" }), ofIntl)
    })
  )
})
