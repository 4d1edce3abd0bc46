import type { HistoryEntry, HistoryEvent } from "../drill/history.ts";
import { lawfulWorld, type World } from "./world.ts";

/** What is lost with a host, and what the drill's history says of it. */
export interface Loss {
  /** The fault, and whether it hit the host that owned the shard. */
  fault: string;
  hit: boolean;
  /** How long before the end of its gateway an answer was given that nobody knows afterwards, ms. */
  beforeMs: number;
  /** How long before that end the fault came, ms. @default 1 */
  faultBeforeMs?: number;
  /** The fault took another host first. */
  afterAnother?: boolean;
  /** The shard goes on where it was. */
  sameNode?: boolean;
}

export const LOST_TURN = "turn-1057000000a1";
const AFTER = ["turn-1057000000b1", "turn-1057000000b2"];

/** A history in which a session of its own lost one answer with the owner of its shard. */
export function lostAnswer(loss: Loss, seed = 1): World {
  const world = lawfulWorld({ seed, shards: 1, turns: 8, crashes: 1 });
  const [first, second] = world.events.filter((event) => event.type === "process-up");
  const end = world.events.find((event) => event.type === "process-down")?.t ?? 0;
  if (!first || !second) throw new Error("the world has no crash");
  const owner = loss.hit ? String(first.node) : "another";
  const target = loss.afterAnother ? `another, then ${owner}` : owner;
  const events: HistoryEvent[] = world.events.map((event) => {
    if (event.type === "fault") {
      const t = event.phase === "do" ? end - (loss.faultBeforeMs ?? 1) : event.t;
      return { ...event, t, name: loss.fault, target };
    }
    if (event === second && loss.sameNode) return { ...event, node: first.node };
    return event;
  });
  const put = (t: number, entry: HistoryEntry) => events.push({ t, ...entry } as HistoryEvent);
  const turn = (
    marker: string,
    from: number,
    to: number,
    [pid, epoch]: [number, number],
    told: string[] = [],
  ) => {
    const session = "lost";
    const request = { client: "lost", agent: "main", session, key: null, marker, turnMs: 0 };
    put(from, { type: "invoked", id: marker, kind: "chat", ...request });
    call(marker, from + 1, to - 1, pid, told);
    const reply = `You said: ${marker}`;
    put(to, { type: "answered", id: marker, reply, shard: "s1", epoch, node: null, attempts: 1 });
  };
  const call = (marker: string, from: number, to: number, pid: number, told: string[]) => {
    const said = { resumed: false, continuation: false, asked: [...told, marker], told };
    const id = `call of ${marker} at ${from}`;
    put(from, { type: "model-begin", call: id, marker, pid, ...said });
    put(to, { type: "model-end", call: id, outcome: "answered" });
  };
  turn(LOST_TURN, end - loss.beforeMs - 20, end - loss.beforeMs, [first.pid, 1]);
  for (const [n, marker] of AFTER.entries()) {
    const from = second.t + 100 + 50 * n;
    turn(marker, from, from + 30, [second.pid, 2], AFTER.slice(0, n));
  }
  events.sort((a, b) => a.t - b.t);
  return { header: { ...world.header, faults: [loss.fault] }, events };
}

/** The same, and the next owner does the turn again. */
export function answeredAgain(loss: Loss): World {
  const { header, events } = lostAnswer(loss);
  const [first, second] = events.filter((event) => event.type === "process-up");
  const answer = events.find((event) => event.type === "answered" && event.id === LOST_TURN);
  if (!first || !second || !answer) throw new Error("the world has no lost answer");
  const said = { resumed: false, continuation: false, asked: [LOST_TURN], told: [] };
  const { pid } = second;
  const more: HistoryEvent[] = [
    { t: second.t + 10, type: "model-begin", call: "again", marker: LOST_TURN, pid, ...said },
    { t: second.t + 20, type: "model-end", call: "again", outcome: "answered" },
  ];
  for (const t of [answer.t, second.t + 25]) {
    more.push({ t, type: "delivered", bot: "bot", chat: "7", markers: [LOST_TURN] });
  }
  return { header, events: [...events, ...more].sort((a, b) => a.t - b.t) };
}
