/**
 * The port to fragments: texts of a program for the model, ahead of the input of a turn, such as the instructions of a
 * project or a description of the environment. A fragment is recorded as an item with its name, so it is never mistaken
 * for input of the user.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** A text for the model. `name` becomes the `fragment` of its item. */
export interface Fragment {
  readonly name: string
  readonly text: string
}

/** The fragments to record at the start of a turn. A person sees the warnings. */
export interface FragmentUpdate {
  readonly fragments: ReadonlyArray<Fragment>
  readonly warnings: ReadonlyArray<string>
}

/** No fragments. */
export const none: FragmentUpdate = { fragments: [], warnings: [] }

/**
 * Returns the fragments that a turn records ahead of its input. `known` are the fragments in the history, in order,
 * which the model sees already. Return those that are missing there, because they are new or have changed, or because a
 * rollback or a compaction removed them. It runs in the fiber of the turn, when the turn first takes input and after
 * the turn has replaced its history. If it dies, a `Warning` reports that, and the turn runs without new fragments.
 */
export type MakeFragments = (known: ReadonlyArray<Fragment>) => Effect.Effect<FragmentUpdate>

/** The fragments of the sessions that are made in this context, and of their delegates. By default there are none. */
export const Fragments: Context.Reference<MakeFragments | undefined> = Context.Reference<MakeFragments | undefined>(
  "@spindle/core/Fragments",
  { defaultValue: () => undefined }
)
