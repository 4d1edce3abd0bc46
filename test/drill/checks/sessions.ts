import { judge, type Verdict, type Violation } from "../verdict.ts";
import { at, type HistoryIndex } from "./index.ts";
import { hostLosses, mayBeForgotten } from "./losses.ts";

/**
 * Later turns carry earlier answers: the model must see, in each prompt, all that was answered before, but the last
 * words of a host that was lost. An answer that is missing is told once, by the first prompt that lacks it.
 */
export function sessionsKeepHistory(index: HistoryIndex): Verdict {
  const violations: Violation[] = [];
  let evaluated = 0;
  let forgotten = 0;
  const losses = hostLosses(index);
  const sessions = Map.groupBy(
    index.requests,
    ({ invoked }) => `${invoked.agent}/${invoked.session}`,
  );
  for (const [session, requests] of sessions) {
    const missed = new Set<string>();
    for (const later of requests) {
      const call = index.callsByMarker.get(later.invoked.marker)?.at(-1);
      if (!call) continue;
      const earlier = requests.filter(
        (request) => request.outcome?.type === "answered" && request.outcome.t < later.invoked.t,
      );
      if (earlier.length === 0) continue;
      evaluated++;
      const told = new Set(call.begin.told);
      const gone = earlier.filter(
        ({ invoked: { marker } }) => !told.has(marker) && !missed.has(marker),
      );
      for (const { invoked } of gone) missed.add(invoked.marker);
      const missing = gone.filter(
        ({ invoked, outcome }) => !mayBeForgotten(index, losses, invoked.marker, outcome?.t ?? 0),
      );
      forgotten += gone.length - missing.length;
      const [first] = missing;
      if (!first) continue;
      violations.push({
        t: call.begin.t,
        text: `session ${session} had ${earlier.length} answers before ${later.invoked.marker}, but its prompt at ${at(call.begin.t)} lacked ${missing.length}, first ${first.invoked.marker} answered at ${at(first.outcome?.t ?? 0)}`,
      });
    }
  }
  return judge("sessions", "sessions keep their history", {
    evaluated,
    of: "turns with earlier answers",
    violations,
    note: `${sessions.size} sessions${forgotten > 0 ? `, ${forgotten} answers went with a lost host's last second` : ""}`,
  });
}
