/** Reads the features that are switched on the command line. */

/** Reads the names of `--enable` and `--disable`. `refuse` throws an error for a wrong command line. */
export const featuresOf = (
  enabled: ReadonlyArray<string>,
  disabled: ReadonlyArray<string>,
  refuse: (detail: string) => never
): { readonly [name: string]: boolean } => {
  const both = enabled.find((name) => disabled.includes(name))
  if (both !== undefined) refuse(`--enable and --disable cannot both name ${both}`)
  return Object.fromEntries([
    ...enabled.map((name) => [name, true] as const),
    ...disabled.map((name) => [name, false] as const)
  ])
}
