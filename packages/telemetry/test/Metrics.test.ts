import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { type Definition, definitions, markdown } from "@spindle/telemetry/Metrics"

const all: ReadonlyArray<Definition> = Object.values(definitions)
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")

describe("the table of metrics", () => {
  it("O2 is in the README as the code has it (npm run metrics writes it)", () => {
    assert.include(readme, `<!-- metrics -->\n${markdown()}\n<!-- /metrics -->`)
  })

  it("O2 pins names, kinds, units and attributes", () => {
    const rows = all.map(({ attributes, kind, name, unit }) => `${name} ${kind} ${unit} ${attributes.join(",")}`)
    assert.includeMembers(rows, [
      "spindle.turn.duration histogram s task.kind,outcome,abort.reason,error.type",
      "spindle.turn.time_to_first_token histogram s task.kind",
      "spindle.turn.time_to_first_message histogram s task.kind",
      "spindle.turn.tool_calls histogram {call} task.kind,outcome",
      "spindle.turn.token_usage histogram {token} task.kind,outcome,token.type",
      "spindle.turn.network_proxy counter {turn} active",
      "spindle.abort.duration histogram s phase,abort.reason",
      "spindle.abort.stragglers counter {straggler} kind",
      "spindle.inbox.waiting updown {input} ",
      "spindle.subscriber.waiting updown {event} ",
      "gen_ai.client.operation.duration histogram s gen_ai.operation.name,gen_ai.provider.name,gen_ai.request.model,error.type",
      "gen_ai.client.token.usage histogram {token} gen_ai.operation.name,gen_ai.provider.name,gen_ai.request.model,gen_ai.token.type",
      "codex.turn.e2e_duration_ms histogram ms ",
      "codex.turn.ttft.duration_ms histogram ms ",
      "codex.turn.ttfm.duration_ms histogram ms ",
      "codex.turn.network_proxy counter {turn} active,tmp_mem_enabled",
      "codex.turn.tool.call histogram {call} tmp_mem_enabled",
      "codex.turn.token_usage histogram {token} token_type,tmp_mem_enabled",
      "codex.approval.requested counter {request} tool,approved"
    ])
  })

  it("O2 has attributes of the reference in the family reference only", () => {
    for (const { attributes, name, set } of all) {
      if (set !== "reference")
        assert.notMatch(attributes.join(" "), /\b(codex|tmp_mem_enabled|is_git|token_type)\b/, name)
    }
  })

  it("O2 describes each metric in one plain sentence or two", () => {
    for (const { description, name } of all) assert.match(description, /^[A-Z][^`|]+\.$/, name)
  })

  it("O2 names no metric twice", () => {
    const names = all.map(({ name }) => name)
    assert.deepStrictEqual([...new Set(names)], names)
  })
})
