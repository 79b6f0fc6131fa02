/**
 * Prompts that a person keeps in files: `/prompts:NAME` means `prompts/NAME.md` of the home.
 *
 * Words after the name replace `$1` to `$9`, all of them `$ARGUMENTS`, and those of the form `KEY=value` replace
 * `$KEY`. A word with spaces is quoted. `$$` is a dollar sign. A number without a word is left out.
 */
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import { readFile } from "./Instructions.ts"
import { frontMatterOf } from "./settings/frontMatter.ts"

/** A prompt does not exist, or its file cannot be used. */
export class PromptUnusable extends Schema.TaggedError<PromptUnusable>()("PromptUnusable", {
  name: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `cannot use the prompt ${this.name}: ${this.detail}`
  }
}

const limitBytes = 1 << 20

/** Returns the text of the prompt file that a prompt names, else the prompt itself. **Errors**: `PromptUnusable`. */
export const expand = (home: string, text: string): Effect.Effect<string, PromptUnusable, FileSystem.FileSystem> => {
  const match = /^\/prompts:([\w.-]+)(?:\s+([^]*))?$/.exec(text.trim())
  if (match === null) return Effect.succeed(text)
  const [, name = "", words = ""] = match
  return Effect.flatMap(readFile(Path.join(home, "prompts", `${name}.md`), limitBytes), (file) => {
    if (file?._tag === "File" && !file.isCut) {
      return Effect.succeed(replace(frontMatterOf(file.text).body.trim(), wordsOf(words)))
    }
    if (file !== undefined) {
      const detail = file._tag === "File" ? "its file is too large" : `its file is not readable text`
      return Effect.fail(new PromptUnusable({ name, detail }))
    }
    return Effect.flatMap(namesIn(home), (names) =>
      Effect.fail(
        new PromptUnusable({
          name,
          detail: names.length === 0 ? "there are no prompts" : `there are: ${names.join(", ")}`
        })
      )
    )
  })
}

/** Returns the names of the prompts of a home, in order. */
const namesIn = (home: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    try {
      const files = await Fs.readdir(Path.join(home, "prompts"))
      return files
        .filter((file) => file.endsWith(".md"))
        .map((file) => file.slice(0, -".md".length))
        .toSorted()
    } catch {
      // a home without this directory has no prompts
      return []
    }
  })

const wordsOf = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g), ([word]) =>
    word.replaceAll(/"([^"]*)"|'([^']*)'/g, "$1$2")
  )

const replace = (body: string, words: ReadonlyArray<string>): string => {
  const named = new Map<string, string>()
  const others: Array<string> = []
  for (const word of words) {
    const match = /^([A-Za-z_]\w*)=([^]*)$/.exec(word)
    if (match === null) others.push(word)
    else named.set(match[1]!, match[2]!)
  }
  return body.replaceAll(/\$(\$|[1-9](?!\d)|[A-Z_][A-Z0-9_]*)/g, (placeholder, name: string) => {
    if (name === "$") return "$"
    if (name === "ARGUMENTS") return words.join(" ")
    if (/^[1-9]$/.test(name)) return others[Number(name) - 1] ?? ""
    // a name without a word stays: it may be a variable of a shell
    return named.get(name) ?? placeholder
  })
}
