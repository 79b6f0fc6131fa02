// What a person sees at a terminal of 20, 40 and 80 columns. The screens are kept in `screens`; `SCREENS=write` writes them.
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Attended from "../fixtures/attended.ts"
import { asking, command, run, world } from "../fixtures/program.ts"
import * as Screen from "../fixtures/screen.ts"

const build = "for n in 1 2 3 4 5 6 7; do echo line $n; done; until [ -e go ]; do sleep 0.05; done\n"
const slow = { call: "exec_command", args: { cmd: "sh build.sh", login: false, yield_time_ms: 30_000 }, callId: "c1" }
const script = {
  turns: [
    { events: [slow, { gate: "second call" }, command("touch made", "c2")] },
    { events: [command("rm made", "c3")] },
    { events: [command("rm -r .", "c4")] },
    { events: [{ text: "The files are as you left them." }] }
  ]
}

const spinner = /^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] /
const times = /\b\d+(?:\.\d)? s\b|\b\d+ min \d+ s\b/g

/** Replaces what differs between two runs. */
const normalized = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines
    .map((line) => (spinner.test(line) ? `⠿ ${line.slice(2).replace(/ · .*/, " · …")}` : line))
    .join("\n")
    .replace(/directory:[^]*?(?=\napproval:)/, "directory: (the directory)")
    .replaceAll(/cwd:[^]*?(?=\n {4}reason:)/g, "cwd: (the directory)")
    .replace(/(?<=session\s)[0-9a-f-]{8}[0-9a-f-\s]*$/, "(the id)")
    .replaceAll(times, "0.0 s")
    .split("\n")
    .map((line) => line.trimEnd())

/** How long a screen, and all of them, may take on a machine that is busy. */
const limit = "100 seconds"
const testLimit = 1_200_000

describe.runIf(process.platform === "linux")("the screens of exec", () => {
  for (const columns of [20, 40, 80]) {
    it.live(
      `fit into ${columns} columns, and what is redrawn leaves nothing behind`,
      () =>
        Effect.scoped(
          Effect.gen(function* () {
            const at = yield* world(script)
            Fs.writeFileSync(Path.join(at.cwd, "build.sh"), build)
            const terminal = yield* Attended.start(at, ["exec", ...asking, "go"], columns)
            const screens: Array<string> = []
            const keep = (title: string, lines: ReadonlyArray<string>) =>
              void screens.push(`=== ${title}`, ...lines, "")
            let seen: ReadonlyArray<string> = []
            const until = Effect.fnUntraced(function* (end: RegExp) {
              for (;;) {
                const text = terminal.text()
                seen = yield* Screen.linesOf(text, columns)
                if (end.test(seen.join("\n"))) return
                yield* terminal.grows(text.length)
              }
            })
            /** Waits until the screen ends with this, and keeps it. */
            const shows = (title: string, end: RegExp) =>
              until(end).pipe(
                Effect.timeoutOrElse({
                  duration: limit,
                  orElse: () => Effect.die(new Error(`${title}: not ${String(end)}, but\n${seen.join("\n")}`))
                }),
                Effect.map(() => keep(title, normalized(seen).slice(-24)))
              )
            const choices = String.raw`\n[^$]*(?:\[y\]|y) once[^$]*(?:stop|d/q) $`
            yield* shows("a header and a question", new RegExp(String.raw`\$ sh build\.sh${choices}`))
            yield* terminal.type("y")
            yield* shows("a running command", /once\n {2}line 3\n[^$]*line 7\n\S sh build\.sh · [^\n]*(?:stops|…)$/)
            yield* at.server.openGate("second call")
            yield* shows(
              "a question while a command runs",
              new RegExp(String.raw`\$ sh build\.sh\n  line 3\n[^$]*line 7${choices}`)
            )
            yield* terminal.type("p")
            yield* shows(
              "an answer that allows a prefix",
              /rule\n\$ sh build\.sh\n[^$]*line 7\n\S sh build\.sh and [^\n]*(?:stops|…)$/
            )
            Fs.writeFileSync(Path.join(at.cwd, "go"), "")
            yield* shows("the next question", new RegExp(String.raw`\$ rm made${choices}`))
            yield* terminal.type("d")
            yield* shows("the line for what to do instead", /Do this instead:\s+$/)
            yield* terminal.type("keep it")
            yield* shows("what to do instead", /Do this instead:\s+keep it$/)
            yield* terminal.type("\r")
            yield* shows("its answer", new RegExp(String.raw`\$ rm -r \.${choices}`))
            yield* terminal.type("\x1b")
            assert.strictEqual((yield* terminal.ended).code, 0)
            const last = yield* Screen.linesOf(terminal.text(), columns)
            keep("all of it, with a refusal by Escape and a footer", normalized(last))
            const file = fileURLToPath(new URL(`screens/${columns}.txt`, import.meta.url))
            const text = screens.join("\n")
            if (process.env["SCREENS"] === "write") Fs.writeFileSync(file, text)
            assert.strictEqual(text, Fs.readFileSync(file, "utf8"))
            assert.isFalse(last.some((line) => spinner.test(line) || /^ *\[?y\]? once|^ *y\//.test(line)))
          })
        ),
      testLimit
    )
  }

  it.live("of a session that continues elsewhere fit into 20 columns, broken between words", () =>
    Effect.gen(function* () {
      const at = yield* world({ fallback: { events: [{ text: "done" }] } })
      const there = Path.join(at.cwd, "elsewhere")
      Fs.mkdirSync(there)
      assert.strictEqual((yield* run(at, ["exec", "go"])).code, 0)
      const again = ["exec", "resume", "--last", "--all", "go"]
      const terminal = yield* Attended.start({ ...at, cwd: there }, again, 20)
      yield* terminal.shows(/\[n\] no/)
      yield* terminal.type("n")
      assert.strictEqual((yield* terminal.ended).code, 1)
      const lines = yield* Screen.linesOf(terminal.text(), 20)
      const text = lines.join(" ")
      for (const words of [
        "spindle: this session worked in ",
        "? Continue here?   [y] yes  [n] no ",
        " was not resumed; "
      ]) {
        assert.include(text, words)
      }
    })
  )
})
