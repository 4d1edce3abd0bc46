import { randomUUID } from "node:crypto";
import type { Stats } from "node:fs";
import { lstat, mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { ShardId } from "../contract.ts";
import { removeTree } from "./remove-tree.ts";
import { ForeignState, type StateMarker, type StateStore } from "./store.ts";

export interface LocalStateOptions {
  /** The fleet's data directory. */
  dataDir: string;
  fleet: string;
  log: { warn(message: string): void };
}

const markerSchema = z.strictObject({
  fleet: z.string(),
  shard: z.string(),
  node: z.string(),
  incarnation: z.string(),
  epoch: z.number().int().positive(),
  bootId: z.string(),
  cage: z.string().nullable(),
  final: z.boolean(),
});

const EPOCH_FILE = /^epoch-(\d+)$/;

/**
 * State on a local disk, `<dataDir>/shards/<shard>/`:
 *
 *     state/        OpenClaw's state directory
 *     owner.json    the marker, replaced atomically
 *     epoch-<n>     the highest epoch, as a name: made exclusively before the marker says so
 *
 * The name is what fences: of two openers at one epoch only one can make it, and it survives a torn
 * marker. Everything is on the disk before `open` returns.
 */
export class LocalStateStore implements StateStore {
  readonly kind = "local";
  readonly #options: LocalStateOptions;

  constructor(options: LocalStateOptions) {
    this.#options = options;
  }

  async highestEpoch(shard: ShardId): Promise<number> {
    const named = Math.max(0, ...(await this.#epochs(shard)));
    return Math.max(named, (await this.marker(shard))?.epoch ?? 0);
  }

  async marker(shard: ShardId): Promise<StateMarker | null> {
    const file = this.#path(shard, "owner.json");
    const text = await readFile(file, "utf8").catch(missing);
    if (text === null) return null;
    const marker = markerSchema.safeParse(parse(text));
    if (marker.success) return marker.data;
    const aside = `${file}.corrupt-${new Date().toISOString().replaceAll(":", "")}`;
    await rename(file, aside);
    this.#options.log.warn(
      `the marker ${file} of shard ${shard} is unreadable; moved to ${aside}. Its last owner is unknown, its highest epoch is ${Math.max(0, ...(await this.#epochs(shard)))}`,
    );
    return null;
  }

  async open(
    marker: Omit<StateMarker, "final">,
  ): Promise<{ stateDir: string; position: string | null }> {
    const { shard, epoch } = marker;
    await this.#refuseForeign(shard);
    const highest = await this.highestEpoch(shard);
    if (epoch <= highest) {
      throw new Error(
        `shard ${shard} cannot start under epoch ${epoch}: its state has seen epoch ${highest}`,
      );
    }
    const stateDir = this.#path(shard, "state");
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    for (const parent of [this.#options.dataDir, join(this.#options.dataDir, "shards")]) {
      await syncDirectory(parent);
    }
    await this.#nameEpoch(shard, epoch);
    await this.#write(shard, { ...marker, final: false });
    for (const older of await this.#epochs(shard)) {
      if (older < epoch) await rm(this.#path(shard, `epoch-${older}`), { force: true });
    }
    return { stateDir, position: null };
  }

  async setCage(shard: ShardId, epoch: number, cage: string): Promise<void> {
    await this.#write(shard, { ...(await this.#owned(shard, epoch)), cage });
  }

  async finish(shard: ShardId, epoch: number): Promise<string | null> {
    const marker = await this.#owned(shard, epoch);
    await syncTree(this.#path(shard, "state"));
    await this.#write(shard, { ...marker, final: true });
    return null;
  }

  async remove(shard: ShardId, options: { force?: boolean } = {}): Promise<void> {
    if ((await stat(this.#path(shard))) === null) return;
    await this.#refuseForeign(shard);
    const marker = await this.marker(shard);
    if (!options.force && marker?.final !== true) {
      const last = marker ? `${marker.node} under epoch ${marker.epoch}` : "an unknown owner";
      throw new Error(
        `the state of shard ${shard} was not closed cleanly by ${last}; stop it first, or remove it with force`,
      );
    }
    await removeTree(this.#path(shard));
    await syncDirectory(join(this.#options.dataDir, "shards"));
  }

  /** The marker, if it still is the one of `epoch`. */
  async #owned(shard: ShardId, epoch: number): Promise<StateMarker> {
    const marker = await this.marker(shard);
    const highest = await this.highestEpoch(shard);
    if (marker?.epoch === epoch && highest === epoch) return marker;
    throw new Error(`the state of shard ${shard} is not under epoch ${epoch}, but ${highest}`);
  }

  async #refuseForeign(shard: ShardId): Promise<void> {
    const { fleet } = this.#options;
    for (const name of [".", "state"]) {
      const path = this.#path(shard, name);
      const found = await stat(path);
      if (found) refuseUnusable(path, found);
    }
    const marker = await this.marker(shard);
    const path = this.#path(shard);
    if (marker && (marker.fleet !== fleet || marker.shard !== shard)) {
      throw new ForeignState(
        `${path} holds the state of shard ${marker.shard} of fleet ${marker.fleet}, not of shard ${shard} of fleet ${fleet}. Move it away, or use another data directory`,
      );
    }
    if (marker || (await this.#epochs(shard)).length > 0) return;
    // An interrupted first `open` leaves an empty state directory.
    const files = (await readdir(path).catch(missing)) ?? [];
    const inside = (await readdir(this.#path(shard, "state")).catch(missing)) ?? [];
    const strange = files.filter((name) => name !== "state" && !name.startsWith("owner.json."));
    if (strange.length > 0 || inside.length > 0) {
      const what = strange[0] ?? join("state", inside[0] ?? "");
      throw new ForeignState(
        `${path} is not empty (${what}) and carries no marker of shard ${shard} of fleet ${fleet}. Move its content away, or use another data directory`,
      );
    }
  }

  async #nameEpoch(shard: ShardId, epoch: number): Promise<void> {
    const path = this.#path(shard, `epoch-${epoch}`);
    try {
      await (await open(path, "wx", 0o600)).close();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      throw new Error(`shard ${shard} was opened under epoch ${epoch} by somebody else`, {
        cause: error,
      });
    }
    await syncDirectory(this.#path(shard));
    // Somebody with a later epoch may have come between the check and the name.
    const highest = Math.max(...(await this.#epochs(shard)));
    if (highest > epoch) {
      throw new Error(`shard ${shard} was opened under epoch ${highest} meanwhile, after ${epoch}`);
    }
  }

  async #epochs(shard: ShardId): Promise<number[]> {
    const names = (await readdir(this.#path(shard)).catch(missing)) ?? [];
    return names.flatMap((name) => {
      const number = EPOCH_FILE.exec(name)?.[1];
      return number ? [Number(number)] : [];
    });
  }

  async #write(shard: ShardId, marker: StateMarker): Promise<void> {
    const building = this.#path(shard, `owner.json.${randomUUID()}`);
    const file = await open(building, "wx", 0o600);
    try {
      try {
        await file.writeFile(`${JSON.stringify(marker, null, 2)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(building, this.#path(shard, "owner.json"));
    } catch (error) {
      // On a full disk each try would leave one.
      await rm(building, { force: true }).catch(() => {});
      throw error;
    }
    await syncDirectory(this.#path(shard));
  }

  #path(shard: ShardId, ...names: string[]): string {
    return join(this.#options.dataDir, "shards", shard, ...names);
  }
}

function missing(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT") return null;
  throw error;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function stat(path: string): Promise<Stats | null> {
  return lstat(path).catch(missing);
}

function refuseUnusable(path: string, found: Stats): void {
  if (!found.isDirectory()) {
    throw new ForeignState(
      `${path} must be a directory of this fleet, but is ${found.isSymbolicLink() ? "a symbolic link" : "something else"}. Move it away`,
    );
  }
  const uid = process.getuid?.();
  if (uid !== undefined && found.uid !== uid) {
    throw new ForeignState(
      `${path} belongs to user ${found.uid}, this node runs as user ${uid}. Run it as that user, or change the owner of the directory`,
    );
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * Brings every ordinary file below to the disk. What vanishes meanwhile needs no bringing; what an agent let nobody
 * read holds up no end.
 */
async function syncTree(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) await syncTree(child).catch(unreadable);
    if (!entry.isFile()) continue;
    const file = await open(child, "r").catch(unreadable);
    await file?.sync().finally(() => file.close());
  }
  await syncDirectory(path);
}

function unreadable(error: NodeJS.ErrnoException): null {
  return error.code === "EACCES" || error.code === "EPERM" ? null : missing(error);
}
