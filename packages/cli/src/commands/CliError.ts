/** The error that the program prints in one line before it exits. */
import * as Schema from "effect/Schema"

/**
 * A request of the command line cannot be carried out: no such directory, no such session, an unreadable file.
 * `exitCode` is that of the program.
 */
export class CliError extends Schema.TaggedError<CliError>()("CliError", {
  detail: Schema.String,
  exitCode: Schema.Finite
}) {
  override get message() {
    return this.detail
  }
}
