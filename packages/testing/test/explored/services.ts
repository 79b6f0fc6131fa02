/** KeyValueStore, PersistedQueue, rpc and workflow under the explorer, each with its implementation in memory. */
import { createHash } from "node:crypto"
import * as WebCrypto from "effect/crypto/WebCrypto"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcTest from "effect/rpc/RpcTest"
import * as Schema from "effect/Schema"
import * as Activity from "effect/workflow/Activity"
import * as Workflow from "effect/workflow/Workflow"
import * as WorkflowEngine from "effect/workflow/WorkflowEngine"
import { type Piece, piece } from "./piece.ts"

const modifying = piece(
  ["KeyValueStore", "`modify`, with another `modify` at each step", "both count"],
  (stage) =>
    Effect.gen(function* () {
      const store = yield* KeyValueStore.KeyValueStore
      let updates = 0
      const add = Effect.andThen(
        store.modify("count", (count) => `${Number(count) + 1}`),
        Effect.sync(() => void updates++)
      )
      yield* store.set("count", "0")
      yield* stage.arm({ add })
      yield* add
      yield* stage.disarm
      return Number(yield* store.get("count")) === updates
    }).pipe(Effect.provide(KeyValueStore.layerMemory)),
  { actions: [["add"]], invariant: (isExact) => isExact || "an update is lost" }
)

const clearing = piece(
  ["KeyValueStore", "`clearPrefix` of three keys", "all of them are there, or none"],
  (stage) =>
    Effect.gen(function* () {
      const store = yield* KeyValueStore.KeyValueStore
      for (const key of ["a1", "a2", "a3", "b"]) yield* store.set(key, key)
      yield* stage.attack(store.clearPrefix("a"))
      return yield* store.keys
    }).pipe(Effect.provide(KeyValueStore.layerMemory)),
  { invariant: (keys) => ["a1,a2,a3,b", "b"].includes(keys.join()) || `left: ${keys}` }
)

const queues = PersistedQueue.layer.pipe(Layer.provide(PersistedQueue.layerStoreMemory))

const persisted = piece(
  ["PersistedQueue", "`take` with a handler", "an element is handled, or can be taken again"],
  (stage) =>
    Effect.gen(function* () {
      const queue = yield* PersistedQueue.make({ name: "mails", schema: Schema.String })
      const handled: Array<string> = []
      const handle = (mail: string) =>
        Effect.andThen(
          Effect.sleep(1),
          Effect.sync(() => void handled.push(mail))
        )
      yield* queue.offer("hello", { id: "1" })
      yield* stage.attack(queue.take(handle))
      if (handled.length === 0) yield* Effect.timeoutOption(queue.take(handle), "1 hour")
      return handled.length
    }).pipe(Effect.provide(queues)),
  { invariant: (count) => count > 0 || "the element is lost" }
)

const calls = RpcGroup.make(Rpc.make("hold", { success: Schema.String }))

const calling = piece(
  ["rpc", "a call through `RpcTest.makeClient`", "the handler is interrupted too, and the next call works"],
  (stage) =>
    Effect.suspend(() => {
      let held = 0
      const handlers = calls.toLayer({
        hold: () =>
          Effect.acquireUseRelease(
            Effect.sync(() => void held++),
            () => Effect.as(Effect.sleep("1 hour"), "done"),
            () => Effect.sync(() => void held--)
          )
      })
      return Effect.scoped(
        Effect.gen(function* () {
          const client = yield* RpcTest.makeClient(calls)
          yield* stage.attack(client.hold())
          yield* Effect.sleep("1 minute")
          const heldAfter = held
          const again = yield* Effect.timeoutOption(client.hold(), "2 hours")
          return { heldAfter, again: again._tag }
        })
      ).pipe(Effect.provide(handlers))
    }),
  {
    invariant: ({ again, heldAfter }) =>
      again === "None" ? "the next call hangs" : heldAfter === 0 || "the handler still runs"
  }
)

/**
 * Makes the digests for the ids of executions at once. Those of the platform come from its thread pool, which is not
 * part of a run.
 */
const digests = Layer.succeed(WebCrypto.WebCrypto, {
  subtle: {
    digest: (_: string, data: Uint8Array) =>
      Promise.resolve(new Uint8Array(createHash("sha256").update(data).digest()).buffer)
  }
} as unknown as typeof globalThis.crypto)

const Order = Workflow.make("Order", {
  payload: { id: Schema.String },
  idempotencyKey: ({ id }) => id,
  success: Schema.String
})

const executing = piece(
  ["workflow", "the fiber that executes a workflow", "executed again, it completes, and its activity ran once"],
  (stage) =>
    Effect.suspend(() => {
      let charges = 0
      const charge = Activity.make({
        name: "charge",
        success: Schema.String,
        execute: Effect.andThen(
          Effect.sleep(5),
          Effect.sync(() => `charge ${++charges}`)
        )
      })
      const engine = Order.toLayer(() => charge).pipe(
        Layer.provideMerge(WorkflowEngine.layerMemory),
        Layer.provideMerge(digests)
      )
      return Effect.gen(function* () {
        const victim = yield* stage.victim(Order.execute({ id: "1" }))
        yield* Fiber.await(victim)
        yield* stage.disarm
        const again = yield* Effect.timeoutOption(Order.execute({ id: "1" }), "1 hour")
        return { again: again._tag, charges }
      }).pipe(Effect.provide(engine))
    }),
  {
    isAsync: true,
    invariant: ({ again, charges }) =>
      again === "None" ? "it hangs when it is executed again" : charges === 1 || `its activity ran ${charges} times`
  }
)

/** Explorations of services. */
export const services: ReadonlyArray<Piece> = [modifying, clearing, persisted, calling, executing]
