/** The port to journals, and the adapter that keeps them in memory. `JournalFile` keeps them on disk. */
export * from "./ports/Journal.ts"
export { layerMemory } from "./journal/memory.ts"
