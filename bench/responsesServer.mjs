// A scripted Responses API server as a separate process. Prints its address as one line, and ends with its standard input.
import * as Effect from "effect/Effect"
import * as ResponsesServer from "@spindle/testing/ResponsesServer"

const script = JSON.parse(process.argv[2])
const serve = Effect.gen(function* () {
  const server = yield* ResponsesServer.make(script)
  console.log(server.baseUrl)
  return yield* Effect.never
})
Effect.runFork(Effect.scoped(serve))
process.stdin.on("end", () => process.exit(0)).resume()
