import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ClusterAdmin, type ClusterMember, type Presence, presenceOf } from "./ask.ts";
import { notedCluster } from "./cluster-note.ts";
import { dataOf, type MemberFile, type PlannedMember, selfOf } from "./member-file.ts";

/** How a member starts. */
export interface Start {
  state: "new" | "existing";
  /** `name=url` of every member, in etcd's form. */
  cluster: string;
}

/**
 * - `begin`: nobody has ever had a cluster; all planned members form one together.
 * - `join`: there is one, and this member has nothing of it.
 * - `ask`: it cannot be told yet.
 */
export type Verdict = "begin" | "join" | "ask";

/**
 * What a member without data does, by what the others say. It must never begin a second cluster, nor come
 * back empty under its old identity: a member that forgot what it voted for can lose what a majority had
 * acknowledged. So one host that does not answer, and might know of a cluster, is waited for.
 */
export function judgeOthers(
  presences: readonly Presence[],
  waitedMs: number,
  refusedMs = REFUSED_MS,
): Verdict {
  if (presences.includes("established")) return "join";
  if (presences.includes("unreachable")) return "ask";
  // One that waits has found nobody either.
  if (presences.includes("waiting")) return "begin";
  // Those that refuse may be about to start with their data.
  return presences.includes("refused") && waitedMs < refusedMs ? "ask" : "begin";
}

/** How long members that do not run are given to appear, ms: hosts that boot together, and crashes. */
export const REFUSED_MS = 15_000;
/** After this the start fails, says why, and is tried again by systemd, ms. */
const GIVE_UP_MS = 150_000;
const PAUSE_MS = 1_000;

export interface PrepareOptions {
  say(line: string): void;
  /** Longest wait for others that must be asked, ms. @default 150000 */
  giveUpMs?: number;
  /** @default {@link REFUSED_MS} */
  refusedMs?: number;
  /** When the deployment last wrote the member's file, ms: a later `leave` counts. @default 0 */
  deployedAtMs?: number;
}

/** Finds out how this member must start, changes the cluster's list where needed, and writes etcd's settings. */
export async function prepare(file: MemberFile, options: PrepareOptions): Promise<Start> {
  const { say, giveUpMs = GIVE_UP_MS, refusedMs, deployedAtMs = 0 } = options;
  const left = leftAtMs(file);
  if (left !== null && left >= deployedAtMs) {
    throw new Error(
      `${file.self} was told to leave its cluster, and joins again only when a deployment plans it anew (or ${leftMark(file)} is removed). If its host is one of the fleet's: ./fleet refresh, then ./fleet up`,
    );
  }
  const begun = performance.now();
  for (let said = ""; ; ) {
    try {
      const start = await tryStart(file, performance.now() - begun, say, refusedMs);
      if (typeof start !== "string") {
        writeStart(file, start);
        return start;
      }
      if (start !== said) say(start);
      said = start;
    } catch (error) {
      const words = (error as Error).message;
      if (words !== said) say(words);
      said = words;
    }
    if (performance.now() - begun > giveUpMs) {
      throw new Error(
        `etcd on ${file.self} cannot start: ${said}. It is tried again; start the hosts named, or restore a snapshot (docs/operations: etcd)`,
      );
    }
    await sleep(PAUSE_MS);
  }
}

/** One look. Text: not yet, and why. */
async function tryStart(
  file: MemberFile,
  waitedMs: number,
  say: (line: string) => void,
  refusedMs: number | undefined,
): Promise<Start | string> {
  const self = selfOf(file);
  const others = file.members.filter(({ name }) => name !== file.self);
  const planned = (): Start => ({ state: "new", cluster: clusterOf(file.members) });
  const faults = new Map<string, string>();
  const presences = await Promise.all(
    others.map((member) => presenceOf(member, file, (why) => faults.set(member.name, why))),
  );
  const established = others.filter((_, n) => presences[n] === "established");
  if (hasData(file)) {
    // With data it goes on as what it is, unless the others have taken it off their list.
    if (established.length === 0) return planned();
    const admin = adminOf(established, file);
    try {
      const cluster = await admin.cluster().catch(() => null);
      if (!cluster) return planned();
      const own = notedCluster(file);
      // With its own list and majority of one it would be a second store for whoever asks it first.
      const another = own !== null && cluster.id !== own;
      // On the list without a name: added anew and never started, so these files are of an older identity.
      if (!another && findSelf(cluster.members, self)?.name) return planned();
      say(
        another
          ? `the others have begun a cluster without ${file.self}; its files of the one before are put aside and it joins them`
          : `${file.self} was taken out of the cluster; its old files are put aside and it joins anew`,
      );
      putAside(file);
      return await join(admin, file, self, say, true);
    } finally {
      admin.close();
    }
  }
  switch (judgeOthers(presences, waitedMs, refusedMs)) {
    case "begin":
      return planned();
    case "ask": {
      const words = [...faults].map(([name, why]) => `${name} (${why})`).join(", ");
      return `waiting for ${words}: without an answer nobody can tell whether this fleet has an etcd already`;
    }
    case "join": {
      const admin = adminOf(established, file);
      try {
        return await join(admin, file, self, say);
      } finally {
        admin.close();
      }
    }
  }
}

