/** What a review found, read from whatever a model writes. */
import { assert, describe, it } from "@effect/vitest"
import * as ReviewTask from "../../src/tasks/ReviewTask.ts"

const output: ReviewTask.ReviewOutput = {
  findings: [
    {
      title: "Off by one",
      body: "The last line is never read.\n\nIt is lost.",
      confidence_score: 0.5,
      priority: 1,
      code_location: { path: "src/a.ts", line_range: { start: 3, end: 5 } }
    },
    { title: "No limit", body: "", confidence_score: 0.5, priority: 3 }
  ],
  overall_correctness: "",
  overall_explanation: "One bug.",
  overall_confidence_score: 0.5
}
const json = JSON.stringify(output)

describe("the output of a review", () => {
  it("is read in time that is linear in its spaces, line ends and fences", () => {
    const [spaces, ends] = [" ".repeat(1_000_000), "\n".repeat(1_000_000)]
    for (const text of [`[P1]${spaces}a${spaces}b`, `${spaces}[P1] a -${spaces}x:1${spaces}!`, `\`\`\`${ends}x`]) {
      assert.isDefined(ReviewTask.parse(text))
    }
    const [finding] = ReviewTask.parse(`- [P1] wrong ${spaces}- \`a.ts:3-4\`${spaces}\r`).findings
    const place = { path: "a.ts", line_range: { start: 3, end: 4 } }
    assert.deepInclude(finding, { title: "wrong", priority: 1, code_location: place })
  })

  it("is read from JSON, a fenced block, and JSON between words", () => {
    for (const text of [json, `Here it is:\n\`\`\`json\n${json}\n\`\`\`\nDone.`, `I found:\n${json}\nThat is all.`]) {
      assert.deepStrictEqual(ReviewTask.parse(text), output, text)
    }
  })

  it("is read from a list of findings, and from names and values of other forms", () => {
    const text = JSON.stringify([
      { title: "[P0] Broken", description: "why", confidence: 90, file: "a.ts", line: 7 },
      {
        title: "Odd",
        priority: "P3",
        code_location: { absolute_file_path: "/r/a.ts", line_range: { start: 1, end: 0 } }
      },
      { unrelated: true },
      "nothing"
    ])
    const { findings } = ReviewTask.parse(text)
    assert.deepStrictEqual(findings, [
      {
        title: "Broken",
        body: "why",
        confidence_score: 0.9,
        priority: 0,
        code_location: { path: "a.ts", line_range: { start: 7, end: 7 } }
      },
      {
        title: "Odd",
        body: "",
        confidence_score: 0.5,
        priority: 3,
        code_location: { path: "/r/a.ts", line_range: { start: 1, end: 1 } }
      }
    ])
  })

  it("is read from prose as it is rendered", () => {
    assert.deepStrictEqual(ReviewTask.parse(ReviewTask.render(output)), output)
  })

  it("without any finding is the explanation", () => {
    const { findings, overall_explanation } = ReviewTask.parse("Looks good to me.\n{ not json }")
    assert.deepStrictEqual(findings, [])
    assert.strictEqual(overall_explanation, "Looks good to me.\n{ not json }")
    assert.strictEqual(ReviewTask.parse("").overall_explanation, "")
  })

  it("is rendered with the most urgent finding first", () => {
    const findings = output.findings.toReversed()
    assert.strictEqual(
      ReviewTask.render({ ...output, overall_correctness: "incorrect", findings }),
      [
        "One bug.",
        "",
        "Verdict: incorrect",
        "",
        "[P1] Off by one — src/a.ts:3-5",
        "  The last line is never read.",
        "",
        "  It is lost.",
        "",
        "[P3] No limit"
      ].join("\n")
    )
  })
})
