/** A clause of the contract. */
export interface Clause {
  readonly number: string
  readonly isDue: boolean
  readonly sentence: string
}
/** The sources that uphold each clause and the tests that show it: paths by its number. */
export interface Survey {
  readonly clauses: ReadonlyArray<Clause>
  readonly marks: ReadonlyMap<string, ReadonlyArray<string>>
  readonly tests: ReadonlyMap<string, ReadonlyArray<string>>
}
export declare const clausesOf: (page: string) => ReadonlyArray<Clause>
export declare const clausesShownIn: (source: string) => ReadonlySet<string>
export declare const clausesMarkedIn: (source: string) => ReadonlySet<string>
export declare const survey: () => Survey
export declare const problemsOf: (survey: Survey) => ReadonlyArray<string>
