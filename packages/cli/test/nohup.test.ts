import { assert, describe, it } from "@effect/vitest"
import * as Nohup from "../src/nohup.ts"

const none: Nohup.Signs = { command: undefined, input: undefined, parent: undefined }
const input = (flags: string, path = "/dev/null") => ({
  ...none,
  input: { path, info: `pos:\t0\nflags:\t${flags}\nmnt_id:\t24\n` }
})
const parent = (mask: string) => ({ ...none, parent: `SigBlk:\t0000000000000001\nSigIgn:\t${mask}\nSigCgt:\t0001\n` })

describe("isNohup", () => {
  it.each<[string, Nohup.Signs, boolean]>([
    ["no sign", none, false],
    ["the command of the shell", { ...none, command: "/usr/bin/nohup" }, true],
    ["another command", { ...none, command: "/usr/bin/nohup.sh" }, false],
    ["/dev/null that can only be written", input("0100001"), true],
    ["/dev/null that closes on exec and can only be written", input("02100001"), true],
    ["/dev/null that can be read", input("0100000"), false],
    ["/dev/null that can be read and written", input("0100002"), false],
    ["a file that can only be written", input("0100001", "/tmp/x"), false],
    ["a parent that ignores HUP", parent("0000000000001001"), true],
    ["a parent that ignores HUP and QUIT", parent("0000000000000005"), true],
    ["a parent that ignores INT", parent("0000000000000002"), false],
    ["a parent that ignores nothing", parent("0000000000000000"), false]
  ])("%s", (_, signs, expected) => {
    assert.strictEqual(Nohup.isNohup(signs), expected)
  })
})
