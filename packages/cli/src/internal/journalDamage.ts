/** What people are told about a journal of which not everything can be read. */
import type { Opened } from "@spindle/core/Journal"

/** Describes damage between the records of a journal, or returns undefined if there is none. */
export const damageText = ({ damage }: Pick<Opened, "damage">): string | undefined => {
  if (damage === undefined) return undefined
  const { bytes, missingCount } = damage
  const parts = [
    ...(bytes === 0 ? [] : [`${bytes} bytes between its records are not readable`]),
    ...(missingCount === 0 ? [] : [missingCount === 1 ? "1 record is missing" : `${missingCount} records are missing`])
  ]
  return `the journal is damaged: ${parts.join(", and ")}`
}

/** Reports on standard error what loading a journal left out. */
export const warnOfDamage = (opened: Pick<Opened, "cutBytes" | "damage">): void => {
  const text = damageText(opened)
  if (text !== undefined) process.stderr.write(`spindle: ${text}\n`)
  if (opened.cutBytes > 0) {
    process.stderr.write(
      `spindle: the last ${opened.cutBytes} bytes of the journal are not readable and are left out\n`
    )
  }
}
