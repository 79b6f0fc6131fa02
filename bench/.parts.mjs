const [Effect, Exit, Layer, ManagedRuntime, Scope, Stream, Cause] = await Promise.all(["Effect", "Exit", "Layer", "ManagedRuntime", "Scope", "Stream","Cause"].map((m) => import(`effect/${m}`)))
const Agent = await import("@spindle/core/Agent"); const { Journal } = await import("@spindle/core/ports/Journal"); const { Model } = await import("@spindle/core/ports/Model"); const { Session } = await import("@spindle/core/Session"); const Task = await import("@spindle/core/Task")
const finish = { _tag: "Finish", reason: "stop", usage: { input: 1, cachedInput: 0, output: 1, reasoning: 0, total: 2 } }
const D = Array.from({ length: 20 }, (_, i) => ({ _tag: "TextDelta", id: "t", delta: `tok${i} ` }))
async function* play() { for (const d of D) yield d }
const mk = (stream) => Layer.succeed(Model, { provider: "s", model: "b", contextWindow: undefined, stream })
const models = { chunk: () => Stream.fromIterable([...D, finish]), async: () => Stream.concat(Stream.fromAsyncIterable(play(), (e) => e), Stream.succeed(finish)),
 pull: () => { const it = play(); let done = false; return Stream.fromPull(Effect.succeed(Effect.suspend(() => done ? Cause.done() : Effect.map(Effect.promise(() => it.next()), (r) => { if (r.done) { done = true; return [finish] } return [r.value] })))) } }
const agent = Agent.make({})
const time = async (name, f, n = 1500) => { let best = Infinity; for (let r = 0; r < 8; r++) { const t = performance.now(); for (let i = 0; i < n; i++) await f(); best = Math.min(best, (performance.now() - t) / n * 1000) } console.log(name.padEnd(40), best.toFixed(1)) }
for (const [k, m] of Object.entries(models)) {
  const rt = ManagedRuntime.make(Layer.mergeAll(mk(m), Journal.layerMemory({ retainCount: 64, retainClosed: false })))
  const scope = Scope.makeUnsafe()
  await rt.runPromise(Effect.void)
  if (k === "chunk") {
    await time("runPromise void", () => rt.runPromise(Effect.void))
    await time("make+close", () => rt.runPromise(Effect.scoped(Session.make(agent))))
    await time("make+close+task", () => rt.runPromise(Effect.scoped(Effect.flatMap(Session.make(agent), (s) => Effect.flatMap(s.start(Task.make("x", Effect.void)), (r) => r.outcome)))))
  }
  await time(k + " stream alone", () => rt.runPromise(Stream.runForEachArray(m(), () => Effect.void)))
  await time(k + " turn no events", () => rt.runPromise(Effect.scoped(Effect.flatMap(Session.make(agent), (s) => Effect.andThen(s.submit({ _tag: "UserInput", input: [{ _tag: "Text", text: "hi" }] }), s.awaitIdle)))))
  await time(k + " turn with events", () => rt.runPromise(Effect.scoped(Effect.flatMap(Session.make(agent), (s) => Effect.andThen(s.submit({ _tag: "UserInput", input: [{ _tag: "Text", text: "hi" }] }), s.events().pipe(Stream.takeUntil((e) => e._tag === "TurnCompleted"), Stream.runForEachArray(() => Effect.void)))))))
}
process.exit(0)
