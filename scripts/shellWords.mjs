// Lets bash and dash read the lines that `ShellWords` calls plain: `npm run shell-words -- [lines] [seed]`. Fails if a shell reads one otherwise.
import { run } from "../packages/tools/test/shellFuzz.ts"

const [lines = 100_000, seed = Date.now() % 1_000_000] = process.argv.slice(2).map(Number)
const start = performance.now()
const { plainCount, wrong } = run(lines, seed)
const seconds = ((performance.now() - start) / 1000).toFixed(0)
for (const one of wrong.slice(0, 20)) console.error(one)
console.log(`${lines} lines (seed ${seed}): ${plainCount} plain, ${wrong.length} read otherwise, ${seconds} s`)
process.exitCode = wrong.length === 0 ? 0 : 1
