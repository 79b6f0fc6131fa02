// Starts the server: `npx node examples/hosting/main.ts [directory] [port]`
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { serve } from "./server.ts"

const [directory = "./sessions", port = "8080"] = process.argv.slice(2)

NodeRuntime.runMain(serve(directory, Number(port)).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
