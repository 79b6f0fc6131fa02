import * as SP from "./src/SessionPrograms.ts"
const p: any = {"task":"custom","operations":[],"faults":[{"point":"journal","fault":"hang","nth":3}],"journalMillis":0,"inboxCapacity":512,"mode":"before","seed":0}
import * as Interrupts from "./src/Interrupts.ts"
import * as H from "./src/SessionHarness.ts"
console.log(SP.check(p, { law: (r) => { console.log(r.events.map((e) => e._tag).join()); return undefined } }).violation)
