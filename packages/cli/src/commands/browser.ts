/** The browser of the person. */
import { spawn } from "node:child_process"
import * as Effect from "effect/Effect"

/** The program of a platform that opens an address. No shell sees the address. */
const programs: { readonly [platform: string]: readonly [command: string, ...args: ReadonlyArray<string>] } = {
  darwin: ["open"],
  win32: ["rundll32", "url.dll,FileProtocolHandler"]
}

/** Starts the browser with an address. Returns false if there is no program that does so. */
export const open = (address: string): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const [command, ...args] = programs[process.platform] ?? ["xdg-open"]
    const child = spawn(command, [...args, address], { stdio: "ignore", detached: true })
    child.once("error", () => resume(Effect.succeed(false)))
    child.once("spawn", () => {
      child.unref()
      resume(Effect.succeed(true))
    })
  })
