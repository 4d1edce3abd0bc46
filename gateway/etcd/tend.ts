import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { ClusterAdmin, type ClusterMember, type MemberStatus, presenceOf } from "./ask.ts";
import { noteCluster } from "./cluster-note.ts";
import { type MemberFile, SNAPSHOT_WANTED, selfOf } from "./member-file.ts";

/** Below this size, free space inside the database is not worth a pause. */
const WORTH_BYTES = 64 * 2 ** 20;
const SNAPSHOT_EVERY_MS = 3_600_000;
/** A member that no host is planned for is taken out after this long without an answer, ms. */
const GONE_MS = 900_000;
/** A full member is defragmented again for so long, while its compaction may not have come to its end, ms. */
const SHRINK_MS = 10_000;
const SHRINK_PAUSE_MS = 250;
/** Each member defragments in a part of the hour of its own. */
const HOUR_MS = 3_600_000;

/** A database is worth defragmenting when it is large and more than half of it is free. */
export const wasteful = ({
  bytes,
  bytesInUse,
}: Pick<MemberStatus, "bytes" | "bytesInUse">): boolean =>
  bytes >= WORTH_BYTES && bytesInUse * 2 < bytes;

/** Whether it is this member's turn to defragment: no two at once. */
export function isTurn(index: number, count: number, nowMs: number): boolean {
  return Math.floor(((nowMs % HOUR_MS) * count) / HOUR_MS) === index;
}

/** Of the kept ones, newest last, those that are too many. Names sort by time. */
export function surplus(names: readonly string[], keep: number): string[] {
  const sorted = [...names].sort();
  return sorted.slice(0, Math.max(0, sorted.length - keep));
}

/**
 * What a member needs now and then; run every half minute. Each duty may fail without the others: all are
 * tried again. Returns what went wrong.
 */
export async function tend(file: MemberFile, say: (line: string) => void): Promise<string[]> {
  const faults: string[] = [];
  const admin = new ClusterAdmin([selfOf(file).clientUrl], file);
  const duty = async (what: string, work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      faults.push(`${what}: ${(error as Error).message}`);
    }
  };
  try {
    const status = await admin.status();
    await duty("noting the cluster", async () => noteCluster(file, status.cluster));
    const leads = status.leader === status.id;
    if (!status.learner) {
      if (leads) {
        const members = await admin.members();
        await duty("promoting", () => promote(admin, members, say));
        await duty("taking out", () => takeOut(admin, members, file, say));
      }
      await duty("freeing space", () => freeSpace(admin, status, file, say));
      await duty("snapshot", () => snapshot(file, say));
    }
  } catch (error) {
    faults.push((error as Error).message);
  } finally {
    admin.close();
  }
  return faults;
}

/** A learner that has caught up gets its vote; one that has not is refused, and asked for again. */
async function promote(
  admin: ClusterAdmin,
  members: readonly ClusterMember[],
  say: (line: string) => void,
): Promise<void> {
  for (const { ID, name, isLearner } of members) {
    if (!isLearner || !name) continue;
    try {
      await admin.promote(ID);
      say(`${name} has caught up and votes now`);
    } catch (error) {
      if (!(error as Error).message.includes("in sync")) throw error;
    }
  }
}

/** Hosts that left for good would count against the majority for ever. */
async function takeOut(
  admin: ClusterAdmin,
  members: readonly ClusterMember[],
  file: MemberFile,
  say: (line: string) => void,
): Promise<void> {
  const path = join(file.home, "absent.json");
  const known = new Set(file.members.map(({ peerUrl }) => peerUrl));
  const before: Record<string, number> = existsSync(path)
    ? JSON.parse(readFileSync(path, "utf8"))
    : {};
  const absent: Record<string, number> = {};
  for (const { ID, name = "", peerURLs } of members) {
    const [peerUrl = ""] = peerURLs;
    if (peerURLs.some((url) => known.has(url))) continue;
    const presence = await presenceOf({ peerUrl }, file);
    if (presence === "established" || presence === "waiting") continue;
    const since = before[ID] ?? Date.now();
    if (Date.now() - since < GONE_MS) absent[ID] = since;
    else {
      await admin.remove(ID);
      say(
        `${name || peerUrl} is not planned any more and has not answered: it is out of the cluster`,
      );
    }
  }
  writeFileSync(path, JSON.stringify(absent), { mode: 0o600 });
}

