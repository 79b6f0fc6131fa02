import assert from "node:assert/strict"
import { test } from "node:test"
import { total } from "../src/cart.js"
import { receipt } from "../src/receipt.js"

const lines = [
  { name: "tea", priceCents: 450, count: 2 },
  { name: "honey", priceCents: 1100, count: 1 }
]

test("a cart costs the sum of its lines", () => {
  assert.equal(total({ lines }), 2000)
})

test("a discount of 10 percent takes a tenth off", () => {
  assert.equal(total({ lines, discountPercent: 10 }), 1800)
})

test("a discount above 100 percent is refused", () => {
  assert.throws(() => total({ lines, discountPercent: 101 }), RangeError)
})

test("a receipt ends with the total", () => {
  assert.equal(receipt({ lines }), "2 x tea: 9.00 EUR\n1 x honey: 11.00 EUR\ntotal: 20.00 EUR")
})
