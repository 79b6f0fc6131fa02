import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Exit } from "effect"
import { type Ids, Local, Turn } from "@spindle/core"
import * as Grants from "../../src/internal/project/grants.ts"
import { Permissions, ProjectTools, SandboxPolicy } from "../../src/index.ts"
import * as RequestPermissions from "../../src/project/RequestPermissions.ts"
import * as RequestUserInput from "../../src/project/RequestUserInput.ts"
import { directory } from "../host.ts"
import { makeTurn } from "./turn.ts"

const question = {
  id: "colour",
  header: "Colour",
  question: "Which colour?",
  options: [
    { label: "Red", description: "warm" },
    { label: "Blue", description: "cold" }
  ]
}

const askUser = (answer: Turn.Answer, questions: RequestUserInput.Parameters["questions"] = [question]) => {
  const { asked, turn } = makeTurn(answer)
  const result = Effect.provideService(RequestUserInput.run({ questions }, "c1"), Turn.Turn, turn)
  return { asked, result }
}

describe("request_user_input", () => {
  it.effect("asks once, and returns the answers to its own questions as data", () =>
    Effect.gen(function* () {
      const { asked, result } = askUser({
        _tag: "Answered",
        answers: { colour: { answers: ["Blue"] }, unknown: { answers: ["x"] } }
      })
      assert.strictEqual(yield* result, '{"answers":{"colour":{"answers":["Blue"]}}}')
      assert.deepStrictEqual(asked, [
        {
          kind: "question",
          tool: "request_user_input",
          callId: "c1" as Ids.CallId,
          payload: { questions: [{ ...question, isOther: true, isSecret: false }] },
          keys: []
        }
      ])
    })
  )

  it.effect("returns no answers if none came, fails if it is refused, and ends with its turn", () =>
    Effect.gen(function* () {
      const textOf = (answer: Turn.Answer) => Effect.map(Effect.flip(askUser(answer).result), ({ message }) => message)
      assert.strictEqual(yield* askUser({ _tag: "Answered", answers: {} }).result, '{"answers":{}}')
      assert.strictEqual(
        yield* textOf({ _tag: "Denied", reason: "no terminal to ask at" }),
        "The request was refused: no terminal to ask at"
      )
      assert.strictEqual(yield* textOf({ _tag: "Cancelled", by: "deadline" }), "Nobody answered in time.")
      assert.strictEqual(yield* textOf({ _tag: "Approved", scope: "once" }), "The user gave no answer.")
      for (const answer of [{ _tag: "Abort" }, { _tag: "Cancelled", by: "abort" }] as const) {
        assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(askUser(answer).result)))
      }
    })
  )

  it.effect("does not ask questions without a meaning", () =>
    Effect.gen(function* () {
      const problemOf = (questions: RequestUserInput.Parameters["questions"]) => {
        const { asked, result } = askUser({ _tag: "Answered", answers: {} }, questions)
        return Effect.map(Effect.flip(result), ({ message }) => {
          assert.deepStrictEqual(asked, [])
          return message.replace("The user was not asked: ", "")
        })
      }
      assert.strictEqual(yield* problemOf([]), "give 1 to 3 questions.")
      assert.strictEqual(yield* problemOf([question, question]), "two questions have the same id.")
      assert.strictEqual(yield* problemOf([{ ...question, question: " " }]), "a question has no id or no text.")
      assert.strictEqual(yield* problemOf([{ ...question, options: [] }]), "each question needs options with labels.")
    })
  )
})

const turnId = (id: string) => id as Ids.TurnId

const askPermissions = (cwd: string, permissions: Permissions.Permissions, answer: Turn.Answer) => {
  const made = makeTurn(answer)
  const turn: Turn.Turn = { ...made.turn, turnId: turnId("t1") }
  const result = RequestPermissions.run({ reason: "why", permissions }, "c1", { cwd }).pipe(
    Effect.provideService(Turn.Turn, turn),
    Effect.provide(NodeServices.layer)
  )
  return { ...made, turn, result }
}

