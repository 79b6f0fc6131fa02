import * as SessionSuite from "@spindle/testing/SessionSuite"
import * as DelegateHost from "../fixtures/delegateHost.ts"

for (const detached of [false, true]) {
  const host = DelegateHost.make({ detached, answeredAt: "delegate", endsWith: "delegate" })
  SessionSuite.suite(`a ${detached ? "detached" : "linked"} delegate`, host)
}
