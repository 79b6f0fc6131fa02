import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Attended from "../fixtures/attended.ts"
import { asking, command, journals, recordsOf, world } from "../fixtures/program.ts"
import { grandchildTurns, spawn, wait } from "../fixtures/agents.ts"

const args = ["exec", ...asking, "-c", "features.multi_agent=true", "-c", "agents.max_depth=3", "go"]

const isLinux = process.platform === "linux"

describe.runIf(isLinux)("exec with agents, at a terminal", () => {
  it.live("A3 a grandchild's approval is answered at the prompt, while the tree is shown", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const at = yield* world({
          turns: grandchildTurns(command("until [ -e go ]; do sleep 0.05; done; echo made > made"))
        })
        const terminal = yield* Attended.start(at, args)
        yield* terminal.shows(/\? Run this command\? \(asked by Ada › Alan\)/)
        yield* terminal.shows(/\[y\] once/)
        assert.isFalse(Fs.existsSync(Path.join(at.cwd, "made")))
        yield* terminal.type("y")
        yield* terminal.shows(/ wait for agents · \d+ s · .* · Ada waits for Alan, Alan works · Ctrl-C stops/)
        Fs.writeFileSync(Path.join(at.cwd, "go"), "")
        yield* terminal.shows(/✓ done · [^✓]* in total[^✓]*session /)
        assert.strictEqual((yield* terminal.ended).code, 0)
        assert.strictEqual(Fs.readFileSync(Path.join(at.cwd, "made"), "utf8"), "made\n")
        const text = terminal.text()
        for (const line of [
          /↳ Ada starts\r\n/,
          /• start an agent: child task\r\n {2}as Ada\r\n/,
          / {2}↳ Alan starts\r\n/,
          / {2}→ allowed once\r\n/,
          / {2}✓ Alan is done after .*: grandchild done\r\n/,
          /✓ Ada is done after .*: child done\r\n/,
          /• wait for Ada\r\n/
        ]) {
          assert.match(text, line)
        }
      })
    )
  )

  it.live("A2 D1 Ctrl-C while a grandchild asks stops the whole tree, and the question with it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const at = yield* world({ turns: grandchildTurns(command("echo made > made")) })
        const terminal = yield* Attended.start(at, args)
        yield* terminal.shows(/\[y\] once/)
        yield* terminal.type("\x03")
        assert.strictEqual((yield* terminal.ended).code, 130)
        assert.isFalse(Fs.existsSync(Path.join(at.cwd, "made")))
        assert.include(terminal.text(), "spindle exec resume")
        const records = journals(at.home).map((file) => recordsOf(file))
        assert.lengthOf(records, 3)
        assert.deepStrictEqual(
          records.map((all) => all.findLast((record) => record._tag === "TurnAborted")?.reason).toSorted(),
          ["Interrupted", "Parent", "Parent"]
        )
        // opened and cancelled at each level, and never refused
        for (const all of records) {
          const settled = all.filter((record) => record._tag === "QuestionSettled")
          assert.deepStrictEqual(
            settled.map(({ decision }) => decision),
            [{ _tag: "Cancelled", by: "abort" }]
          )
        }
      })
    )
  )

  it.live("A3 D7 a detached agent asks while the turn of the session keeps running, and its answer reaches it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const at = yield* world({
          turns: [
            { match: { lastUser: "watch" }, events: [command("echo seen > seen")] },
            { match: { lastUser: "watch" }, events: [{ text: "watched" }] },
            { events: [spawn("watch", { detached: true })] },
            { events: [wait] },
            { repeat: true, events: [{ text: "all done" }] }
          ]
        })
        const terminal = yield* Attended.start(at, args)
        yield* terminal.shows(/↳ Ada starts, detached from this turn/)
        yield* terminal.shows(/\[y\] once/)
        yield* terminal.type("y")
        assert.strictEqual((yield* terminal.ended).code, 0)
        assert.isTrue(Fs.existsSync(Path.join(at.cwd, "seen")))
        const asked = journals(at.home).flatMap((file) =>
          recordsOf(file).filter(({ _tag }) => _tag === "QuestionOpened")
        )
        assert.lengthOf(asked, 2)
        assert.strictEqual(new Set(asked.map(({ questionId }) => questionId)).size, 1)
        assert.lengthOf(
          asked.filter(({ turnId }) => turnId === undefined),
          1
        )
      })
    )
  )
})
