// Fails a test file that leaves work behind that never ends. Files share a process (`isolate: false`): a fiber that runs without waiting would take
// processor time from every file that comes later.
import { afterAll, assert } from "vitest"

/** How many rounds of the event loop what is about to end may take. */
const patience = 1_000

afterAll(async () => {
  const isBusy = () => process.getActiveResourcesInfo().includes("Immediate")
  for (let round = 0; round < patience; round++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (!isBusy()) return
  }
  assert.fail("something runs without end after the tests of this file, see scripts/tests/quiet.mjs")
})
