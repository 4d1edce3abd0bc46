import type { HistoryEntry, HistoryEvent, HistoryHeader } from "../drill/history.ts";
import { seeded } from "../drill/random.ts";

/** What a made-up drill looks like. */
export interface WorldShape {
  seed: number;
  shards: number;
  /** Turns per session. */
  turns: number;
  /** Gateway crashes, spread over the time. */
  crashes: number;
}

export interface World {
  header: HistoryHeader;
  events: HistoryEvent[];
}

const NODES = ["a", "b"];

/**
 * A history as a fleet that keeps every law would leave it: one gateway a shard at a time, crashes
 * with recovery in between, turns that run again when a crash met them.
 */
export function lawfulWorld(shape: WorldShape): World {
  const random = seeded(shape.seed);
  const events: HistoryEvent[] = [];
  const put = (t: number, entry: HistoryEntry) => events.push({ t, ...entry } as HistoryEvent);
  const end = 20_000 * (shape.crashes + 2);
  const shards = Array.from({ length: shape.shards }, (_, i) => `s${i + 1}`);
  let pid = 1000;
  let n = 0;
  let turn = 0;
  let calls = 0;
  const marker = () => `turn-${(++turn).toString(16).padStart(12, "0")}`;

  for (let t = 0; t <= end; t += 500) put(t, { type: "looked", what: "processes", gapMs: 500 });
  for (const shard of shards) {
    const mine = Array.from({ length: shape.crashes }, (_, i) => ({ at: 20_000 * (i + 1) }));
    const starts = [0, ...mine.map((crash) => crash.at + 5_000)];
    const groups = starts.map((from, i) => ({
      group: `${shard}/${i}`,
      pid: ++pid,
      epoch: i + 1,
      node: NODES[(i + Number(shard.slice(1))) % NODES.length] as string,
      from,
      to: mine[i]?.at ?? Number.POSITIVE_INFINITY,
    }));
    for (const [i, group] of groups.entries()) {
      const { epoch, node } = group;
      put(group.from, { type: "process-up", shard, group: group.group, pid: group.pid, node });
      put(group.from + 1, {
        type: "lease",
        shard,
        owner: node,
        epoch,
        state: "serving",
        pid: group.pid,
      });
      if (group.to < end) {
        put(group.to, { type: "process-down", shard, group: group.group });
        const fault = {
          type: "fault" as const,
          n: ++n,
          name: "kill-gateway",
          kind: "crash" as const,
          target: shard,
          shards: [shard],
          detail: "",
        } satisfies Omit<Extract<HistoryEntry, { type: "fault" }>, "phase">;
        put(group.to - 1, { ...fault, phase: "do" });
        put(group.to + 1, { ...fault, phase: "heal" });
        put(group.to + 6_000, { ...fault, phase: "recovered" });
      }
      if (shard === "s1") {
        const poll = `p${i}`;
        put(group.from + 100, { type: "poll-begin", bot: "bot", poll, pid: group.pid });
        put(Math.min(group.to, end), { type: "poll-end", bot: "bot", poll });
      }
    }
    const told: string[] = [];
    let t = 100;
    for (let i = 0; i < shape.turns && t < end - 15_000; i++) {
      const kind =
        shard === "s1" && i % 4 === 3 ? "telegram" : random.pick(["chat", "ws"] as const);
      const id = `${shard}-${i}`;
      const own = marker();
      const base = { client: "c", agent: "main", session: shard, key: null };
      put(t, { type: "invoked", id, ...base, kind, marker: own, turnMs: 500 });
      let owner = groups.findLast((group) => group.from <= t + 10);
      let begin = t + 10;
      if (owner && begin >= owner.to) {
        owner = groups[groups.indexOf(owner) + 1];
        begin = (owner?.from ?? 0) + 10;
      }
      let running = true;
      while (owner && running) {
        const call = `call${++calls}`;
        const asked = [...told, own];
        const resumed = begin > t + 10;
        put(begin, {
          type: "model-begin",
          call,
          marker: own,
          pid: owner.pid,
          resumed,
          continuation: false,
          asked,
          told: [...told],
        });
        const done = begin + random.between(200, 9_000);
        running = done >= owner.to;
        put(Math.min(done, owner.to), {
          type: "model-end",
          call,
          outcome: running ? "aborted" : "answered",
        });
        if (!running) {
          const { epoch, node } = owner;
          const reply = `You said: ${own}`;
          put(done + 5, { type: "answered", id, reply, shard, epoch, node, attempts: 1 });
          if (kind === "telegram") {
            put(done + 4, { type: "delivered", bot: "bot", chat: "7", markers: [own] });
          }
          t = done + random.between(50, 2_000);
        } else {
          owner = groups[groups.indexOf(owner) + 1];
          begin = (owner?.from ?? 0) + 50;
        }
      }
      told.push(own);
    }
  }
  const home = events.filter((e) => e.type === "process-up" && e.shard === "s1");
  for (let slot = 0; slot * 60_000 < end; slot++) {
    const t = slot * 60_000 + 6_000;
    const owner = home.findLast((e) => e.t <= t);
    if (owner?.type !== "process-up") continue;
    const entry = { resumed: false, continuation: false, asked: ["cron-tick-job"], told: [] };
    const call = `call${++calls}`;
    put(t, { type: "model-begin", call, marker: "cron-tick-job", pid: owner.pid, ...entry });
    put(t + 50, { type: "model-end", call, outcome: "answered" });
  }
  events.sort((a, b) => a.t - b.t);
  return {
    header: {
      seed: shape.seed,
      minutes: 1,
      startedAt: "2026-01-01T00:00:00.000Z",
      nodes: NODES,
      shards,
      faults: ["kill-gateway"],
      release: "1.0.0",
      command: "./fleet drill",
    },
    events,
  };
}
