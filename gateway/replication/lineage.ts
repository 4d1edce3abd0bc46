import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { LINEAGE_FILE } from "./files.ts";
import { lossSchema, parseDirectory } from "./manifest.ts";

const lineageSchema = z.strictObject({
  /** Directory of the epoch that runs on this state, or ran last. */
  directory: z.string().refine((name) => parseDirectory(name) !== null),
  /** What that epoch began from; see `localParents`. */
  parents: z.array(z.strictObject({ directory: z.string(), seq: z.number().int() })),
  /** What was missing when that epoch began. */
  lost: lossSchema.nullable(),
  bootId: z.string(),
  /** True once that epoch ended cleanly and everything was on the disk. */
  final: z.boolean(),
});

/**
 * Where the state in a directory comes from. It lies inside the directory, so that both are put in place,
 * moved aside and lost together.
 */
export type Lineage = z.infer<typeof lineageSchema>;

/** Null: there is none, or it is damaged; then the state is of unknown origin and never used. */
export async function readLineage(stateDir: string): Promise<Lineage | null> {
  let text: string;
  try {
    text = await readFile(join(stateDir, LINEAGE_FILE), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  try {
    return lineageSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Atomic, and on the disk when it returns. */
export async function writeLineage(stateDir: string, lineage: Lineage): Promise<void> {
  const path = join(stateDir, LINEAGE_FILE);
  const building = `${path}.lock`;
  const file = await open(building, "w", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(lineage, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(building, path);
  await syncPath(stateDir);
}

/** Brings a file, or the names in a directory, to the disk. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
