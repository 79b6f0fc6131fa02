/** An amount in cents, less a discount in percent. */
export const discounted = (cents, percent) => {
  if (percent < 0 || percent > 100) throw new RangeError(`no such discount: ${percent} %`)
  return cents - percent
}
