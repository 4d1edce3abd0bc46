import { setTimeout as sleep } from "node:timers/promises";
import { ClusterAdmin, type ClusterMember, presenceOf } from "./ask.ts";
import { type MemberFile, selfOf } from "./member-file.ts";
import { markLeft } from "./prepare.ts";

/** A member that votes, as it is seen when another one wants to leave. */
export interface Voter {
  readonly name: string;
  readonly answers: boolean;
}

/**
 * Why a member must not leave: those that would remain and answer were no majority of those that would remain, and
 * the fleet's leases would stand still. Null: it may.
 */
export function leaveFault(self: string, others: readonly Voter[]): string | null {
  const answering = others.filter(({ answers }) => answers).length;
  const needed = Math.floor(others.length / 2) + 1;
  if (others.length === 0 || answering >= needed) return null;
  const away = others.flatMap(({ name, answers }) => (answers ? [] : [name]));
  return (
    `${self} must not leave etcd now: of the ${others.length} members that would remain ${needed} have to answer, and ${answering === 0 ? "none does" : `only ${answering} does`}. ` +
    `Start etcd on ${away.join(", ")} first. A member whose host is gone for good is taken out after 15 minutes, once no host is planned for it: then run the command again`
  );
}

/** Members that were just started are trusted by etcd itself only after some seconds, ms. */
const GIVE_UP_MS = 60_000;
const PAUSE_MS = 1_000;

/**
 * Takes this member out of its cluster for good, and keeps it from joining again by itself. Doing it again does no harm.
 * Throws when that would cost the others their majority, and when they have none already.
 */
export async function leave(
  file: MemberFile,
  say: (line: string) => void,
  { giveUpMs = GIVE_UP_MS }: { giveUpMs?: number } = {},
): Promise<void> {
  const begun = performance.now();
  for (;;) {
    try {
      return await tryToLeave(file, say);
    } catch (error) {
      if (performance.now() - begun > giveUpMs) throw error;
      await sleep(PAUSE_MS);
    }
  }
}

async function tryToLeave(file: MemberFile, say: (line: string) => void): Promise<void> {
  const self = selfOf(file);
  const urls = file.members.map(({ clientUrl }) => clientUrl);
  const others = urls.filter((url) => url !== self.clientUrl);
  // Its own address is asked last: a member that takes itself out may not answer.
  const admin = new ClusterAdmin([...others, self.clientUrl], file);
  try {
    const members = await admin.members().catch((error: Error) => {
      throw new Error(
        `${file.self} cannot leave etcd: it has no majority now (${error.message}). Start etcd on the other hosts first (docs/operations: members of etcd)`,
      );
    });
    const own = members.find(({ peerURLs }) => peerURLs.includes(self.peerUrl));
    const voters = members.filter(({ ID, isLearner }) => ID !== own?.ID && !isLearner);
    if (!own) {
      // Also when the answer to its removal was lost.
      markLeft(file);
      return say(`${file.self} is in no cluster any more`);
    }
    if (voters.length === 0) return say(`${file.self} is the last member; its data stay`);
    const answers = await Promise.all(voters.map((member) => voterOf(member, file)));
    const fault = leaveFault(file.self, answers);
    if (fault) throw new Error(fault);
    await admin.remove(own.ID);
    markLeft(file);
    say(`${file.self} is out of the cluster; ${voters.length} remain`);
  } finally {
    admin.close();
  }
}

async function voterOf({ name, peerURLs }: ClusterMember, file: MemberFile): Promise<Voter> {
  const [peerUrl = ""] = peerURLs;
  const presence = await presenceOf({ peerUrl }, file);
  return { name: name || peerUrl, answers: presence === "established" };
}
