import { existsSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { commandsOf, commandsWithin, isShell, maxLength } from "../../src/ShellWords.ts"
import * as Fuzz from "./shellFuzz.ts"

/** Lines by the commands that they run. Words are separated by `·`, commands by ` / `. */
const plainLines: { readonly [line: string]: string } = {
  "git status": "git·status",
  "git status && ls -la": "git·status / ls·-la",
  "ls | wc -l": "ls / wc·-l",
  "ls; rm x": "ls / rm·x",
  "echo a;echo b": "echo·a / echo·b",
  "a||b|c&&d": "a / b / c / d",
  "ls ;": "ls",
  "ls\trm": "ls·rm",
  "  ls  ": "ls",
  "ls A=1": "ls·A=1",
  "ls '$HOME'": "ls·$HOME",
  "ls 'a b' \"c d\"": "ls·a b·c d",
  "ls a'b'\"c\"": "ls·abc",
  "'git' \"status\"": "git·status",
  "g'i't status": "git·status",
  "'if' x": "if·x",
  "ls if": "ls·if",
  "ls ''": "ls·",
  "ls 'ümlaut “q”'": "ls·ümlaut “q”",
  "ls a=b c:d e,f g@h i%j k+l -m --n=o p/q r.s": "ls·a=b·c:d·e,f·g@h·i%j·k+l·-m·--n=o·p/q·r.s",
  "find . -name '*.js' -exec rm '{}' ';'": "find·.·-name·*.js·-exec·rm·{}·;",
  "git diff HEAD^ -- -x": "git·diff·HEAD^·--·-x",
  "git log --format='%h %s' -n 3": "git·log·--format=%h %s·-n·3",
  "ls -l | grep -v 'a|b' | head -n 5": "ls·-l / grep·-v·a|b / head·-n·5"
}

const otherLines: { readonly [kind: string]: ReadonlyArray<string> } = {
  nothing: ["", "   ", ";", "&& ls", "ls &&", "ls |", "ls || || rm", "| ls", "'' x"],
  "line breaks and escapes": [
    "ls\nrm -rf x",
    "ls \\\n rm",
    "ls a\\ b",
    "\\ls",
    "ls \\$(rm x)",
    "ls 'a'\\''b'",
    "ls 'a\nb'"
  ],
  "open quotes": ["ls 'open", 'ls "open', 'ls "a\\"b"'],
  comments: ["ls # rm", "ls a#b"],
  substitutions: [
    "ls $HOME",
    'ls "$HOME"',
    "ls $(rm x)",
    "ls `rm x`",
    'ls "`rm x`"',
    'ls "a\\`b"',
    "ls ${x}",
    "ls $((1))",
    "ls $"
  ],
  "odd quotes": ["ls $'\\x2e'", 'ls $"x"', 'ls "a!b"', "ls !$"],
  redirections: [
    "ls > f",
    "ls>f",
    "ls 2>&1",
    "ls &>f",
    "ls 2 >f",
    "ls <<EOF\nx\nEOF",
    "ls <<<x",
    "ls <(rm x)",
    "ls >(rm x)"
  ],
  operators: ["ls & rm x", "ls &", "ls |& rm", "ls;; rm", "ls ;& rm", "! ls"],
  groups: ["{ rm x; }", "(rm x)", "f() { rm x; }; f", "((x=1))", "[[ -f x ]]"],
  keywords: [
    "if ls; then rm x; fi",
    "for i in a; do rm i; done",
    "function f { rm x; }",
    "case x in x) rm;; esac",
    "time rm x",
    "ls | time rm x",
    "coproc rm x",
    "repeat 3 rm x",
    "noglob rm x",
    "- rm x",
    "''- rm x",
    "'noglob' rm x",
    "ls; then rm"
  ],
  assignments: ["PATH=/evil ls", "a+=1 ls", "a[0]=1 ls", "ls && A=1", "A='b' ls", "'A'=b ls"],
  globs: ["ls *.js", "ls a?", "ls [ab]", "ls {a,b}", "ls ~", "ls ~/x", "ls a~", "ls a=~", "ls =rm", "=rm x"],
  "control characters": ["ls\rrm x", "ls \0rm", "ls\vrm", "ls\frm", "ls '\x1b[2J'", "ls '\x7f'", "ls \u0085"],
  "blanks that are none": ["ls\u00a0rm", "ls '\u00a0'", "ls\u2028rm x", "ls \u2003rm", "ls '\u3000'"],
  "invisible characters": [
    "ls \u200b",
    "ls '\u200b'",
    "ls '\u202e'",
    "ls '\ufeff'",
    "ls '\u3164'",
    "ls '\u2800'",
    "ls '\ud800'"
  ],
  "characters outside ASCII": ["ｌs", "'ｌs'", "ls ü", "ls “x”", "'lѕ' x"]
}

describe("commandsOf", () => {
  it("returns the words of plain lines", () => {
    for (const [line, commands] of Object.entries(plainLines)) {
      const expected = commands.split(" / ").map((command) => command.split("·"))
      assert.deepStrictEqual(commandsOf(line), expected, line)
    }
  })

  for (const [kind, lines] of Object.entries(otherLines)) {
    it(`refuses ${kind}`, () => {
      for (const line of lines) assert.isUndefined(commandsOf(line), JSON.stringify(line))
    })
  }

  it("refuses a line that is too long", () => {
    const longest = `ls ${"a".repeat(maxLength - 3)}`
    assert.lengthOf(commandsOf(longest) ?? [], 1)
    assert.isUndefined(commandsOf(`${longest}a`))
  })
})

describe("commandsWithin", () => {
  it("replaces a shell that only runs a plain line by the commands of that line", () => {
    assert.deepStrictEqual(commandsWithin("bash -lc 'git status; ls'"), [["git", "status"], ["ls"]])
    assert.deepStrictEqual(commandsWithin('ls && /bin/sh -c "rm x" | wc'), [["ls"], ["rm", "x"], ["wc"]])
  })

  it("does so once, and only for a line without more arguments", () => {
    assert.deepStrictEqual(commandsWithin(`bash -c "bash -c 'rm x'"`), [["bash", "-c", "rm x"]])
    for (const line of ["bash -c ls x", "bash script.sh", "bash -xc ls", "evil/bash -c ls"]) {
      assert.deepStrictEqual(commandsWithin(line), [line.split(" ")])
    }
  })

  it("refuses a line in which a shell gets a line that is not plain", () => {
    for (const line of ["bash -lc 'rm $x'", "ls && bash -c 'a & b'", "bash -c ''", "bash -c 'ls"]) {
      assert.isUndefined(commandsWithin(line), line)
    }
  })

  it("knows the shells that read lines like this", () => {
    assert.deepStrictEqual(["bash", "/bin/sh", "/usr/bin/dash", "/bin/zsh"].map(isShell), [true, true, true, true])
    assert.deepStrictEqual(["ksh", "fish", "./bash", "/tmp/bash", "python3"].map(isShell), [
      false,
      false,
      false,
      false,
      false
    ])
  })
})

describe.skipIf(!existsSync("/bin/bash") || !existsSync("/bin/dash"))("bash and dash", () => {
  it("run nothing but the announced words of a plain line", () => {
    const { plainCount, wrong } = Fuzz.run(1_500, 1)
    assert.deepStrictEqual(wrong, [])
    assert.isAbove(plainCount, 300)
  })

  it("are seen to read more than a scanner that splits at blanks", () => {
    const { wrong } = Fuzz.run(300, 1, {
      claim: (line) => (/[\n\0]/.test(line) ? undefined : [line.split(/\s+/)])
    })
    assert.isNotEmpty(wrong)
  })
})
