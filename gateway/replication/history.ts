import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { bootClock } from "../clock.ts";
import type { NodeId, ShardId } from "../contract.ts";
import {
  comparePlaces,
  epochOf,
  type Manifest,
  type Place,
  parseDirectory,
  parseEpochKey,
} from "./manifest.ts";
import type { GoBack } from "./port.ts";
import { DamagedReplica, ReplicaReader } from "./reader.ts";
import { restoreManifest } from "./restore.ts";
import { KEEP, type Keep, manifestsToRemove, nowOf, type Point } from "./retention.ts";
import { placeKey, readableTo } from "./rules.ts";
import { type ReplicaTarget, TargetUnavailable } from "./target.ts";
import type { DrillResult, PointInTime } from "./thread-protocol.ts";

type Named = [NodeId | null, ReplicaTarget];

/** Of a site's manifests these are all listed, a few minutes of them while much is written; of older ones what is kept. */
const NEWEST = 500;
/** Manifests read at a time. */
const PARALLEL = 8;

/**
 * The moments that a shard can go back to, newest first. A site that cannot be read is left out, unless all
 * are. What stands after a seal is no moment: nobody was told of it. Older ones that the next tidying up removes are
 * not listed.
 */
export async function pointsInTime(
  sites: readonly Named[],
  fleet: string,
  shard: ShardId,
  keep: readonly Keep[] = KEEP,
): Promise<PointInTime[]> {
  const faults: unknown[] = [];
  const found: PointInTime[] = [];
  for (const [site, target] of sites) {
    try {
      found.push(...(await pointsAt(site, target, fleet, shard, keep)));
    } catch (error) {
      if (!(error instanceof TargetUnavailable)) throw error;
      faults.push(error);
    }
  }
  if (faults.length === sites.length && faults.length > 0) throw faults[0];
  return found.sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0));
}

async function pointsAt(
  site: NodeId | null,
  target: ReplicaTarget,
  fleet: string,
  shard: ShardId,
  keep: readonly Keep[],
): Promise<PointInTime[]> {
  const reader = new ReplicaReader(target, fleet, shard);
  const { views, objects } = await reader.directories();
  const limits = new Map(views.map((view) => [view.directory, readableTo(view)]));
  const stored = objects.flatMap(({ key, storedAtMs }): Point[] => {
    const parsed = parseEpochKey(key);
    if (parsed?.kind !== "manifest") return [];
    const { place } = parsed;
    return place.seq > (limits.get(place.directory) ?? 0) ? [] : [{ place, atMs: storedAtMs }];
  });
  const removed = new Set(manifestsToRemove(stored, nowOf(stored, Date.now()), keep).map(placeKey));
  const places = stored
    .map(({ place }) => place)
    .sort((a, b) => comparePlaces(b, a))
    .filter((place, at) => at < NEWEST || !removed.has(placeKey(place)));
  const points: PointInTime[] = [];
  for (let at = 0; at < places.length; at += PARALLEL) {
    const some = places.slice(at, at + PARALLEL);
    const manifests = await Promise.all(some.map((place) => reader.manifest(place)));
    for (const manifest of manifests) if (manifest) points.push(pointOf(manifest, site));
  }
  return points;
}

function pointOf(manifest: Manifest, site: NodeId | null): PointInTime {
  const { place, at, release, databases } = manifest;
  return {
    at,
    epoch: epochOf(place.directory),
    node: parseDirectory(place.directory)?.node ?? "",
    place: placeKey(place),
    site,
    release,
    bytes: databases.reduce((sum, { size }) => sum + size, 0),
    databases: databases.length,
  };
}

/** Whether a shard can go back to a moment, listed or not. Throws when its site cannot be read. */
export async function isPointInTime(
  sites: readonly Named[],
  fleet: string,
  shard: ShardId,
  { place: text, site }: GoBack,
): Promise<boolean> {
  const target = sites.find(([name]) => name === site)?.[1];
  if (!target) return false;
  const reader = new ReplicaReader(target, fleet, shard);
  const { directory, seq } = parsePlace(text);
  const { views } = await reader.directories();
  const view = views.find((one) => one.directory === directory);
  if (!view?.manifests.includes(seq) || seq > readableTo(view)) return false;
  return (await reader.manifest({ directory, seq })) !== null;
}

/** The place that {@link PointInTime.place} names. */
export function parsePlace(text: string): Place {
  const at = text.lastIndexOf("/");
  return { directory: text.slice(0, at), seq: Number(text.slice(at + 1)) };
}

export interface DrillOptions {
  fleet: string;
  shard: ShardId;
  /** Folder of its own, made and removed again: nothing else lies in it. */
  scratch: string;
  /** Conversations in restored databases; null: not to be told. */
  countSessions: (stateDir: string, databases: readonly string[]) => number | null;
  /** Bytes that are free where `scratch` is. */
  freeBytes: () => Promise<number>;
  /** Wall clock, ms. @default Date.now */
  now?: () => number;
}

/** Of what is free a drill takes at most this part: what serves lies on the same disk. */
const MOST_OF_FREE = 0.5;

/**
 * Restores the newest moment of a shard beside everything, checks it, and removes it again. Throws when there is none,
 * when it is not whole, or when there is no room for it.
 */
export async function drillRestore(
  sites: readonly Named[],
  { fleet, shard, scratch, countSessions, freeBytes, now = Date.now }: DrillOptions,
): Promise<DrillResult> {
  const [point] = await pointsInTime(sites, fleet, shard);
  if (!point) throw new Error(`${shard} has no replica yet`);
  const target = sites.find(([site]) => site === point.site)?.[1] as ReplicaTarget;
  const ageMs = Math.max(0, now() - Date.parse(point.at));
  const into = join(scratch, shard);
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  const began = bootClock.now();
  try {
    const reader = new ReplicaReader(target, fleet, shard);
    const place = parsePlace(point.place);
    const [needed, free] = [await bytesOf(reader, place), await freeBytes()];
    if (needed > free * MOST_OF_FREE) {
      throw new Error(
        `${shard} has ${mib(needed)}, and only ${mib(free)} are free on the node that tries: at most half of it is used`,
      );
    }
    const { bytes, manifest } = await restoreManifest(reader, place, into);
    const tookMs = Math.round(bootClock.now() - began);
    const databases = manifest.databases.map(({ path }) => path);
    return { point, ageMs, bytes, sessions: countSessions(into, databases), tookMs };
  } catch (error) {
    if (!(error instanceof DamagedReplica)) throw error;
    const where = point.site === null ? "" : `, kept on ${point.site}`;
    throw new Error(`the moment of ${point.at}${where} is not whole: ${error.message}`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** What a restore writes: databases and ordinary files. */
async function bytesOf(reader: ReplicaReader, place: Place): Promise<number> {
  const manifest = await reader.manifest(place);
  if (!manifest) throw new DamagedReplica(`manifest ${place.seq} of ${place.directory} is damaged`);
  let bytes = 0;
  for (const { size } of manifest.databases) bytes += size;
  for (const file of await reader.files(manifest)) if (file.kind === "file") bytes += file.size;
  return bytes;
}

const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
