// Prints Markdown tables from results.json: medians with [min-max], and the ratio to the floor.
import { readFileSync } from "node:fs"
const med = (xs) => {
  const s = [...xs].sort((a, b) => a - b)
  return s.length ? s[Math.floor(s.length / 2)] : NaN
}
const num = (x) =>
  x == null || Number.isNaN(x)
    ? "-"
    : Math.abs(x) >= 1000
      ? String(Math.round(x))
      : Math.abs(x) >= 100
        ? x.toFixed(0)
        : Math.abs(x) >= 10
          ? x.toFixed(1)
          : x.toFixed(2)
export const COLS = {
  w1: ["us_mean", "us_p50", "us_p99", "cpu_us", "retained_bytes"],
  w1alloc: ["alloc_bytes"],
  w2: ["us_mean", "us_p50", "us_p99", "cpu_us"],
  w3: [
    "us_at_10",
    "us_at_100",
    "us_at_1000",
    "cpu_at_10",
    "cpu_at_100",
    "cpu_at_500",
    "cpu_at_1000",
    "turns_done",
    "total_ms",
    "heap_mb",
    "prompt_messages"
  ],
  w4: ["wall_ms", "peak_rss_mb"],
  idle: ["idle_bytes_w1", "idle_bytes_w2"],
  w6: ["us_one", "us_delegate", "us_overhead"],
  w7: ["wall_ms", "rss_mb"],
  w8: ["us_mean", "us_p99", "disk_bytes_turn", "us_at_10", "us_at_100", "disk_bytes_long"]
}
const ABORT = [
  "settle_p50",
  "settle_p99",
  "never",
  "resolved",
  "stop_p50",
  "stop_p99",
  "model_left",
  "tool_left",
  "tool_cleaned",
  "tool_started",
  "second_ok",
  "invalid",
  "stored",
  "sent_next",
  "heap_per_trial",
  "timers_left",
  "unhandled_rejections"
]
const FLOORED = /^(us_|cpu_|alloc|wall|total|peak|rss|idle|heap_mb)/
export function report(data) {
  let md = ""
  for (const [w, rows] of Object.entries(data)) {
    if (w === "meta") continue
    const abort = w.startsWith("w5") || w === "w6abort"
    const cols = abort ? ABORT : COLS[w]
    if (!cols) continue
    md += `\n### ${w}\n\n| peer | ${cols.join(" | ")} |\n|---|${cols.map(() => "---").join("|")}|\n`
    for (const [id, runs] of Object.entries(rows)) {
      const ok = runs.filter((r) => !r.error)
      const cell = (c) => {
        if (abort) {
          const v = ok[0]?.[c]
          return v == null ? "-" : typeof v === "number" ? num(v) : `\`${v}\``
        }
        const xs = ok.map((r) => r[c]).filter((x) => x != null)
        if (!xs.length) return "-"
        const f = med((rows.floor ?? []).map((r) => r[c]).filter((x) => x != null))
        return (
          `${num(med(xs))} [${num(Math.min(...xs))}-${num(Math.max(...xs))}]` +
          (FLOORED.test(c) && id !== "floor" && f > 0 ? ` x${num(med(xs) / f)}` : "")
        )
      }
      md += `| ${id}${ok.length < runs.length ? ` (${runs.length - ok.length} failed)` : ""} | ${cols.map(cell).join(" | ")} |\n`
    }
  }
  return md
}
if (process.argv[1]?.endsWith("report.mjs")) console.log(report(JSON.parse(readFileSync(process.argv[2], "utf8"))))
