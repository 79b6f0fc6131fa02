/** Explorations that come close to one fault each. `controls.test.ts` runs them with the unchanged sources and with the mutant that has the fault. */
import { casesOfAgents } from "./casesOfAgents.ts"
import { casesOfBridges } from "./casesOfBridges.ts"
import { casesOfDelegates } from "./casesOfDelegates.ts"
import { type Case, explored, node } from "./exploring.ts"

/** A turn that returns while slow delegates run. */
const returning: Case = {
  ...explored([
    {
      _tag: "Spawn",
      children: ["n0", "n1", "n2"].map((name) => node(name, "linked", { _tag: "Deaf", millis: 90 })),
      wait: false
    },
    { _tag: "Sleep", millis: 5 }
  ]),
  actions: []
}

export const cases = { returning, ...casesOfBridges, ...casesOfDelegates, ...casesOfAgents }