/**
 * Puts this member on the cluster's list. Throws while the cluster refuses.
 * @param had it had files, which are put aside now
 */
async function join(
  admin: ClusterAdmin,
  file: MemberFile,
  self: PlannedMember,
  say: (line: string) => void,
  had = false,
): Promise<Start> {
  let members = await admin.members();
  const old = findSelf(members, self);
  // Under its old identity it would have forgotten its votes, or entries that the leader knows it to have: also one
  // without a name may have got some before it was killed.
  const anew = old !== undefined && (had || Boolean(old.name));
  if (old && anew) {
    say(`${file.self} has lost its files: its old place in the cluster is given up`);
    await admin.remove(old.ID);
  }
  if (!old || anew) {
    for (const gone of await goneStrangers(members, file)) {
      say(
        `${gone.name} is not planned any more and does not answer: it is taken out of the cluster`,
      );
      await admin.remove(gone.ID);
    }
    members = await admin.addLearner(self.peerUrl);
    say(`${file.self} joins a cluster of ${members.length - 1}`);
  }
  const named = members.map(({ ID, name, peerURLs }) => ({
    name: peerURLs.includes(self.peerUrl) ? self.name : name || `member-${ID}`,
    peerUrl: peerURLs[0] ?? "",
  }));
  return { state: "existing", cluster: clusterOf(named) };
}

/** Members that no host is planned for and that do not answer: hosts that were replaced. */
async function goneStrangers(
  members: readonly ClusterMember[],
  file: MemberFile,
): Promise<ClusterMember[]> {
  const known = new Set(file.members.map(({ peerUrl }) => peerUrl));
  const strangers = members.filter(({ peerURLs }) => !peerURLs.some((url) => known.has(url)));
  const asked = await Promise.all(
    strangers.map(({ peerURLs }) => presenceOf({ peerUrl: peerURLs[0] ?? "" }, file)),
  );
  return strangers.filter((_, n) => asked[n] === "unreachable" || asked[n] === "refused");
}

const findSelf = (members: readonly ClusterMember[], { peerUrl }: PlannedMember) =>
  members.find(({ peerURLs }) => peerURLs.includes(peerUrl));

const adminOf = (members: readonly PlannedMember[], file: MemberFile) =>
  new ClusterAdmin(
    members.map(({ clientUrl }) => clientUrl),
    file,
  );

const clusterOf = (members: readonly Pick<PlannedMember, "name" | "peerUrl">[]): string =>
  members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join();

const leftMark = ({ home }: MemberFile): string => `${home}/left`;

function leftAtMs(file: MemberFile): number | null {
  const path = leftMark(file);
  return existsSync(path) ? statSync(path).mtimeMs : null;
}

/** From now on it does not join again by itself: whoever left would be back a moment later. */
export function markLeft(file: MemberFile): void {
  writeFileSync(leftMark(file), "");
}

function hasData(file: MemberFile): boolean {
  const data = dataOf(file);
  return existsSync(data) && readdirSync(data).length > 0;
}

/** Never deleted: somebody may want to look at it. */
function putAside(file: MemberFile): void {
  const aside = `${file.home}/aside`;
  mkdirSync(aside, { recursive: true, mode: 0o700 });
  const name = new Date().toISOString().replaceAll(":", "");
  renameSync(dataOf(file), `${aside}/${name}`);
}

function writeStart(file: MemberFile, { state, cluster }: Start): void {
  const config = JSON.parse(readFileSync(file.config, "utf8")) as Record<string, unknown>;
  const whole = { ...config, "initial-cluster": cluster, "initial-cluster-state": state };
  writeFileSync(file.startConfig, `${JSON.stringify(whole, null, 2)}\n`, { mode: 0o640 });
}
