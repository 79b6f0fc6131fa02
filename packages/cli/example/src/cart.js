import { discounted } from "./discount.js"

/** What a cart costs, in cents: all its lines, less its discount in percent. */
export const total = (cart) => {
  const sum = cart.lines.reduce((cents, line) => cents + line.priceCents * line.count, 0)
  return discounted(sum, cart.discountPercent ?? 0)
}