describe("request_permissions", () => {
  it.effect("grants what was asked, for the turn or for the session", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      mkdirSync(join(cwd, "out"))
      symlinkSync("out", join(cwd, "link"))
      const wanted = { network: { enabled: true }, file_system: { write: ["link"] } }
      const granted = { network: { enabled: true }, file_system: { write: [join(cwd, "out")] } }
      for (const scope of ["turn", "session"] as const) {
        const { asked, recorded, result, turn } = askPermissions(cwd, wanted, { _tag: "Approved", scope })
        assert.deepStrictEqual(JSON.parse(yield* result), { permissions: granted, scope })
        const less = [
          { label: "only the network", permissions: { network: granted.network } },
          { label: `only to write ${join(cwd, "out")}`, permissions: { file_system: granted.file_system } }
        ]
        assert.deepStrictEqual(asked[0]?.payload, { reason: "why", permissions: granted, less })
        assert.deepStrictEqual(recorded, [])
        const later = { ...turn, turnId: turnId("t2"), locals: new Local.Locals() }
        const grant = { network: true, hosts: [], write: [join(cwd, "out")] }
        assert.deepStrictEqual(Grants.of(turn), grant)
        assert.deepStrictEqual(Grants.of(later), scope === "session" ? grant : { network: false, hosts: [], write: [] })
      }
    })
  )

  it.effect("grants less than was asked, and never more", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      mkdirSync(join(cwd, "a/b"), { recursive: true })
      const wanted = { network: { enabled: true }, file_system: { write: ["a"] } }
      const grantOf = (permissions: unknown) => {
        const { result, turn } = askPermissions(cwd, wanted, { _tag: "Approved", scope: "turn", permissions })
        return Effect.map(result, () => Grants.of(turn))
      }
      const inside = { file_system: { write: [join(cwd, "a/b"), cwd, "/"] } }
      assert.deepStrictEqual(yield* grantOf(inside), { network: false, hosts: [], write: [join(cwd, "a/b")] })
      assert.deepStrictEqual(yield* grantOf({ network: { enabled: true } }), { network: true, hosts: [], write: [] })
      const climbing = { file_system: { write: [join(cwd, "a") + "/../../etc"] } }
      assert.deepStrictEqual(yield* grantOf(climbing), Permissions.none)
      const host = { network: { hosts: ["a.example", "no host"] } }
      assert.deepStrictEqual(yield* grantOf(host), { network: false, hosts: ["a.example"], write: [] })
      assert.deepStrictEqual(yield* grantOf({}), { network: false, hosts: [], write: [] })
      assert.deepStrictEqual(yield* grantOf("everything"), { network: false, hosts: [], write: [] })
    })
  )

  it.effect("A4 grants some of the hosts that were asked for", () =>
    Effect.gen(function* () {
      const wanted = { network: { hosts: ["*.a.example", "b.example"] } }
      const less = { network: { enabled: true, hosts: ["x.a.example", "c.example"] } }
      const { asked, recorded, result, turn } = askPermissions("/", wanted, {
        _tag: "Approved",
        scope: "session",
        permissions: less
      })
      assert.deepStrictEqual(JSON.parse(yield* result), {
        permissions: { network: { hosts: ["x.a.example"] } },
        scope: "session"
      })
      const part = (host: string) => ({ label: `only ${host}`, permissions: { network: { hosts: [host] } } })
      const parts = [part("*.a.example"), part("b.example")]
      assert.deepStrictEqual(asked[0]?.payload, { reason: "why", permissions: wanted, less: parts })
      assert.deepStrictEqual(
        recorded.map(({ permissions }) => permissions),
        [{ network: { hosts: ["x.a.example"] } }]
      )
      assert.deepStrictEqual(Grants.of(turn), { network: false, hosts: ["x.a.example"], write: [] })
    })
  )

  it.effect("does not ask for nothing, or for what is no directory", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      writeFileSync(join(cwd, "file"), "")
      const problemOf = (permissions: Permissions.Permissions) => {
        const { asked, result } = askPermissions(cwd, permissions, { _tag: "Approved", scope: "turn" })
        return Effect.map(Effect.flip(result), ({ message }) => {
          assert.deepStrictEqual(asked, [])
          return message.replace("The user was not asked: ", "")
        })
      }
      assert.strictEqual(yield* problemOf({ network: { enabled: false } }), "the request has no permission.")
      assert.strictEqual(yield* problemOf({ network: { hosts: ["a/b"] } }), "a/b is not a host or *.DOMAIN.")
      assert.strictEqual(yield* problemOf({ file_system: { write: ["no"] } }), "cannot use no: it does not exist")
      assert.strictEqual(
        yield* problemOf({ file_system: { write: ["file"] } }),
        "cannot use file: it is not a directory"
      )
    })
  )

  it.effect("A4 does not ask for what the context of the agent does not allow", () =>
    Effect.gen(function* () {
      const { asked, result, turn } = askPermissions("/", { network: { enabled: true } }, { _tag: "Denied" })
      const failed = yield* Effect.flip(SandboxPolicy.confine(result, SandboxPolicy.readOnly))
      assert.strictEqual(failed.message, "The user was not asked: this agent may not leave its sandbox.")
      assert.deepStrictEqual([asked, Grants.of(turn)], [[], Permissions.none])
    })
  )

  it.effect("fails if it is refused", () =>
    Effect.gen(function* () {
      const { result, turn } = askPermissions("/", { network: { enabled: true } }, { _tag: "Denied" })
      assert.strictEqual((yield* Effect.flip(result)).message, "The request was refused: rejected by user")
      assert.deepStrictEqual(Grants.of(turn), { network: false, hosts: [], write: [] })
    })
  )

  it("widens the sandbox, and keeps what is protected", () => {
    const grant = { network: true, hosts: [], write: ["/out"] }
    assert.deepStrictEqual(Permissions.widen(SandboxPolicy.readOnly, grant, ["/home/x/.spindle"]), {
      _tag: "WorkspaceWrite",
      roots: ["/out"],
      scratch: [],
      protectedPaths: ["/home/x/.spindle"],
      network: true
    })
    const workspace = {
      _tag: "WorkspaceWrite",
      roots: ["/w"],
      scratch: [],
      protectedPaths: [],
      network: false
    } as const
    assert.deepStrictEqual(Permissions.widen(workspace, grant, []), {
      ...workspace,
      roots: ["/w", "/out"],
      network: true
    })
    assert.deepStrictEqual(Permissions.widen(SandboxPolicy.readOnly, { network: true, hosts: [], write: [] }, []), {
      _tag: "ReadOnly",
      network: true
    })
    const hosts = { ...Permissions.none, hosts: ["a.example"] }
    assert.deepStrictEqual(Permissions.widen(SandboxPolicy.readOnly, hosts, []), {
      _tag: "ReadOnly",
      network: { _tag: "Hosts", allowed: ["a.example"], denied: [] }
    })
    const listed = { _tag: "ReadOnly", network: { _tag: "Hosts", allowed: [], denied: ["b.example"] } } as const
    assert.deepStrictEqual(Permissions.widen(listed, { ...Permissions.none, network: true }, []), {
      _tag: "ReadOnly",
      network: { _tag: "Hosts", allowed: ["*"], denied: ["b.example"] }
    })
    assert.strictEqual(Permissions.widen(SandboxPolicy.fullAccess, grant, []), SandboxPolicy.fullAccess)
    assert.strictEqual(ProjectTools.policies.request_permissions.approval, "allow")
  })
})
