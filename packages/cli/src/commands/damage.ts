/** Reports on standard error which parts of a journal cannot be read. */
import { damageText } from "@spindle/app/Damage"
import type { Opened } from "@spindle/core/Journal"
import * as Log from "../output/Log.ts"

/** Reports the parts that loading a journal left out, if any. */
export const warnOfDamage = (opened: Pick<Opened, "cutBytes" | "damage">): void => {
  const text = damageText(opened)
  if (text !== undefined) Log.say(text)
  if (opened.cutBytes > 0) {
    Log.say(`the last ${opened.cutBytes} bytes of the journal cannot be read; they are not shown`)
  }
}
