import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { type Command, parse } from "../../src/args/Arguments.ts"
import { topics } from "../../src/args/Flags.ts"
import * as Help from "../../src/args/Help.ts"

const ok = (...argv: ReadonlyArray<string>): Command => {
  const result = parse(argv)
  if (Result.isFailure(result)) throw new Error(`${argv.join(" ")}: ${result.failure.message}`)
  return result.success
}
const refused = (...argv: ReadonlyArray<string>): string => {
  const result = parse(argv)
  if (Result.isSuccess(result)) throw new Error(`${argv.join(" ")} was accepted`)
  assert.notInclude(result.failure.message, "\n")
  return result.failure.message
}
const exec = (...argv: ReadonlyArray<string>) => {
  const command = ok(...argv)
  if (command._tag !== "Exec") throw new Error(`${argv.join(" ")} is ${command._tag}`)
  return command
}

describe("parse", () => {
  it("reads a prompt, a dash and no prompt at all", () => {
    assert.deepStrictEqual(exec("exec", "say hello").prompt, { _tag: "Text", text: "say hello" })
    assert.deepStrictEqual(exec("exec", "-").prompt, { _tag: "Stdin", dash: true })
    assert.deepStrictEqual(exec("exec", "--json").prompt, { _tag: "Stdin", dash: false })
  })

  it("takes words after -- as the prompt, commands and dashes included", () => {
    assert.deepStrictEqual(exec("exec", "--", "resume").prompt, { _tag: "Text", text: "resume" })
    assert.strictEqual(exec("exec", "--", "resume").resume, undefined)
    assert.deepStrictEqual(exec("exec", "--", "--json").prompt, { _tag: "Text", text: "--json" })
  })

  it("takes the command line of the reference's SDK, resume last", () => {
    const command = exec(
      "exec",
      "--experimental-json",
      "--config",
      'model_reasoning_summary="none"',
      "--config",
      "sandbox_workspace_write.exclude_slash_tmp=true",
      "--model",
      "mock-model",
      "--thread-source",
      "sdk",
      "--sandbox",
      "workspace-write",
      "--cd",
      "/w",
      "--add-dir",
      "/a",
      "--add-dir",
      "/b",
      "--skip-git-repo-check",
      "--output-schema",
      "/t/schema.json",
      "--cyber-access-program",
      "--config",
      'approval_policy="never"',
      "resume",
      "01a1fce4",
      "--image",
      "/t/dot.png",
      "--image",
      "/t/b.png"
    )
    assert.deepStrictEqual(command, {
      _tag: "Exec",
      prompt: { _tag: "Stdin", dash: false },
      resume: { _tag: "Id", id: "01a1fce4" },
      options: {
        json: true,
        color: "auto",
        cwd: "/w",
        model: "mock-model",
        config: [
          ["model_reasoning_summary", '"none"'],
          ["sandbox_workspace_write.exclude_slash_tmp", "true"],
          ["approval_policy", '"never"']
        ],
        approvalPolicy: undefined,
        sandboxMode: "workspace-write",
        outputSchemaFile: "/t/schema.json",
        lastMessageFile: undefined,
        images: ["/t/dot.png", "/t/b.png"],
        addedDirectories: ["/a", "/b"],
        telemetry: false,
        trace: false,
        verbose: false,
        strictConfig: false,
        features: {},
        threadSource: "sdk"
      }
    })
  })

  it("takes flags before the command's words", () => {
    const command = exec("-m", "x", "exec", "--json", "resume", "--last", "go on")
    assert.strictEqual(command.options.model, "x")
    assert.deepStrictEqual(command.resume, { _tag: "Last", all: false })
    assert.deepStrictEqual(command.prompt, { _tag: "Text", text: "go on" })
  })

  it("takes short flags with their value apart, attached and after =", () => {
    for (const argv of [["-m", "x"], ["-mx"], ["-m=x"], ["--model=x"]]) {
      assert.strictEqual(exec("exec", ...argv, "p").options.model, "x")
    }
    assert.deepStrictEqual(exec("exec", "-c", "a.b=c=d", "p").options.config, [["a.b", "c=d"]])
    assert.deepStrictEqual(exec("exec", "-i", "a.png,b.png", "p").options.images, ["a.png", "b.png"])
  })

  it("expands --full-auto and the bypass, and lets a flag that says more win", () => {
    const auto = exec("exec", "--full-auto", "p").options
    assert.deepStrictEqual([auto.approvalPolicy, auto.sandboxMode], ["on-request", "workspace-write"])
    const asked = exec("exec", "--full-auto", "-a", "untrusted", "p").options
    assert.deepStrictEqual([asked.approvalPolicy, asked.sandboxMode], ["untrusted", "workspace-write"])
    const bypass = exec("exec", "--dangerously-bypass-approvals-and-sandbox", "p").options
    assert.deepStrictEqual([bypass.approvalPolicy, bypass.sandboxMode], ["never", "danger-full-access"])
    assert.include(
      refused("exec", "--dangerously-bypass-approvals-and-sandbox", "--full-auto", "p"),
      "cannot be used together with --full-auto"
    )
  })

  it("reads the commands for MCP servers", () => {
    assert.deepStrictEqual(ok("mcp", "list", "--json"), { _tag: "McpList", json: true })
    assert.deepStrictEqual(ok("mcp", "remove", "a"), { _tag: "McpRemove", name: "a" })
    assert.deepStrictEqual(ok("mcp", "add", "a", "--env", "A=1", "--env", "B=x=y", "--", "npx", "-y", "--json"), {
      _tag: "McpAdd",
      server: { _tag: "Stdio", name: "a", command: "npx", args: ["-y", "--json"], env: { A: "1", B: "x=y" } }
    })
    assert.deepStrictEqual(ok("mcp", "add", "a", "--url", "http://b", "--bearer-token-env-var", "T"), {
      _tag: "McpAdd",
      server: { _tag: "Http", name: "a", url: "http://b", bearerTokenVariable: "T" }
    })
    assert.include(refused("mcp"), "a command is missing: list, add, remove")
    assert.include(refused("mcp", "lsit"), "did you mean list?")
    assert.include(refused("mcp", "add"), "give a name of letters, digits, - and _")
    assert.include(refused("mcp", "add", "a.b", "c"), "give a name of letters, digits, - and _")
    assert.include(refused("mcp", "add", "a"), "give --url, or -- and a command")
    assert.include(refused("mcp", "add", "a", "b", "--url", "http://b"), "give either --url or a command")
    assert.include(refused("mcp", "add", "a", "--url", "b"), "--url needs a URL")
    assert.include(refused("mcp", "add", "a", "b", "--bearer-token-env-var", "T"), "needs --url")
    assert.include(refused("mcp", "add", "a", "b", "--env", "A"), '--env needs KEY=VALUE, not "A"')
    assert.include(refused("mcp", "remove"), "give the name of a server")
    const login = { _tag: "McpLogin", name: "a", opensBrowser: true, scopes: undefined } as const
    assert.deepStrictEqual(ok("mcp", "login", "a"), login)
    assert.deepStrictEqual(ok("mcp", "login", "--no-browser", "a", "--scopes", "read, write"), {
      ...login,
      opensBrowser: false,
      scopes: ["read", "write"]
    })
    assert.deepStrictEqual(ok("mcp", "logout", "a"), { _tag: "McpLogout", name: "a" })
    assert.include(refused("mcp", "login", "a", "b"), 'unexpected "b"; give one name')
    assert.include(refused("mcp", "login", "a", "--scopes", ","), "--scopes needs the name of a permission")
    assert.include(refused("mcp", "logout"), "give the name of a server")
    assert.include(refused("mcp", "remove", "a", "--url", "b"), "spindle mcp remove has no flag --url")
  })

  it("reads the features that are switched", () => {
    const features = (...argv: ReadonlyArray<string>) => {
      const command = ok(...argv)
      return command._tag === "Exec" || command._tag === "FeaturesList" ? command.options.features : undefined
    }
    assert.deepStrictEqual(features("exec", "--enable", "a", "--disable", "b", "--enable", "c", "hi"), {
      a: true,
      c: true,
      b: false
    })
    assert.deepStrictEqual(features("features", "list", "--enable", "a"), { a: true })
    assert.include(refused("exec", "--enable", "a", "--disable", "a", "hi"), "cannot both name a")
    assert.include(refused("features"), "a command is missing: list")
    assert.include(refused("features", "list", "x"), "features list takes flags only")
    assert.include(refused("mcp", "list", "--enable", "a"), "spindle mcp list has no flag --enable")
  })

  it("reads accounts, and takes no key as an argument", () => {
    const account = { provider: undefined, config: [] }
    assert.deepStrictEqual(ok("login", "--with-api-key"), { _tag: "Login", ...account })
    assert.deepStrictEqual(ok("login", "status", "--provider", "p"), {
      _tag: "LoginStatus",
      provider: "p",
      config: []
    })
    assert.deepStrictEqual(ok("logout", "-c", "model_provider=p"), {
      _tag: "Logout",
      provider: undefined,
      config: [["model_provider", "p"]]
    })
    assert.include(refused("login"), "say how to sign in: --with-api-key reads a key from stdin")
    assert.include(refused("login", "--with-api-key", "sk-1"), "a key is read from stdin")
    assert.include(refused("login", "--with-api-key=sk-1"), "--with-api-key takes no value")
    assert.include(refused("logout", "--with-api-key"), "spindle logout has no flag --with-api-key")
  })

  it("reads sessions and demo", () => {
    const listed = { _tag: "SessionsList", archived: false, color: "auto" } as const
    assert.deepStrictEqual(ok("sessions", "list"), { ...listed, json: false, all: false })
    assert.deepStrictEqual(ok("sessions", "list", "--all"), { ...listed, json: false, all: true })
    assert.deepStrictEqual(ok("sessions", "list", "--json"), { ...listed, json: true, all: true })
    assert.deepInclude(ok("sessions", "list", "--archived"), { archived: true })
    assert.deepStrictEqual(ok("sessions", "archive", "abc"), { _tag: "SessionsArchive", id: "abc" })
    assert.deepStrictEqual(ok("sessions", "unarchive", "abc"), { _tag: "SessionsUnarchive", id: "abc" })
    assert.deepStrictEqual(ok("sessions", "delete", "abc"), { _tag: "SessionsDelete", id: "abc" })
    assert.deepStrictEqual(ok("sessions", "processes", "abc", "--end", "all"), {
      _tag: "SessionsProcesses",
      id: "abc",
      json: false,
      tail: undefined,
      end: "all"
    })
    assert.deepStrictEqual(ok("sessions", "show", "abc"), {
      _tag: "SessionsShow",
      id: "abc",
      json: false,
      color: "auto",
      verbose: false
    })
    assert.strictEqual(ok("demo")._tag, "Demo")
  })

  it("reads help and version anywhere", () => {
    assert.deepStrictEqual(ok("--help"), { _tag: "Help", topic: "" })
    assert.deepStrictEqual(ok("exec", "-h"), { _tag: "Help", topic: "exec" })
    assert.deepStrictEqual(ok("exec", "resume", "--help"), { _tag: "Help", topic: "exec resume" })
    assert.deepStrictEqual(ok("help", "sessions", "list"), { _tag: "Help", topic: "sessions list" })
    assert.deepStrictEqual(ok("sessions", "--help"), { _tag: "Help", topic: "sessions" })
    assert.deepStrictEqual(ok("-V"), { _tag: "Version" })
  })

  it("names the nearest flag or command for an unknown one", () => {
    assert.strictEqual(
      refused("exec", "--modle", "x", "p"),
      "unknown flag --modle; did you mean --model? (see spindle exec --help)"
    )
    assert.strictEqual(refused("exec", "--frobnicate"), "unknown flag --frobnicate (see spindle exec --help)")
    assert.include(refused("exec", "-z", "p"), "unknown flag -z")
    assert.include(refused("exce", "p"), 'unknown command "exce"; did you mean exec?')
    assert.include(refused("sessions", "lsit"), "did you mean list?")
  })

  it("refuses a missing value and a flag in its place", () => {
    assert.include(refused("exec", "p", "--model"), "--model needs a value (MODEL)")
    assert.include(refused("exec", "--model", "--json", "p"), '"--json" looks like a flag')
    assert.include(
      refused("exec", "--sandbox"),
      "--sandbox needs a value (read-only, workspace-write, danger-full-access)"
    )
    assert.include(refused("exec", "--json=yes", "p"), "--json takes no value")
    assert.include(refused("exec", "-c", "model", "p"), '--config needs KEY=VALUE, not "model"')
  })

  it("refuses values outside the choices, repeated values and flags of other commands", () => {
    assert.include(
      refused("exec", "-s", "none", "p"),
      '-s takes one of read-only, workspace-write, danger-full-access, not "none"'
    )
    assert.include(refused("exec", "-m", "a", "-m", "b", "p"), "-m is given twice")
    assert.include(refused("sessions", "list", "--model", "x"), "spindle sessions list has no flag --model")
    assert.include(refused("exec", "--last", "p"), "spindle exec has no flag --last")
  })

  it("reads what to undo", () => {
    const undo = (...argv: ReadonlyArray<string>) => {
      const command = ok("undo", ...argv)
      return command._tag === "Undo" ? [command.session, command.undo] : command._tag
    }
    const nothing = { turns: 1, redo: false, dryRun: false, force: false }
    assert.deepStrictEqual(undo(), [{ _tag: "Last", all: false }, nothing])
    assert.deepStrictEqual(undo("0199", "--turns", "3", "--force"), [
      { _tag: "Id", id: "0199" },
      { ...nothing, turns: 3, force: true }
    ])
    assert.deepStrictEqual(undo("--redo", "--dry-run"), [
      { _tag: "Last", all: false },
      { ...nothing, redo: true, dryRun: true }
    ])
    for (const turns of ["0", "1.5", "x"])
      assert.include(refused("undo", "--turns", turns), "a whole number, at least 1")
    assert.include(refused("undo", "--redo", "--turns", "2"), "cannot be used together")
  })

  it("reads what to review", () => {
    const review = (...argv: ReadonlyArray<string>) => {
      const command = ok("review", ...argv)
      return command._tag === "Review" ? [command.target, command.failOn] : command._tag
    }
    assert.deepStrictEqual(review(), [{ type: "uncommitted" }, undefined])
    assert.deepStrictEqual(review("--uncommitted"), [{ type: "uncommitted" }, undefined])
    assert.deepStrictEqual(review("--base", "main", "--fail-on", "1"), [{ type: "base", branch: "main" }, 1])
    assert.deepStrictEqual(review("--commit=c0ffee"), [{ type: "commit", sha: "c0ffee" }, undefined])
    assert.deepStrictEqual(review("is it safe?"), [{ type: "custom", instructions: "is it safe?" }, undefined])
    assert.include(refused("review", "--base", "main", "--commit", "a"), "--base and --commit cannot be used together")
    assert.include(refused("review", " "), "the instructions are empty")
    assert.include(refused("review", "--fail-on", "4"), "takes one of 0, 1, 2, 3")
  })

  it("refuses words that are too many or too few", () => {
    assert.include(refused("exec", "fix", "the", "test"), 'unexpected "the"; put the prompt in quotes')
    assert.include(refused("exec", " "), "the prompt is empty")
    assert.include(refused("exec", "resume"), "give a session id, or --last")
    assert.include(refused("sessions", "show"), "give a session id")
    assert.include(refused("sessions", "archive"), "give a session id")
    assert.include(refused("sessions", "unarchive", "a", "b"), "give one session id")
    assert.include(refused("hooks"), "a command is missing: list, trust")
    assert.include(refused("hooks", "list", "x"), "hooks list takes nothing else")
    assert.include(refused("hooks", "trust", "--json"), "spindle hooks trust has no flag --json")
    assert.include(
      refused(),
      "a command is missing: exec, sessions, hooks, mcp, features, login, logout, trace, undo, review, demo, sandbox or doctor"
    )
    assert.include(refused("sessions", "processes"), "give a session id")
    assert.include(refused("sessions", "processes", "a", "--tail", "p", "--end", "p"), "--tail cannot be used together")
    assert.include(refused("sessions"), "a command is missing: list, show, archive, unarchive, delete, processes")
  })
})

