/** The parts of a session that its turns use. Each part holds its own state. */
import type { TaskSupervisor } from "../../TaskSupervisor.ts"
import type { TurnSession } from "../../Turn.ts"
import type { Recorder } from "../log/recorder.ts"
import type { SessionContext } from "../session/sessionContext.ts"
import type { StartContexts } from "../session/startContexts.ts"
import type { Questions } from "./questions.ts"
import type { Resources } from "./resources.ts"

/** The parts of a session that its turns use. */
export interface TurnParts {
  readonly session: SessionContext
  readonly recorder: Recorder
  readonly supervisor: TaskSupervisor
  readonly questions: Questions
  readonly resources: Resources
  readonly startContexts: StartContexts
  readonly ownerSession: TurnSession
}
