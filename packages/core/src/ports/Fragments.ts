/**
 * Fragments: what a program tells the model ahead of the input of a turn, such as the instructions of a project or the
 * environment. A fragment is recorded as an item with its name, so it is never taken for the user's words.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** A text for the model. `name` becomes the `fragment` of its item. */
export interface Fragment {
  readonly name: string
  readonly text: string
}

/** What to record at the start of a turn. A person sees the warnings. */
export interface FragmentUpdate {
  readonly fragments: ReadonlyArray<Fragment>
  readonly warnings: ReadonlyArray<string>
}

/** No fragments. */
export const none: FragmentUpdate = { fragments: [], warnings: [] }

/**
 * Decides what a turn records ahead of its input. `known` are the fragments that the model sees already, in order: those
 * in the history. So what a rollback or a compaction removed is recorded again, and so is what has changed. Runs in the
 * fiber of the turn, when it first takes input and after it replaced its history. If it dies, a `Warning` reports it and
 * the turn runs without.
 */
export type MakeFragments = (known: ReadonlyArray<Fragment>) => Effect.Effect<FragmentUpdate>

/** The fragments of the sessions that are made in this context, and of their delegates. By default there are none. */
export const Fragments: Context.Reference<MakeFragments | undefined> = Context.Reference<MakeFragments | undefined>(
  "@spindle/core/Fragments",
  { defaultValue: () => undefined }
)
