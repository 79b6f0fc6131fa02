import { execFileSync } from "node:child_process"
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { Turn } from "@spindle/core"
import { ProjectTools } from "../../src/index.ts"
import * as ViewImage from "../../src/project/ViewImage.ts"
import { directory } from "../host.ts"
import { makeTurn } from "./turn.ts"

const png = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex")

const view = (cwd: string, path: string) => {
  const { received, turn } = makeTurn()
  return ViewImage.run({ path }, { cwd }).pipe(
    Effect.provideService(Turn.Turn, turn),
    Effect.provide(NodeServices.layer),
    Effect.map((text) => ({ text, received }))
  )
}

describe("view_image", () => {
  it.effect("gives the model the image as the next input, with the type that its bytes have", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      writeFileSync(join(cwd, "a.jpg"), png)
      symlinkSync("a.jpg", join(cwd, "link"))
      for (const name of ["a.jpg", "link", join(cwd, "a.jpg")]) {
        const { received, text } = yield* view(cwd, name)
        assert.strictEqual(text, `The image ${name} follows as the next message.`)
        const url = `data:image/png;base64,${png.toString("base64")}`
        assert.deepStrictEqual(received, [[{ _tag: "Image", url }]])
      }
    })
  )

  it.effect("refuses what is missing, no regular file, no image, or too large", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      mkdirSync(join(cwd, "folder"))
      writeFileSync(join(cwd, "text.png"), "no image")
      writeFileSync(join(cwd, "empty.png"), "")
      writeFileSync(join(cwd, "large.png"), png)
      truncateSync(join(cwd, "large.png"), ViewImage.maxBytes + 1)
      execFileSync("mkfifo", [join(cwd, "fifo")])
      const refusal = (name: string) => Effect.map(Effect.flip(view(cwd, name)), ({ message }) => message)
      const noImage = "it is not a PNG, JPEG, GIF or WebP image"
      assert.strictEqual(yield* refusal("missing"), "cannot show missing: it does not exist")
      assert.strictEqual(yield* refusal("folder"), "cannot show folder: it is a directory")
      assert.strictEqual(yield* refusal("fifo"), "cannot show fifo: it is a named pipe, not a regular file")
      assert.strictEqual(yield* refusal("/dev/zero"), "cannot show /dev/zero: it is a device, not a regular file")
      assert.strictEqual(yield* refusal("a\0"), "cannot show a\0: it is not a path")
      assert.strictEqual(yield* refusal("text.png"), `cannot show text.png: ${noImage}`)
      assert.strictEqual(yield* refusal("empty.png"), `cannot show empty.png: ${noImage}`)
      assert.strictEqual(
        yield* refusal("large.png"),
        `cannot show large.png: it has ${ViewImage.maxBytes + 1} bytes, and the limit is ${ViewImage.maxBytes}`
      )
    })
  )

  it("knows the types of images by their bytes", () => {
    const typeOf = (...parts: ReadonlyArray<string>) => ViewImage.mediaTypeOf(Buffer.from(parts.join(""), "latin1"))
    assert.strictEqual(typeOf("\xff\xd8\xff\xe0"), "image/jpeg")
    assert.strictEqual(typeOf("GIF87a"), "image/gif")
    assert.strictEqual(typeOf("GIF89a"), "image/gif")
    assert.strictEqual(typeOf("GIF88a"), undefined)
    assert.strictEqual(typeOf("RIFF", "\0\0\0\0", "WEBP"), "image/webp")
    assert.strictEqual(typeOf("RIFF", "\0\0\0\0", "WAVE"), undefined)
  })

  it("needs no approval, and is an image to people", () => {
    const { approval, display } = ProjectTools.policies.view_image
    assert.strictEqual(approval, "allow")
    assert.deepStrictEqual(display?.({ path: "a.png" }, {}), { _tag: "Image", path: "a.png" })
  })
})