async function freeSpace(
  admin: ClusterAdmin,
  status: MemberStatus,
  file: MemberFile,
  say: (line: string) => void,
): Promise<void> {
  if ((await admin.fullMembers()).length > 0) return endFull(admin, file, say);
  const index = file.members.findIndex(({ name }) => name === file.self);
  if (!wasteful(status) || !isTurn(index, file.members.length, Date.now())) return;
  if (status.leader === status.id && file.members.length > 1) {
    // Its followers would wait; as a follower it keeps nobody waiting.
    const voters = (await admin.members()).filter(
      ({ ID, isLearner }) => ID !== status.id && !isLearner,
    );
    for (const { ID, peerURLs } of voters) {
      // To one that is away the lead would be given in vain, with nobody leading meanwhile.
      const presence = await presenceOf({ peerUrl: peerURLs[0] ?? "" }, file);
      if (presence === "established") return admin.handLeadTo(ID);
    }
    if (voters.length > 0) return;
  }
  await admin.defragment();
  say(`defragmented: ${status.bytes} bytes, ${status.bytesInUse} of them in use`);
}

/**
 * Nothing is written while any member's alarm stands, and each counts its own file against the limit: one that is
 * still large raises it anew, and one whose host is gone never ends it. So whoever looks first does it for all.
 */
async function endFull(
  admin: ClusterAdmin,
  file: MemberFile,
  say: (line: string) => void,
): Promise<void> {
  say("the database is full: it is compacted and defragmented");
  // Read now: a member that answers for the alarms has applied all that was written before them.
  const { revision } = await admin.status();
  // A revision that was compacted before is refused, and there is nothing left to do then.
  await admin.compact(revision).catch((error: Error) => {
    if (!error.message.includes("compacted")) throw error;
  });
  for (const { name, clientURLs = [] } of await admin.members()) {
    const [url] = clientURLs;
    if (url === undefined) continue;
    const member = new ClusterAdmin([url], file);
    try {
      await shrink(member);
    } catch (error) {
      say(`${name || url} keeps its large file for now: ${(error as Error).message}`);
    } finally {
      member.close();
    }
  }
  for (const id of await admin.fullMembers()) await admin.endFullAlarm(id);
}

/** Until the file is half of what it was: a member is told of a compaction before it has done it. */
async function shrink(member: ClusterAdmin): Promise<void> {
  const { bytes } = await member.status();
  for (const deadline = Date.now() + SHRINK_MS; ; ) {
    await member.defragment();
    if ((await member.status()).bytes * 2 < bytes || Date.now() >= deadline) return;
    await setTimeout(SHRINK_PAUSE_MS);
  }
}

/** One file an hour, whole or not there, and one whenever it is asked for. */
async function snapshot(file: MemberFile, say: (line: string) => void): Promise<void> {
  const wanted = join(file.home, SNAPSHOT_WANTED);
  const asked = existsSync(wanted);
  if (file.snapshots === 0 && !asked) return;
  const folder = join(file.home, "snapshots");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const names = readdirSync(folder).filter((name) => name.endsWith(".db"));
  const newest = [...names].sort().at(-1);
  const fresh = newest && Date.now() - statSync(join(folder, newest)).mtimeMs < SNAPSHOT_EVERY_MS;
  if (fresh && !asked) return;
  const name = `${new Date().toISOString().replaceAll(":", "").slice(0, 17)}Z.db`;
  const part = join(folder, "unfinished");
  rmSync(part, { force: true });
  const { ca, cert, key } = file.tls;
  const access = [`--cacert=${ca}`, `--cert=${cert}`, `--key=${key}`];
  const endpoint = `--endpoints=${selfOf(file).clientUrl}`;
  // etcdctl checks the digest at the end of what it received.
  await run(file.etcdctl, [endpoint, ...access, "snapshot", "save", part], { timeout: 120_000 });
  renameSync(part, join(folder, name));
  const keep = Math.max(1, file.snapshots);
  for (const old of surplus([...names, name], keep)) rmSync(join(folder, old));
  rmSync(wanted, { force: true });
  if (!newest) say(`the first snapshot is ${join(folder, name)}; one an hour follows`);
}

const run = promisify(execFile);
