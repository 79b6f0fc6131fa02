// node --conditions=spindle-source scripts/codeCache.mjs
// Runs a turn of the bundle, with a command and a patch, against a scripted model on loopback, and writes what V8 has compiled for it next to the
// bundle (compiled.mjs). The turn is short, because V8 drops code that a later garbage collection finds unused.
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as ResponsesServer from "@spindle/testing/ResponsesServer"
import * as Effect from "effect/Effect"

const root = mkdtempSync(join(tmpdir(), "spindle-build-"))
const patch = "*** Begin Patch\n*** Add File: a.txt\n+a\n*** End Patch\n"
const turns = [
  { events: [{ reasoning: "a" }, { call: "exec_command", args: { cmd: "exit" } }] },
  {
    events: [
      { text: "b", chunks: 2 },
      { custom: "apply_patch", input: patch }
    ]
  },
  { events: [{ text: "c", chunks: 2 }] }
]

const runTurn = (baseUrl) =>
  Effect.callback((resume) => {
    const home = join(root, "home")
    mkdirSync(home)
    writeFileSync(
      join(home, "config.toml"),
      `model = "scripted"\nmodel_provider = "scripted"\n[model_providers.scripted]\nbase_url = "${baseUrl}"\n`
    )
    const program = fileURLToPath(new URL("compiled.mjs", import.meta.url))
    const args = ["exec", "--json", "--sandbox", "danger-full-access", "--cd", root, "a"]
    // without the settings of the developer's own program: no key, no collector, no caller
    const isTheirs = ([name]) => /^(SPINDLE|CODEX|OPENAI|OTEL|TRACE)/i.test(name)
    const env = Object.fromEntries(Object.entries(process.env).filter((one) => !isTheirs(one)))
    env.SPINDLE_HOME = home
    let said = ""
    const child = spawn(process.execPath, [program, ...args], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 60_000
    })
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (said += bytes))
    child.on("close", (code, signal) =>
      resume(
        code === 0
          ? Effect.void
          : Effect.die(new Error(`cannot make the code cache: the turn ended with ${code ?? signal}\n${said}`))
      )
    )
  })

await Effect.gen(function* () {
  const { baseUrl } = yield* ResponsesServer.make({ turns })
  yield* runTurn(baseUrl)
}).pipe(
  Effect.scoped,
  Effect.ensuring(Effect.sync(() => rmSync(root, { recursive: true, force: true }))),
  Effect.runPromise
)
