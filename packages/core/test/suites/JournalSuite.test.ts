import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Journal from "@spindle/core/Journal"
import * as JournalFile from "@spindle/core/JournalFile"
import * as JournalSuite from "@spindle/testing/JournalSuite"
import { Effect, FileSystem, Layer } from "effect"

/** Journals in a directory that goes with the scope. */
const files = (durability: "process" | "fsync") =>
  Layer.unwrap(
    Effect.map(
      Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "spindle-" })),
      (directory) => JournalFile.layer({ directory, durability })
    )
  ).pipe(Layer.provide(NodeFileSystem.layer))

JournalSuite.suite("Journal.layerMemory", Journal.layerMemory())
JournalSuite.suite("JournalFile.layer", files("process"))
JournalSuite.suite("JournalFile.layer with fsync", files("fsync"))
