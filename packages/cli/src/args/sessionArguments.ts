/** Reads the words and flags of `sessions`. */
import type { ColorMode, Topic } from "./Flags.ts"

/** A command about sessions. */
export type Sessions =
  | {
      readonly _tag: "SessionsList"
      readonly archived: boolean
      readonly all: boolean
      readonly json: boolean
      readonly color: ColorMode
    }
  | {
      readonly _tag: "SessionsShow"
      readonly id: string
      readonly json: boolean
      readonly color: ColorMode
      readonly verbose: boolean
    }
  | { readonly _tag: "SessionsArchive" | "SessionsUnarchive" | "SessionsDelete"; readonly id: string }
  | {
      readonly _tag: "SessionsProcesses"
      readonly id: string
      readonly json: boolean
      readonly tail: string | undefined
      readonly end: string | undefined
    }

/** The words and flags of a command line. `refuse` throws an error for a wrong one. */
interface Given {
  readonly rest: ReadonlyArray<string>
  readonly values: ReadonlyMap<string, ReadonlyArray<string>>
  readonly refuse: (detail: string) => never
}

/** Reads a command about sessions. */
export const sessionsOf = (topic: Extract<Topic, `sessions ${string}`>, { refuse, rest, values }: Given): Sessions => {
  const json = values.has("json")
  const color = (values.get("color")?.[0] ?? "auto") as ColorMode
  const count = topic === "sessions list" ? 0 : 1
  if (rest.length > count) {
    refuse(`unexpected "${rest[count]}"; ${count === 0 ? "sessions list takes flags only" : "give one session id"}`)
  }
  if (topic === "sessions list") {
    return { _tag: "SessionsList", archived: values.has("archived"), json, all: json || values.has("all"), color }
  }
  const id = rest[0] ?? refuse("give a session id")
  switch (topic) {
    case "sessions show":
      return { _tag: "SessionsShow", id, json, color, verbose: values.has("verbose") }
    case "sessions archive":
      return { _tag: "SessionsArchive", id }
    case "sessions unarchive":
      return { _tag: "SessionsUnarchive", id }
    case "sessions delete":
      return { _tag: "SessionsDelete", id }
    case "sessions processes": {
      const [tail, end] = [values.get("tail")?.[0], values.get("end")?.[0]]
      if (tail !== undefined && end !== undefined) refuse("--tail cannot be used together with --end")
      return { _tag: "SessionsProcesses", id, json, tail, end }
    }
  }
}
