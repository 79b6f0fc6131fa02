/** Reads the words and flags of `login` and `logout`. */

/** The account of a provider, by default that of the configuration. */
export interface Account {
  readonly _tag: "Login" | "LoginStatus" | "Logout"
  readonly provider: string | undefined
  readonly config: ReadonlyArray<readonly [key: string, value: string]>
}

const tags = { login: "Login", "login status": "LoginStatus", logout: "Logout" } as const

/** The commands about accounts. */
export type AccountTopic = keyof typeof tags

/** The words and flags of a command line. `refuse` throws an error for a wrong one. */
export interface Given {
  readonly rest: ReadonlyArray<string>
  readonly values: ReadonlyMap<string, ReadonlyArray<string>>
  readonly config: Account["config"]
  readonly refuse: (detail: string) => never
}

/** Reads the account of a command. A key is never an argument: other users of the machine can read arguments. */
export const accountOf = (topic: AccountTopic, { config, refuse, rest, values }: Given): Account => {
  if (rest.length > 0) refuse(`${topic} takes flags only; a key is read from stdin`)
  if (topic === "login" && !values.has("with-api-key")) {
    refuse("say how to sign in: --with-api-key reads a key from stdin")
  }
  return { _tag: tags[topic], provider: values.get("provider")?.[0], config }
}
