import { total } from "./cart.js"

const euros = (cents) => `${(cents / 100).toFixed(2)} EUR`

/** A receipt, one line of text for each line of the cart. */
export const receipt = (cart) =>
  [
    ...cart.lines.map((line) => `${line.count} x ${line.name}: ${euros(line.priceCents * line.count)}`),
    `total: ${euros(total(cart))}`
  ].join("\n")
