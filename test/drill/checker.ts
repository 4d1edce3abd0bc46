import { faultsHappened } from "./checks/faults.ts";
import { indexHistory } from "./checks/index.ts";
import { epochsGrow, oneOwner } from "./checks/owners.ts";
import { nothingLostSilently } from "./checks/requests.ts";
import { sessionsKeepHistory } from "./checks/sessions.ts";
import { oneCronRunPerSlot, onePoller, oneRunPerTurn } from "./checks/turns.ts";
import type { HistoryEvent, HistoryHeader } from "./history.ts";
import type { Expectation, Outcome } from "./verdict.ts";

/** History → verdicts. Pure. */
export function check(
  header: HistoryHeader,
  events: readonly HistoryEvent[],
  expected: Expectation,
): Outcome {
  const index = indexHistory(events);
  const verdicts = [
    nothingLostSilently(index, expected),
    oneRunPerTurn(index),
    oneOwner(index, header.shards),
    sessionsKeepHistory(index),
    epochsGrow(index, header.shards),
    ...(expected.telegram ? [onePoller(index)] : []),
    ...(expected.cron ? [oneCronRunPerSlot(index, Date.parse(header.startedAt))] : []),
    faultsHappened(index, expected.faults),
  ];
  return { ok: verdicts.every((verdict) => verdict.status === "passed"), verdicts };
}
