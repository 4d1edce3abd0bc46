import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { copyState } from "../replication/adopt.ts";
import { readLineage, syncPath, writeLineage } from "../replication/lineage.ts";
import { removeTree } from "../state/remove-tree.ts";

const recordSchema = z.strictObject({
  /** Releases: what ran, and what is being tried. */
  from: z.string(),
  to: z.string(),
  /** Of the owner that tries. */
  epoch: z.number().int().positive(),
});

/** What is being tried on a state, beside which the one from before is kept. */
export type KeptRecord = z.infer<typeof recordSchema>;

const RECORD = "update.json";
const BEFORE = "before-update";
const FAILED = "failed-update-";

/**
 * The state of a shard from before another OpenClaw was tried on it, beside the state directory:
 *
 *     update.json         what is tried; without it the rest is left over
 *     before-update/      the copy, whole since it has this name
 *     failed-update-<n>/  what the last try that failed under epoch n left, for people to look at
 *
 * Each function can be interrupted anywhere and done again. All of them only while nothing runs on the state;
 * `wanted` is asked right before something others would see changes: false means that somebody else has the shard.
 */
export async function keepState(
  stateDir: string,
  record: KeptRecord,
  wanted: () => boolean,
): Promise<void> {
  const folder = dirname(stateDir);
  refuseUnwanted(wanted);
  await forgetKept(stateDir);
  for (const name of await readdir(folder)) {
    if (name.startsWith(FAILED)) await removeTree(join(folder, name));
  }
  const building = join(folder, `${BEFORE}.partial`);
  // What runs on it daily is as whole as it was; a check would only make people wait.
  await copyState(stateDir, building, { check: false });
  refuseUnwanted(wanted);
  const file = join(folder, RECORD);
  await writeFile(file, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  await syncPath(file);
  refuseUnwanted(wanted);
  await rename(building, join(folder, BEFORE));
  await syncPath(folder);
}

/** What is being tried; null: nothing, or it never came to that. */
export async function readKept(stateDir: string): Promise<KeptRecord | null> {
  const folder = dirname(stateDir);
  const names = await readdir(folder);
  if (!names.includes(RECORD) || !names.includes(BEFORE)) return null;
  try {
    return recordSchema.parse(JSON.parse(await readFile(join(folder, RECORD), "utf8")));
  } catch {
    // It is written before the copy gets its name, so a torn one has none.
    return null;
  }
}

/**
 * Puts the state from before in the place of the present one, which stays beside it. Returns the path of that;
 * null: there was none.
 */
export async function putBack(
  stateDir: string,
  epoch: number,
  wanted: () => boolean,
): Promise<string | null> {
  const folder = dirname(stateDir);
  const before = join(folder, BEFORE);
  const inside = await readdir(stateDir).catch(() => []);
  const lineage = await readLineage(stateDir);
  if (lineage) await writeLineage(before, lineage);
  refuseUnwanted(wanted);
  const aside = join(folder, `${FAILED}${epoch}`);
  if (inside.length === 0) await removeTree(stateDir);
  else {
    await removeTree(aside);
    await rename(stateDir, aside);
  }
  await rename(before, stateDir);
  await syncPath(folder);
  await rm(join(folder, RECORD), { force: true });
  return inside.length === 0 ? null : aside;
}

/** Lets go of the state from before. */
export async function forgetKept(stateDir: string): Promise<void> {
  const folder = dirname(stateDir);
  // First of all: without it nobody goes back.
  await rm(join(folder, RECORD), { force: true });
  await syncPath(folder);
  for (const name of [BEFORE, `${BEFORE}.partial`]) {
    await removeTree(join(folder, name));
  }
}

/** Somebody else may have the shard by now: nothing of it is to be touched any more. */
export function refuseUnwanted(wanted: () => boolean): void {
  if (!wanted()) throw new Error("the shard was given up meanwhile");
}
