/** Results of calls, as a model reads them. */
import type { Input } from "@spindle/core/Input"
import * as Base64 from "effect/encoding/Base64"
import type * as McpSchema from "effect/ai/McpSchema"

/** The parts of a result. */
export interface Result {
  /** The structured content, or the text of all other content. */
  readonly output: unknown
  /** The images, which follow the result in a separate message. */
  readonly images: Input
  readonly isError: boolean
}

/** The most text of one result that a model gets, in characters. */
const textLimit = 40_000

/** Converts a result. Text beyond the limit is cut in its middle. */
export const of = ({ content, isError, structuredContent }: McpSchema.CallToolResult): Result => {
  const images: Input = content.flatMap((block) =>
    block.type === "image"
      ? [{ _tag: "Image" as const, url: `data:${block.mimeType};base64,${Base64.encode(block.data)}` }]
      : []
  )
  return { output: outputOf(content, structuredContent), images, isError: isError === true }
}

const outputOf = (content: ReadonlyArray<McpSchema.ContentBlock>, structured: unknown): unknown => {
  if (structured === undefined || structured === null) return cut(content.map(textOf).join("\n"))
  const text = JSON.stringify(structured)
  return text.length <= textLimit ? structured : cut(text)
}

const textOf = (block: McpSchema.ContentBlock): string => {
  switch (block.type) {
    case "text":
      return block.text
    case "image":
      return `(an image of type ${block.mimeType}, in the message that follows)`
    case "audio":
      return `(audio of type ${block.mimeType}, which cannot be shown)`
    case "resource":
      return "text" in block.resource ? block.resource.text : `(the binary resource ${block.resource.uri})`
    case "resource_link":
      return `${block.title ?? block.name}: ${block.uri}${block.description === undefined ? "" : `\n${block.description}`}`
  }
}

/** Cuts a text that is too long in its middle, and notes there how much is missing. */
const cut = (text: string): string => {
  if (text.length <= textLimit) return text
  const kept = textLimit / 2
  return `${text.slice(0, kept)}\n... ${text.length - 2 * kept} characters are left out ...\n${text.slice(-kept)}`
}
