import { knownFacts } from "../fault-names.ts";
import type { FaultRecord, GroupRecord, HistoryIndex } from "./index.ts";

/** What a lost host may take with it: what it acknowledged in its last second (docs/replication.md), ms. */
const LAST_MS = 1_000;
/** A replica whose host was lost has no other place before this: its silence is believed after ten seconds, then comes a manifest. */
const OTHER_PLACE_MS = 15_000;
/** An answer may be on its way for this long after its gateway is gone. */
const IN_FLIGHT_MS = 1_000;

/** One shard's owner that was lost with its host, while another host took the shard. */
export interface HostLoss {
  shard: string;
  /** Answers that were given between these may be missing afterwards. */
  from: number;
  to: number;
}

/** When nothing of a gateway could run any more: it ended, or was frozen and never went on but to be ended. */
function lastMoment(group: GroupRecord, successor: GroupRecord): number {
  const before = group.running.filter(({ from }) => from < successor.from);
  return before.at(-1)?.to ?? group.to;
}

/** True for the second of two hosts that were lost so soon after each other that its replica may have been on the first. */
const isSecond = ({ target, from }: FaultRecord, node: string | null, end: number): boolean =>
  target.endsWith(`, then ${node}`) && end - from <= OTHER_PLACE_MS;

const hits = ({ target }: FaultRecord, node: string | null): boolean =>
  target === "all hosts" || target.split(/, (?:then )?/).some((name) => name === node);

/**
 * The losses of hosts in a history, by what was seen from outside: the fault that took the host, the end of the gateway on it, and
 * the next gateway of its shard on another host. A gateway that comes back where it was has its state, and a fault
 * of anything less than a host excuses nothing.
 *
 * What the second of two hosts says while its replica has no place counts from the loss of the first (docs/replication.md).
 *
 * A host that is cut off goes on answering those who reach it until its deadline passes: what it says then is said by a host that
 * is lost already, so the time counts from the cut.
 */
export function hostLosses(index: Pick<HistoryIndex, "groups" | "faults">): HostLoss[] {
  const faults = index.faults.filter(({ name }) => knownFacts(name)?.losesHost);
  const losses: HostLoss[] = [];
  for (const groups of Map.groupBy(index.groups, ({ shard }) => shard).values()) {
    const inOrder = [...groups].sort((a, b) => a.from - b.from);
    for (const [i, group] of inOrder.entries()) {
      const successor = inOrder[i + 1];
      if (!successor || successor.node === group.node) continue;
      const end = lastMoment(group, successor);
      const fault = faults.find(
        (one) =>
          hits(one, group.node) &&
          one.from - IN_FLIGHT_MS <= end &&
          end <= (one.recovered ?? Number.POSITIVE_INFINITY),
      );
      if (!fault) continue;
      const cut = knownFacts(fault.name)?.losesHost === "cut" && group.from <= fault.from;
      const lost = cut || isSecond(fault, group.node, end) ? Math.min(fault.from, end) : end;
      losses.push({ shard: group.shard, from: lost - LAST_MS, to: end + IN_FLIGHT_MS });
    }
  }
  return losses;
}

/**
 * True when the answer that was given then was among the last words of a lost host: when it was given, or when the model had
 * said it there, for a stored answer may come to its client later.
 */
export function mayBeForgotten(
  index: HistoryIndex,
  losses: readonly HostLoss[],
  marker: string,
  answeredAt: number,
): boolean {
  const calls = index.callsByMarker.get(marker) ?? [];
  return losses.some(({ shard, from, to }) => {
    const within = (t: number): boolean => from <= t && t <= to;
    const here = calls.filter(({ group }) => group?.shard === shard);
    return here.some(
      ({ end }) => within(answeredAt) || (end?.outcome === "answered" && within(end.t)),
    );
  });
}
