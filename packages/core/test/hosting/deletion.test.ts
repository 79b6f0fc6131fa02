/** What is left of a session that was deleted: nothing, in its files and in the stores of the application. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import { SessionId } from "@spindle/core/Ids"
import { Journal, layerMemory } from "@spindle/core/Journal"
import * as JournalFile from "@spindle/core/JournalFile"
import * as Op from "@spindle/core/Op"
import * as Sessions from "@spindle/core/Sessions"
import * as SessionStores from "@spindle/core/SessionStores"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Context, Effect, Exit, Fiber, Layer, Queue, Scope } from "effect"
import { TestClock } from "effect/testing"
import { temporaryDirectory } from "../fixtures/directories.ts"

const parentId = SessionId.make("parent")
const childId = SessionId.make("child")
const grandchildId = SessionId.make("grandchild")
const otherId = SessionId.make("other")

/** A store that has one file for each session. */
const outputsIn = (directory: string): SessionStores.SessionStore => ({
  name: "outputs",
  delete: (sessionId) => Effect.sync(() => rmSync(join(directory, `${sessionId}.out`), { force: true }))
})

/** `Sessions` with file journals, of which each store is part, and a directory with an output of each session. */
const make = Effect.fnUntraced(function* (stores: ReadonlyArray<SessionStores.SessionStore> = []) {
  const directory = yield* temporaryDirectory
  const [journals, outputs] = [join(directory, "journals"), join(directory, "outputs")]
  mkdirSync(outputs)
  const storing = [outputsIn(outputs), ...stores].reduce<Layer.Layer<never>>(
    (layers, store) => Layer.provideMerge(SessionStores.layer(store), layers),
    Layer.empty
  )
  const model = ScriptedModel.make(() => [ScriptedModel.text("done")]).layer
  const shared = Layer.mergeAll(model, JournalFile.layer({ directory: journals }), storing).pipe(
    Layer.provide(NodeServices.layer)
  )
  const context = yield* Layer.build(Layer.provideMerge(Sessions.layer(Agent.make({})), shared))
  const sessions = Context.get(context, Sessions.Sessions)
  /** Makes a session with a turn and an output. */
  const create = Effect.fnUntraced(function* (sessionId: SessionId, meta: { readonly [key: string]: string } = {}) {
    const session = yield* sessions.create({ sessionId, meta })
    yield* session.submit(Op.userInput("hi"))
    yield* session.awaitIdle
    writeFileSync(join(outputs, `${sessionId}.out`), "secret")
    yield* sessions.close(sessionId)
  })
  const files = () =>
    [journals, outputs]
      .flatMap((path) => readdirSync(path, { recursive: true, encoding: "utf8" }))
      .filter((name) => /\.(?!d$)/.test(name))
      .map((name) => name.slice(name.lastIndexOf("/") + 1))
  const hasOutput = (sessionId: SessionId) => existsSync(join(outputs, `${sessionId}.out`))
  return { context, create, files, hasOutput, journal: Context.get(context, Journal), sessions }
})

/** Records in a journal that its session has started another. */
const recordChild = (journal: Journal, sessionId: SessionId, delegateId: SessionId) =>
  Effect.scoped(
    Effect.flatMap(journal.open(sessionId, "existing"), ({ append, opened }) =>
      append([
        {
          _tag: "DelegateStarted",
          seq: opened.records.at(-1)!.seq + 1,
          at: 0,
          turnId: "turn" as never,
          delegateId,
          name: "Ada",
          linked: true,
          depth: 1
        }
      ])
    )
  )

const tree = Effect.fnUntraced(function* (stores?: ReadonlyArray<SessionStores.SessionStore>) {
  const hosted = yield* make(stores)
  yield* hosted.create(grandchildId, { parent: childId })
  yield* hosted.create(childId, { parent: parentId })
  yield* recordChild(hosted.journal, childId, grandchildId)
  yield* hosted.create(parentId)
  yield* recordChild(hosted.journal, parentId, childId)
  return hosted
})

