/** Ranks short texts by how well they fit a query (BM25). */

/** A text under a name. */
export interface Document {
  readonly name: string
  readonly text: string
}

// the usual constants: the weight of a repeated word, and the discount of a long text
const saturation = 1.2
const lengthWeight = 0.75

/** Returns the documents that have a word of the query, the best first, and equal ones in their order. */
export const rank = (documents: ReadonlyArray<Document>, query: string, limit: number): ReadonlyArray<Document> => {
  const terms = [...new Set(wordsOf(query))]
  const entries = documents.map((document) => {
    const words = wordsOf(document.text)
    return { document, counts: countsOf(words), length: words.length }
  })
  const averageLength = entries.reduce((sum, { length }) => sum + length, 0) / Math.max(1, entries.length)
  const weights = terms.map((term) => {
    const having = entries.filter(({ counts }) => counts.has(term)).length
    return Math.log(1 + (entries.length - having + 0.5) / (having + 0.5))
  })
  const scored = entries.map(({ counts, document, length }) => {
    const held = saturation * (1 - lengthWeight + (lengthWeight * length) / Math.max(1, averageLength))
    const score = terms.reduce((sum, term, index) => {
      const count = counts.get(term) ?? 0
      return sum + (weights[index]! * count * (saturation + 1)) / (count + held)
    }, 0)
    return { document, score }
  })
  return scored
    .filter(({ score }) => score > 0)
    .toSorted((a, b) => b.score - a.score)
    .slice(0, limit)
    .map(({ document }) => document)
}

/** Returns the words of a text in lower case. Names are split where their case changes. */
const wordsOf = (text: string): ReadonlyArray<string> =>
  text
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "")

const countsOf = (words: ReadonlyArray<string>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return counts
}
