// Stops one tool call in a Chat of effect/ai and in a session, at each step. `npm run chat` prints the table of docs/chat-under-the-explorer.md.
// Exits with 1 if the session loses a call or leaves one open.
import { compare, format } from "../packages/testing/test/chat/comparison.ts"

const rows = compare()
console.log(format(rows))
const session = rows.at(-1)
process.exit(session.lost.length + session.open.length + session.other.length === 0 && session.points > 0 ? 0 : 1)
