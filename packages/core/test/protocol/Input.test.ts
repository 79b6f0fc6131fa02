import { assert, describe, it } from "@effect/vitest"
import * as Input from "@spindle/core/Input"
import { Schema } from "effect"

const mention = (name: string, path: string): Input.InputPart => ({ _tag: "Mention", name, path })

describe("a mention in an input", () => {
  it.prop("W2 passes through JSON with all other parts", [Input.Input], ([input]) => {
    const json: unknown = JSON.parse(JSON.stringify(input))
    assert.deepStrictEqual(JSON.stringify(Schema.decodeUnknownSync(Input.Input)(json)), JSON.stringify(input))
  })

  it.prop("is one link in the text, whatever its name and path contain", [Input.MentionPart], ([part]) => {
    assert.match(Input.textOf([part]), /^\[\$[^[\]\n]*\]\([^()\s]*\)$/)
  })

  it("is in the text of the input, in its place", () => {
    const input: Input.Input = [{ _tag: "Text", text: "ask" }, mention("mail", "app://1"), { _tag: "Image", url: "x" }]
    assert.strictEqual(Input.textOf(input), "ask\n\n[$mail](app://1)")
    assert.strictEqual(
      Input.textOf([mention("a](b\nc", "/my skills/(x)/SKILL.md")]),
      "[$a (b c](/my%20skills/%28x%29/SKILL.md)"
    )
  })

  it("is content", () => {
    assert.isFalse(Input.isEmpty([mention("mail", "app://1")]))
    assert.isTrue(Input.isEmpty([{ _tag: "Text", text: " " }]))
  })
})
