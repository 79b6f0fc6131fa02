import { assert, describe, it } from "@effect/vitest"
import * as Signals from "@spindle/tools/Signals"
import { constants } from "node:os"

describe("Signals", () => {
  it("names the signals that have one number on every host", () => {
    const numbers = Array.from({ length: 65 }, (_, number) => number)
    const named = numbers.flatMap((number) => Signals.nameOf(number) ?? [])
    assert.strictEqual(
      named.join(" "),
      "SIGHUP SIGINT SIGQUIT SIGILL SIGABRT SIGFPE SIGKILL SIGSEGV SIGPIPE SIGALRM SIGTERM"
    )
    for (const name of named) {
      assert.strictEqual(Signals.nameOf(constants.signals[name as NodeJS.Signals]), name)
    }
  })
})