describe("Help", () => {
  it("shows usage, flags, examples and exit codes for each topic", () => {
    for (const topic of topics) {
      const text = Help.text(topic)
      for (const part of ["Usage: spindle", "Flags:", "Examples:", "Exit codes:", "--help", "78 "])
        assert.include(text, part)
    }
    assert.include(Help.text("exec"), "(also --experimental-json)")
    assert.include(Help.text("exec"), "read-only, workspace-write, danger-full-access")
  })

  it("shows only examples that parse", () => {
    for (const topic of topics) {
      const examples = Help.text(topic).split("Examples:\n")[1]!.split("\n\n")[0]!.split("\n")
      for (const line of examples) {
        const words = line.replace(/ {3}#.*/, "").match(/"[^"]*"|\S+/g)!
        ok(...words.slice(words.indexOf("spindle") + 1).map((word) => word.replaceAll('"', "")))
      }
    }
  })
})

describe("sandbox and doctor", () => {
  it("takes everything after -- as the command", () => {
    assert.deepStrictEqual(
      ok("sandbox", "-s", "workspace-write", "-C", "/w", "--add-dir", "/a", "-c", "a.b=1", "--", "ls", "-l", "--json"),
      {
        _tag: "Sandbox",
        words: ["ls", "-l", "--json"],
        cwd: "/w",
        config: [["a.b", "1"]],
        sandboxMode: "workspace-write",
        addedDirectories: ["/a"]
      }
    )
    assert.include(refused("sandbox", "-s", "read-only"), "give a command, after --")
  })

  it("describes --sandbox as each command takes it, and the exit codes that each has", () => {
    assert.match(Help.text("doctor"), /-s, --sandbox +try every way out of the sandbox\n/)
    assert.match(Help.text("sandbox"), /-s, --sandbox MODE +what commands may touch: read-only, /)
    assert.include(Help.text("sandbox"), "the exit code of the command")
    assert.notInclude(Help.text("sandbox"), "review")
    assert.include(Help.text("exec"), "4    a review found something")
  })

  it("takes --sandbox of doctor as a switch", () => {
    assert.deepStrictEqual(ok("doctor", "--sandbox"), { _tag: "Doctor" })
    assert.include(refused("doctor"), "say what to look at: --sandbox")
    assert.include(refused("doctor", "--sandbox=read-only"), "--sandbox takes no value")
    assert.include(refused("doctor", "--sandbox", "read-only"), 'unexpected "read-only"')
  })
})

describe("suggestions", () => {
  it.each([
    [["resume"], 'unknown command "resume"; did you mean spindle exec resume?'],
    [["list"], 'unknown command "list"; did you mean spindle sessions list?'],
    [["fix the test"], 'this is not a command; to run it as a prompt: spindle exec "PROMPT"'],
    [["exec", "-v", "hi"], "unknown flag -v; did you mean --verbose or --version?"]
  ] as const)("%j", (argv, detail) => {
    const parsed = parse(argv)
    assert.isTrue(Result.isFailure(parsed) && parsed.failure.detail === detail)
  })
})

describe("help", () => {
  it.each([40, 80, 120])("fits in %i columns, except examples and usage", (columns) => {
    for (const topic of topics) {
      const lines = Help.text(topic, columns).split("\n")
      for (const line of lines.filter((one) => !one.includes("spindle") && !one.trim().startsWith("-"))) {
        assert.isAtMost(line.length, columns, line)
      }
    }
  })
})
