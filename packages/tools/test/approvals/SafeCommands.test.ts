import { assert, describe, it } from "@effect/vitest"
import { areSafe } from "../../src/SafeCommands.ts"
import { commandsOf } from "../../src/ShellWords.ts"

const isSafe = (line: string): boolean => areSafe(commandsOf(line) ?? [["?"]])

describe("areSafe", () => {
  for (const line of [
    "ls -la src",
    "cat a | head -n 5 && pwd",
    "cd src && ls",
    "git status",
    "git log --oneline -n 3 -- src",
    "git diff HEAD^",
    "git show --stat",
    "git branch -vv",
    "find . -name '*.ts' -type f",
    "rg -n 'a b' src",
    "grep -rn x . | wc -l",
    "sed -n 1,20p a.txt",
    "uniq -c a"
  ]) {
    it(`covers ${line}`, () => assert.isTrue(isSafe(line)))
  }

  for (const line of [
    "rm x",
    "ls; rm x",
    "./ls",
    "/bin/ls",
    "find . -delete",
    "find . -exec rm x ';'",
    "find . -execdir rm x ';'",
    "find . -ok rm x ';'",
    "find . -fprintf f x",
    "find . -fls f",
    "git",
    "git push",
    "git -c core.pager=evil log",
    "git -C /x status",
    "git --git-dir=/x status",
    "git log --output=f",
    "git log --outp=f",
    "git diff --ext-diff",
    "git show --textconv x",
    "git log --show-signature",
    "git branch new",
    "git branch -D x",
    "git grep -Oevil x",
    "cd /x && git status",
    "rg --pre evil x",
    "rg --pre=evil x",
    "rg --hostname-bin=evil x",
    "rg -iz x",
    "sed -i s/a/b/ f",
    "sed -n 1p -i f",
    "sed -n '1e rm x' f",
    "sed -n 1wx f",
    "uniq a b",
    "sort -o f g",
    "printf -v 'a[0]' x",
    "test -v 'a[0]'",
    "xargs ls",
    "env ls",
    "bash -c ls",
    "tee f",
    "awk x"
  ]) {
    it(`does not cover ${line}`, () => assert.isFalse(isSafe(line)))
  }

  it("does not cover git in another directory than that of the session, whose configuration may name programs", () => {
    const safe = (line: string) => areSafe(commandsOf(line) ?? [], true)
    assert.deepStrictEqual(["git status", "ls | wc && git diff", "ls", "find . -name x"].map(safe), [
      false,
      false,
      true,
      true
    ])
  })
})
