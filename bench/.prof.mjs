const P = await import("./peers/" + (process.argv[2]) + ".mjs")
const rt = await P.load({ ...P.variants[process.argv[4] ?? ""] })
const n = Number(process.argv[5] ?? 5000)
for (let i = 0; i < n; i++) { const s = await rt.newSession(); await s.turn(process.argv[3], { onDelta() {} }); await s.dispose?.() }
let t = performance.now()
for (let i = 0; i < n; i++) { const s = await rt.newSession(); await s.turn(process.argv[3], { onDelta() {} }); await s.dispose?.() }
console.log(((performance.now() - t) / n * 1000).toFixed(1), "us")
process.exit(0)
