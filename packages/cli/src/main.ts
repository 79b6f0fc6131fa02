/**
 * The program: reads the command line, runs the command, exits.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as Settings from "@spindle/app/Settings"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as MutableRef from "effect/MutableRef"
import * as Result from "effect/Result"
import "effect/schema/SchemaJITCompiler/enable"
import * as Arguments from "./args/Arguments.ts"
import * as Help from "./args/Help.ts"
import { version } from "./args/Version.ts"
import { CliError } from "./commands/CliError.ts"
import * as ApplyPatch from "./commands/ApplyPatch.ts"
import * as Features from "./commands/Features.ts"
import * as Demo from "./commands/Demo.ts"
import * as Exec from "./commands/Exec.ts"
import * as Sandbox from "./commands/Sandbox.ts"
import * as Hooks from "./commands/Hooks.ts"
import * as SessionProcesses from "./commands/SessionProcesses.ts"
import * as Mcp from "./commands/Mcp.ts"
import * as Login from "./commands/Login.ts"
import * as Sessions from "./commands/Sessions.ts"
import * as Stdin from "./commands/stdin.ts"
import * as Tasks from "./commands/Tasks.ts"
import * as Trace from "./commands/Trace.ts"
import * as Interrupts from "./Interrupts.ts"
import * as KillNow from "./killNow.ts"
import * as Nohup from "./nohup.ts"
import * as Failures from "./output/failures.ts"
import * as Log from "./output/Log.ts"
import { refuseUnattended } from "./output/reasons.ts"

/** Runs the command line and returns the exit code. `onRunning` is called with the session, once it exists. */
const program = Effect.fnUntraced(function* (onRunning: Exec.ExecOptions["onRunning"]): Effect.fn.Return<number> {
  const parsed = Arguments.parse(process.argv.slice(2))
  if (Result.isFailure(parsed)) {
    Log.say(parsed.failure.message)
    return Help.exitCodes.usage
  }
  return yield* Effect.catch(Effect.catchDefect(execute(parsed.success, onRunning), withoutDirectory), (error) =>
    Effect.sync(() => {
      Log.say(Failures.textOf(error.message, Settings.home(places)))
      if (error._tag === "CliError") return error.exitCode
      return error._tag === "SettingsInvalid" ? Help.exitCodes.configuration : Help.exitCodes.failed
    })
  )
})

/** Turns the defect of a working directory that was removed into an error. Everything that needs the directory then throws. */
const withoutDirectory = (defect: unknown): Effect.Effect<never, CliError> => {
  const isMissing = (defect as { readonly syscall?: unknown } | undefined)?.syscall === "uv_cwd"
  if (!isMissing) return Effect.die(defect)
  const detail = "the working directory no longer exists; change to another one"
  return Effect.fail(new CliError({ detail, exitCode: Help.exitCodes.usage }))
}

