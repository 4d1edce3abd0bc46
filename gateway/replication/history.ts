import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { bootClock } from "../clock.ts";
import type { NodeId, ShardId } from "../contract.ts";
import { epochOf, type Manifest, type Place, parseDirectory } from "./manifest.ts";
import { ReplicaReader } from "./reader.ts";
import { restoreManifest } from "./restore.ts";
import { placeKey, readableTo } from "./rules.ts";
import { type ReplicaTarget, TargetUnavailable } from "./target.ts";
import type { DrillResult, PointInTime } from "./thread-protocol.ts";

type Named = [NodeId | null, ReplicaTarget];

/** Manifests read for one listing, at most: more points are thinned out evenly by nothing else than age. */
const MOST_POINTS = 500;
const PARALLEL = 8;

/**
 * The moments that a shard can go back to, newest first. A site that cannot be read is left out, unless all
 * are. What stands after a seal is no moment: nobody was told of it.
 */
export async function pointsInTime(
  sites: readonly Named[],
  fleet: string,
  shard: ShardId,
): Promise<PointInTime[]> {
  const faults: unknown[] = [];
  const found: PointInTime[] = [];
  for (const [site, target] of sites) {
    try {
      found.push(...(await pointsAt(site, target, fleet, shard)));
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
): Promise<PointInTime[]> {
  const reader = new ReplicaReader(target, fleet, shard);
  const { views } = await reader.directories();
  const places = views
    .flatMap((view) => {
      const to = readableTo(view);
      return view.manifests
        .filter((seq) => seq <= to)
        .map((seq): Place => ({ directory: view.directory, seq }));
    })
    .reverse()
    .slice(0, MOST_POINTS);
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

/** The place that {@link PointInTime.place} names. */
export function parsePlace(text: string): Place {
  const at = text.lastIndexOf("/");
  return { directory: text.slice(0, at), seq: Number(text.slice(at + 1)) };
}

/** Restores the newest moment of a shard beside everything, checks it, and removes it again. */
export async function drillRestore(
  sites: readonly Named[],
  { fleet, shard, scratch }: { fleet: string; shard: ShardId; scratch: string },
): Promise<DrillResult> {
  const [point] = await pointsInTime(sites, fleet, shard);
  if (!point) throw new Error(`${shard} has no replica yet`);
  const target = sites.find(([site]) => site === point.site)?.[1] as ReplicaTarget;
  const into = join(scratch, `drill-${shard}`);
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  const began = bootClock.now();
  try {
    const reader = new ReplicaReader(target, fleet, shard);
    const { bytes } = await restoreManifest(reader, parsePlace(point.place), into);
    return { point, bytes, tookMs: Math.round(bootClock.now() - began) };
  } finally {
    await rm(into, { recursive: true, force: true });
  }
}
