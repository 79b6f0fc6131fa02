import { assert, describe, it } from "@effect/vitest"
import { NetworkPolicy } from "../../src/index.ts"

const { allow, describe: inWords, isPattern, meet, refusalOfAddress, refusalOfHost } = NetworkPolicy

const list = (allowed: ReadonlyArray<string>, denied: ReadonlyArray<string> = []): NetworkPolicy.Hosts => ({
  _tag: "Hosts",
  allowed,
  denied
})

describe("isPattern", () => {
  for (const text of ["example.com", "*.example.com", "*", "localhost", "127.0.0.1", "::1", "[::1]", "a_b.example."]) {
    it(`accepts ${text}`, () => assert.isTrue(isPattern(text)))
  }
  const others = ["", "*.", "*.*", "a.*", "**.example.com", "http://a", "a:80", "a/b", "-a", "a b", "ä.example", "*a.b"]
  for (const text of others) it(`refuses "${text}"`, () => assert.isFalse(isPattern(text)))
})

describe("refusalOfHost", () => {
  const hosts = list(["example.com", "*.example.org", "10.0.0.1", "::1"], ["bad.example.org", "*.evil.example.org"])
  const rows: ReadonlyArray<readonly [host: string, refusal: NetworkPolicy.Reason | undefined]> = [
    ["example.com", undefined],
    ["EXAMPLE.COM.", undefined],
    ["a.example.com", "NotListed"],
    ["example.org", "NotListed"],
    ["a.b.example.org", undefined],
    ["aexample.org", "NotListed"],
    [".example.org", "NotListed"],
    ["bad.example.org", "Denied"],
    ["a.bad.example.org", undefined],
    ["a.evil.example.org", "Denied"],
    ["10.0.0.1", undefined],
    ["::ffff:10.0.0.1", undefined],
    ["[0:0::1]", undefined],
    ["10.0.0.2", "NotListed"]
  ]
  for (const [host, refusal] of rows) {
    it(`${refusal ?? "allows"} ${host}`, () => assert.strictEqual(refusalOfHost(hosts, host), refusal))
  }

  it("denies before it allows, whatever the order and form of the patterns", () => {
    assert.strictEqual(refusalOfHost(list(["*"], ["a.example"]), "A.example."), "Denied")
    assert.strictEqual(refusalOfHost(list(["a.example"], ["*"]), "a.example"), "Denied")
  })
})

describe("refusalOfAddress", () => {
  const rows: ReadonlyArray<readonly [address: string, isPublic: boolean]> = [
    ["8.8.8.8", true],
    ["172.15.0.1", true],
    ["172.32.0.1", true],
    ["2606:4700::1111", true],
    ["::ffff:8.8.8.8", true],
    ["64:ff9b::808:808", true],
    ["0.0.0.0", false],
    ["10.1.2.3", false],
    ["100.64.0.1", false],
    ["127.255.0.1", false],
    ["169.254.169.254", false],
    ["172.16.0.1", false],
    ["172.31.255.255", false],
    ["192.168.1.1", false],
    ["224.0.0.1", false],
    ["255.255.255.255", false],
    ["::", false],
    ["::1", false],
    ["::ffff:127.0.0.1", false],
    ["::ffff:7f00:1", false],
    ["64:ff9b::7f00:1", false],
    ["2002:7f00:1::", false],
    ["2001:db8::1", false],
    ["fe80::1", false],
    ["fe80::1%eth0", false],
    ["fd00::1", false],
    ["ff02::1", false],
    ["1::2::3", false],
    ["no address", false]
  ]
  for (const [address, isPublic] of rows) {
    it(`${isPublic ? "allows" : "denies"} ${address}, even if every host is allowed`, () =>
      assert.strictEqual(refusalOfAddress(list(["*"]), "a.example", address), isPublic ? undefined : "NotPublic"))
  }

  it("reads an address in time that is linear in it", () => {
    const long = `::${"1.".repeat(1_000_000)}x`
    assert.strictEqual(refusalOfAddress(list(["*"]), "a.example", long), "NotPublic")
  })

  it("allows an address that is not public if the list names it", () => {
    assert.isUndefined(refusalOfAddress(list(["a.example", "10.0.0.1"]), "a.example", "::ffff:10.0.0.1"))
    assert.strictEqual(refusalOfAddress(list(["a.example", "10.0.0.1"]), "a.example", "10.0.0.2"), "NotPublic")
  })

  it("takes localhost for the loopback addresses, and only for the name localhost", () => {
    const hosts = list(["localhost", "a.example"])
    assert.isUndefined(refusalOfAddress(hosts, "localhost", "127.0.0.1"))
    assert.isUndefined(refusalOfAddress(hosts, "localhost", "::1"))
    assert.strictEqual(refusalOfAddress(hosts, "localhost", "10.0.0.1"), "NotPublic")
    assert.strictEqual(refusalOfAddress(hosts, "a.example", "127.0.0.1"), "NotPublic")
  })

  it("denies a public address that the list denies", () =>
    assert.strictEqual(refusalOfAddress(list(["*"], ["8.8.8.8"]), "a.example", "8.8.8.8"), "Denied"))
})

const policies: ReadonlyArray<NetworkPolicy.NetworkPolicy> = [
  true,
  false,
  list([]),
  list(["*"]),
  list(["*"], ["a.example"]),
  list(["a.example", "*.b.example"]),
  list(["*.example", "10.0.0.1"], ["c.b.example"]),
  list(["c.b.example", "::ffff:10.0.0.1"]),
  list(["A.example."])
]

const hosts = ["a.example", "b.example", "c.b.example", "d.c.b.example", "10.0.0.1", "other"]

const reached = (policy: NetworkPolicy.NetworkPolicy) =>
  hosts.filter((host) => (typeof policy === "boolean" ? policy : refusalOfHost(policy, host) === undefined))

describe("meet", () => {
  it("A4 reaches what both reach, and nothing else", () => {
    for (const one of policies) {
      for (const other of policies) {
        const both = reached(one).filter((host) => reached(other).includes(host))
        assert.deepStrictEqual(reached(meet(one, other)), both, JSON.stringify([one, other]))
      }
    }
  })

  it("is commutative and associative, with true as its unit and false as its zero", () => {
    for (const one of policies) {
      assert.deepStrictEqual(meet(one, true), one)
      assert.strictEqual(meet(one, false), false)
      for (const other of policies) {
        assert.deepStrictEqual(meet(one, other), meet(other, one))
        for (const third of policies) {
          assert.deepStrictEqual(reached(meet(meet(one, other), third)), reached(meet(one, meet(other, third))))
        }
      }
    }
  })
})

describe("allow", () => {
  it("adds hosts, and keeps what is denied", () => {
    assert.deepStrictEqual(allow(false, ["a.example"]), list(["a.example"]))
    assert.deepStrictEqual(allow(list(["b"], ["a.example"]), ["a.example"]), list(["a.example", "b"], ["a.example"]))
    assert.isTrue(allow(true, ["a.example"]))
    assert.isFalse(allow(false, []))
  })
})

describe("describe", () => {
  it("names the host, the port and the reason", () => {
    const denial = { _tag: "Denial", host: "::1", port: 80, reason: "NotPublic" } as const
    assert.strictEqual(
      inWords(denial),
      "[::1]:80 was denied: its address is not public and not in the list of allowed hosts"
    )
  })
})