const execute = Effect.fnUntraced(function* (command: Arguments.Command, onRunning: Exec.ExecOptions["onRunning"]) {
  switch (command._tag) {
    case "Help":
      process.stdout.write(Help.text(command.topic, process.stdout.isTTY === true ? process.stdout.columns || 80 : 80))
      return Help.exitCodes.ok
    case "Version":
      process.stdout.write(`spindle ${version}\n`)
      return Help.exitCodes.ok
    case "SessionsList":
      return yield* Sessions.list({ home: Settings.home(places), ...command })
    case "SessionsShow":
      return yield* Sessions.show({ home: Settings.home(places), ...command })
    case "SessionsArchive":
      return yield* Sessions.move({ home: Settings.home(places), id: command.id, to: "archive" })
    case "SessionsUnarchive":
      return yield* Sessions.move({ home: Settings.home(places), id: command.id, to: "list" })
    case "SessionsDelete":
      return yield* Sessions.remove({ home: Settings.home(places), id: command.id })
    case "HooksList":
      return yield* Hooks.list(yield* hooksOf)
    case "HooksTrust":
      return yield* Hooks.trust(yield* hooksOf)
    case "SessionsProcesses":
      return yield* SessionProcesses.run({ home: Settings.home(places), ...command })
    case "McpList":
      return yield* Mcp.list(places, command)
    case "McpAdd":
      return yield* Mcp.add(places, command.server)
    case "McpRemove":
      return yield* Mcp.remove(places, command.name)
    case "McpLogin":
      return yield* Mcp.login(places, command)
    case "McpLogout":
      return yield* Mcp.logout(places, command.name)
    case "FeaturesList":
      return yield* Features.list({ ...places, ...command.options, flags: command.options })
    case "Login":
      return yield* Login.withApiKey({ ...places, ...command })
    case "LoginStatus":
      return yield* Login.status({ ...places, ...command })
    case "Logout":
      return yield* Login.logout({ ...places, ...command })
    case "Trace":
      return yield* Trace.run({ home: Settings.home(places), cwd: process.cwd(), ...command })
    case "Demo": {
      const settings = yield* settingsOf("demo", command.options)
      return yield* Exec.run(Demo.prepare({ options: command.options, settings, example, onRunning }))
    }
    case "Undo": {
      const cwd = yield* directory(command.options.cwd)
      // an undo asks no model, so none has to be configured
      const settings = yield* settingsOf("demo", command.options)
      return yield* Exec.run(Tasks.undo({ ...command, settings, cwd, makeUnattended: refuseIn(settings), onRunning }))
    }
    case "Review": {
      const cwd = yield* directory(command.options.cwd)
      const settings = yield* settingsOf("exec", command.options)
      return yield* Exec.run(Tasks.review({ ...command, settings, cwd, makeUnattended: refuseIn(settings), onRunning }))
    }
    case "Exec": {
      const cwd = yield* directory(command.options.cwd)
      const settings = yield* settingsOf("exec", command.options)
      const prompt = yield* Stdin.promptOf(command.prompt, command.options.images.length > 0)
      const taskOfPerson = Tasks.shellTask(command, prompt)
      const makeUnattended = refuseIn(settings)
      return yield* Exec.run({ ...command, settings, cwd, prompt, taskOfPerson, makeUnattended, onRunning })
    }
    case "Sandbox": {
      const cwd = yield* directory(command.cwd)
      const settings = yield* Settings.load({ ...places, ...command, command: "sandbox", flags: command })
      return yield* Sandbox.run({ settings, cwd, env: places.env, command: command.words })
    }
    case "ApplyPatch":
      return yield* ApplyPatch.run(command)
    case "Doctor":
      return yield* Sandbox.check(Settings.home(places))
  }
})

/** Returns how questions are answered without a terminal, with a sandbox or without one. */
const refuseIn = (settings: Settings.Settings) => (isSandboxed: boolean) => refuseUnattended(settings, isSandboxed)

/** The project of the demo. It is in the package, next to the folder of this module and of the bundle. */
const example = fileURLToPath(new URL("../example", import.meta.url))

const places = { env: process.env, homeDirectory: Os.homedir() }

const settingsOf = (command: "exec" | "demo", options: Arguments.TurnOptions) =>
  Settings.load({
    ...places,
    command,
    config: options.config,
    isStrict: options.strictConfig,
    flags: {
      model: options.model,
      approvalPolicy: options.approvalPolicy,
      sandboxMode: options.sandboxMode,
      addedDirectories: options.addedDirectories.map((one) => Path.resolve(one)),
      telemetry: options.telemetry,
      features: options.features
    }
  })

/** The settings without a model: hooks can be listed before there is one. */
const hooksOf = Effect.map(Settings.load({ ...places, command: "demo", config: [], flags: {} }), (settings) => ({
  settings,
  cwd: process.cwd()
}))

const directory = (named: string | undefined): Effect.Effect<string, CliError> =>
  Effect.suspend(() => {
    const path = Path.resolve(named ?? ".")
    const found = Fs.statSync(path, { throwIfNoEntry: false })
    if (found?.isDirectory() === true) return Effect.succeed(path)
    const detail = found === undefined ? `the directory ${path} does not exist` : `${path} is not a directory`
    return Effect.fail(new CliError({ detail, exitCode: Help.exitCodes.usage }))
  })

/** Runs the program. A signal acts on its session, from the moment when the session exists. */
const start = (): void => {
  const running = MutableRef.make<Exec.Running | undefined>(undefined)
  const onRunning = (now: Exec.Running) => void MutableRef.set(running, now)
  Interrupts.run(Log.toStderr(program(onRunning)), {
    ignored: Nohup.isNohup(Nohup.readSigns()) ? ["SIGHUP"] : [],
    onInterrupt: (signal) =>
      Effect.suspend(() => {
        const now = MutableRef.get(running)
        if (now === undefined) return Effect.void
        const { finish, session } = now
        return Effect.flatMap(session.abort("Interrupted"), (stopped) =>
          Effect.andThen(session.awaitIdle, finish(signal, stopped))
        )
      }).pipe(Log.toStderr),
    killNow: () => {
      const now = MutableRef.get(running)
      if (now === undefined) return
      now.restore()
      KillNow.run(now.killTargets())
    },
    onOutputFailed: (error) => Log.say(`cannot write to standard output: ${Failures.reasonOf(error)}`),
    onDefect: (cause) => Log.say(`unexpected: ${Cause.pretty(cause)}`)
  })
}

Log.moveConsole()
start()