describe("delete", () => {
  it.live(
    "J9 removes the journal, the child sessions and what stores keep of them, and nothing of other sessions",
    () =>
      Effect.gen(function* () {
        const { create, files, hasOutput, sessions } = yield* tree()
        yield* create(otherId)
        const others = files().filter((name) => name.includes(otherId))
        yield* sessions.delete(parentId)
        assert.isTrue(hasOutput(otherId))
        assert.deepStrictEqual(files().sort(), others.sort())
      }).pipe(Effect.scoped)
  )

  it.live("J9 removes an archived session, and a child session that a client has open", () =>
    Effect.gen(function* () {
      const { files, sessions } = yield* tree()
      const child = yield* sessions.open(childId)
      yield* sessions.archive(parentId)
      yield* sessions.delete(parentId)
      assert.deepStrictEqual(files(), [])
      assert.strictEqual((yield* child.submit(Op.userInput("more")))._tag, "Rejected")
    }).pipe(Effect.scoped)
  )

  it.live("J9 spares the child sessions of the source of a fork", () =>
    Effect.gen(function* () {
      const { hasOutput, journal, sessions } = yield* tree()
      const fork = yield* sessions.fork(parentId)
      yield* sessions.delete(fork.sessionId)
      assert.isTrue(hasOutput(childId))
      assert.lengthOf((yield* journal.load(childId)).records.slice(0, 1), 1)
    }).pipe(Effect.scoped)
  )

  it.live("J9 ends for journals that name each other as their parent", () =>
    Effect.gen(function* () {
      const { create, files, journal, sessions } = yield* make()
      yield* create(childId, { parent: parentId })
      yield* create(parentId, { parent: childId })
      yield* recordChild(journal, parentId, childId)
      yield* recordChild(journal, childId, parentId)
      yield* recordChild(journal, childId, childId)
      yield* sessions.delete(parentId)
      assert.deepStrictEqual(files(), [])
    }).pipe(Effect.scoped)
  )

  it.live("J9 without `Sessions` removes the same", () =>
    Effect.gen(function* () {
      const { context, files } = yield* tree()
      yield* Effect.provideContext(Sessions.deleteClosed(parentId), context)
      assert.deepStrictEqual(files(), [])
    }).pipe(Effect.scoped)
  )

  it.live("J9 is refused for a session that another `Sessions` has open, whose stores then keep everything", () =>
    Effect.gen(function* () {
      const { context, hasOutput, sessions } = yield* tree()
      yield* sessions.open(parentId)
      const error = yield* Effect.flip(Effect.provideContext(Sessions.deleteClosed(parentId), context))
      assert.strictEqual(error._tag, "SessionBusy")
      assert.isTrue(hasOutput(parentId))
    }).pipe(Effect.scoped)
  )

  it.live.each(["fails", "dies", "throws"] as const)(
    "J9 a store that %s keeps the journal, and the deletion can be repeated",
    (how) =>
      Effect.gen(function* () {
        let isBroken = true
        const broken: SessionStores.SessionStore = {
          name: "snapshots",
          delete: () => {
            if (!isBroken) return Effect.void
            if (how === "throws") throw new Error("no disk")
            return how === "fails" ? Effect.fail("no disk") : Effect.die(new Error("no disk"))
          }
        }
        const { create, files, hasOutput, journal, sessions } = yield* make([broken])
        yield* create(parentId)
        const error = yield* Effect.flip(sessions.delete(parentId))
        assert.strictEqual(error.message, "session parent was not deleted, because of its snapshots: no disk")
        // the other store has deleted its part, and the session cannot be opened
        assert.isFalse(hasOutput(parentId))
        assert.strictEqual((yield* Effect.flip(sessions.open(parentId)))._tag, "SessionNotFound")
        assert.lengthOf(yield* journal.archived, 1)
        isBroken = false
        yield* sessions.delete(parentId)
        assert.deepStrictEqual(files(), [])
      }).pipe(Effect.scoped)
  )

  it.effect("J9 S7 a store that hangs and cannot be interrupted blocks neither the deletion nor `Sessions`", () =>
    Effect.gen(function* () {
      const reached = yield* Queue.unbounded<void>()
      const hanging: SessionStores.SessionStore = {
        name: "snapshots",
        delete: () => Effect.andThen(Queue.offer(reached, undefined), Effect.uninterruptible(Effect.never))
      }
      const shared = Layer.mergeAll(ScriptedModel.make([]).layer, layerMemory(), SessionStores.layer(hanging))
      const scope = yield* Effect.flatMap(Effect.scope, Scope.fork)
      const context = yield* Layer.build(Layer.provide(Sessions.layer(Agent.make({})), shared)).pipe(
        Scope.provide(scope)
      )
      const sessions = Context.get(context, Sessions.Sessions)
      yield* sessions.create({ sessionId: parentId })
      const deleting = yield* Effect.forkChild(Effect.flip(sessions.delete(parentId)))
      yield* Queue.take(reached)
      yield* TestClock.adjust("1 minute")
      const error = yield* Fiber.join(deleting)
      assert.strictEqual(
        error.message,
        "session parent was not deleted, because of its snapshots: it took longer than a minute"
      )
      const again = yield* Effect.forkChild(sessions.delete(parentId))
      yield* Queue.take(reached)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(again)))
    }).pipe(Effect.scoped)
  )
})
