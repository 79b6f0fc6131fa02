import { assert, it } from "@effect/vitest"
import * as Laws from "@spindle/testing/Laws"
import * as SessionPrograms from "@spindle/testing/SessionPrograms"

const program = {
  task: "approval",
  operations: [
    { operation: "replace", step: 8 },
    { operation: "deny", step: 1 }
  ],
  faults: [{ point: "journal", fault: "fail", nth: 3 }],
  journalMillis: 0,
  inboxCapacity: 1,
  mode: "before",
  seed: 4
} as const

it("I10 P2 input that a replacement held back starts when the replacement has let go", () => {
  const at = [
    ["deny", 1],
    ["replace", 8],
    ["abort", 12]
  ] as const
  assert.isUndefined(SessionPrograms.replay(program, Laws.session, { mode: "before", at, seed: 4 }))
})
