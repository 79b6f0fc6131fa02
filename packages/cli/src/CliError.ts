/** What the program tells a person in one line before it exits. */
import * as Schema from "effect/Schema"

/**
 * Something that a person asked for cannot be done: no such directory, no such session, an unreadable file. `exitCode`
 * is the program's.
 */
export class CliError extends Schema.TaggedError<CliError>()("CliError", {
  detail: Schema.String,
  exitCode: Schema.Finite
}) {
  override get message() {
    return this.detail
  }
}
