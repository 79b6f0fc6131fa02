/** Mechanisms of the bridge and of the routing of requests; see `mechanisms.ts`. */
import type { Mechanism } from "./mechanism.ts"

const bridge = "delegate/src/Bridge.ts"
const routing = "delegate/src/Routing.ts"

/** By name. */
export const ofBridges = {
  "asks-beside-the-events": {
    closes: "A3 an open request of a child holds up none of its events",
    file: routing,
    changes: [
      [
        "Effect.map(Effect.forkIn(answer(event), scope, { startImmediately: true }), (fiber) => {\n          asked.fiber = fiber\n        })",
        "answer(event)"
      ]
    ],
    by: "askingElsewhere",
    breaks: /^A3/
  },
  "withdraws-what-the-child-settled": {
    closes: "A2 a question that the child has settled is withdrawn at the parent",
    file: routing,
    changes: [["asked?.fiber?.interruptUnsafe()\n", ""]],
    by: "askingElsewhere",
    breaks: /^A2/
  },
  "hands-over-in-one-step": {
    closes: "D2 a submission that the child was handed is answered",
    file: bridge,
    changes: [
      [
        "Effect.uninterruptibleMask((restore) =>\n    restore(Queue.peek(queue)).pipe(\n      Effect.andThen(Queue.take(queue)),",
        "inOrder((restore) =>\n    restore(Queue.take(queue)).pipe("
      ],
      [
        "/** A child whose events fail",
        "const inOrder = <A>(run: (restore: <B>(effect: B) => B) => A): A => run((effect) => effect)\n\n/** A child whose events fail"
      ]
    ],
    by: "handingOver",
    breaks: /^D2/
  },
  "begins-the-end-in-its-region": {
    closes: "D1 an end of a bridge that has begun comes about",
    file: bridge,
    changes: [
      [
        "Effect.uninterruptibleMask((restore) => {\n          if (begun) return restore(Deferred.await(over))",
        "Effect.suspend(() => {\n          if (begun) return Deferred.await(over)"
      ],
      ["return ending(reason)", "return Effect.uninterruptible(ending(reason))"]
    ],
    by: "endingABridge",
    breaks: /^deadlock/
  },
  "lets-go-of-a-full-queue": {
    closes: "D2 a forwarder that is blocked on a full queue ends at once",
    file: bridge,
    changes: [["events.leave()\n      const stopping", "const stopping"]],
    by: "endingAFullQueue",
    breaks: /^D2 the end/
  },
  "keeps-what-is-queued": {
    closes: "D2 what was queued stays readable after the end",
    file: bridge,
    changes: [
      ["this.leave()\n    Queue.endUnsafe(this.queue)", "this.leave()\n    Effect.runSync(Queue.shutdown(this.queue))"]
    ],
    by: "endingAFullQueue",
    breaks: /^D2 .* was queued/
  },
  drains: {
    closes: "D2 what a child tells while it ends is readable",
    file: bridge,
    changes: [["Effect.forEach([stopping, upward, downward], Fiber.await, { discard: true })", "Effect.void"]],
    by: "lastWords",
    breaks: /^D2/
  },
  "drains-for-so-long": {
    closes: "D2 a child that hangs is waited for up to the drain deadline",
    file: bridge,
    changes: [[`options.drain ?? "500 millis"`, `"2 days"`]],
    by: "hangingChild",
    breaks: /^D2|^unbounded wait/
  },
  "leaves-a-child-that-hangs": {
    closes: "D2 a child that hangs while it takes a submission holds up no end of its forwarder",
    file: bridge,
    changes: [["return Effect.onInterrupt(restore(waiting),", "return Effect.onInterrupt(waiting,"]],
    by: "hangingChild",
    breaks: /^D2/
  },
  "answers-who-waits-for-a-receipt": {
    closes: "D2 whoever waits for a receipt learns of the end",
    file: bridge,
    changes: [
      [
        "receipts.refuse()\n      Deferred.doneUnsafe(over, Effect.void)\n    })\n    let",
        "Deferred.doneUnsafe(over, Effect.void)\n    })\n    let"
      ]
    ],
    by: "hangingChild",
    breaks: /^D2/
  },
  "look-and-wait-for-room": {
    closes: "D2 a forwarder that waits for room looks in the step that registers",
    file: bridge,
    changes: [["if (this.isLeaving || !Queue.isFullUnsafe(this.queue)) return resume(Effect.void)", ""]],
    by: "readingAFullQueue",
    breaks: /^deadlock/
  }
} as const satisfies { readonly [name: string]: Mechanism }
