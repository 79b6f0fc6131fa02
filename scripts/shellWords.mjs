// `npm run shell-words`: lets bash and dash read lines that `ShellWords` calls plain, and zsh if it is installed. Fails if a shell reads one otherwise.
// `-- --lines N --seed N --zsh PATH`.
import { existsSync } from "node:fs"
import { parseArgs } from "node:util"
import { readers, run } from "../packages/tools/test/approvals/shellFuzz.ts"

const { values } = parseArgs({
  options: {
    lines: { type: "string", default: "100000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    zsh: { type: "string", default: "/bin/zsh" }
  }
})
const shells = [...readers, ...(existsSync(values.zsh) ? [[values.zsh, "-f", "-c"]] : [])]
const start = performance.now()
const { plainCount, wrong } = run(Number(values.lines), Number(values.seed), { readers: shells })
const seconds = ((performance.now() - start) / 1000).toFixed(0)
for (const one of wrong.slice(0, 20)) console.error(one)
const names = shells.map(([shell]) => shell).join(", ")
console.log(
  `${values.lines} lines (seed ${values.seed}): ${plainCount} plain, ${wrong.length} read otherwise by ${names}; ${seconds} s`
)
process.exitCode = wrong.length === 0 ? 0 : 1
