/** Describes a journal that cannot be read completely, for people. */
import type { Opened } from "@spindle/core/Journal"

/** Describes damage between the records of a journal; undefined if there is none. */
export const damageText = ({ damage }: Pick<Opened, "damage">): string | undefined => {
  if (damage === undefined) return undefined
  const { bytes, missingCount } = damage
  const parts = [
    ...(bytes === 0 ? [] : [`${bytes} bytes between its records are not readable`]),
    ...(missingCount === 0 ? [] : [missingCount === 1 ? "1 record is missing" : `${missingCount} records are missing`])
  ]
  return `the journal is damaged: ${parts.join(", and ")}`
}

/** Describes all faults of a journal that was opened for writing; undefined if it had none. */
export const openedText = (opened: {
  readonly cutBytes: number
  readonly cutFile?: string | undefined
  readonly damage?: Opened["damage"] | undefined
}): string | undefined => {
  const { cutBytes, cutFile } = opened
  const damage = damageText(opened.damage === undefined ? {} : { damage: opened.damage })
  const kept = cutFile === undefined ? "were cut" : `are kept in ${cutFile}`
  const texts = [
    ...(damage === undefined ? [] : [damage]),
    ...(cutBytes === 0 ? [] : [`the journal was damaged: its last ${cutBytes} bytes ${kept}`])
  ]
  return texts.length === 0 ? undefined : texts.join("; ")
}
