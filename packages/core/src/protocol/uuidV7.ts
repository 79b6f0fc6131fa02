/**
 * UUIDs version 7, for turns, requests and questions.
 *
 * A UUID is made from a pool of random bytes, as one flat string: 0.5 us and 64 bytes each. A random draw and a
 * concatenation for each one took 6 us and 512 bytes, because the parts of a concatenation stay alive with it.
 */
declare const crypto: { readonly getRandomValues: (bytes: Uint8Array) => Uint8Array }

const hexDigits = Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0))
const layout = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
const codes = Array.from(layout, (char) => char.charCodeAt(0))
/** The place of each of the 32 digits in the layout. */
const places = codes.flatMap((code, index) => (code === layout.charCodeAt(0) ? [index] : []))
// a random draw costs microseconds, whatever its size
const pool = new Uint8Array(1_000)
let drawn = pool.length

/** Makes a UUID version 7 (RFC 9562, section 5.7) for a time in milliseconds since 1970. */
export const uuidV7 = (nowMillis: number): string => {
  if (drawn + 10 > pool.length) {
    crypto.getRandomValues(pool)
    drawn = 0
  }
  const high = Math.floor(nowMillis / 2 ** 24)
  const low = nowMillis % 2 ** 24
  for (let index = 0; index < 12; index++) {
    const half = index < 6 ? high : low
    codes[places[index]!] = hexDigits[(half >> (20 - 4 * (index % 6))) & 15]!
  }
  for (let index = 12; index < 32; index += 2) {
    const byte = pool[drawn++]!
    const first = index === 12 ? 7 : index === 16 ? 8 | ((byte >> 4) & 3) : byte >> 4
    codes[places[index]!] = hexDigits[first]!
    codes[places[index + 1]!] = hexDigits[byte & 15]!
  }
  // one flat string
  return String.fromCharCode(...codes)
}
