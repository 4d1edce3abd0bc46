import type { HistoryEntry, HistoryEvent } from "../drill/history.ts";
import { lostAnswer } from "./lost-host.ts";
import type { World } from "./world.ts";

/** One way to break a law, and the check that must see it. Null: this world offers no place for it. */
export interface Mutant {
  name: string;
  caughtBy: string;
  mutate(world: World, pick: <T>(items: T[]) => T | undefined): HistoryEvent[] | null;
}

type Of<T extends HistoryEvent["type"]> = Extract<HistoryEvent, { type: T }>;
const all = <T extends HistoryEvent["type"]>(world: World, type: T): Of<T>[] =>
  world.events.filter((event): event is Of<T> => event.type === type);

function insert(events: readonly HistoryEvent[], t: number, entry: HistoryEntry): HistoryEvent[] {
  return [...events, { t, ...entry } as HistoryEvent].sort((a, b) => a.t - b.t);
}
const without = (events: readonly HistoryEvent[], gone: HistoryEvent): HistoryEvent[] =>
  events.filter((event) => event !== gone);
const replace = (
  events: readonly HistoryEvent[],
  old: HistoryEvent,
  by: HistoryEvent,
): HistoryEvent[] => events.map((event) => (event === old ? by : event));

function addError(world: World, answered: Of<"answered"> | undefined, code: string) {
  if (!answered) return null;
  const { id, t, attempts } = answered;
  const error = { t, type: "failed", id, code, status: 502, detail: "", attempts } as const;
  return replace(world.events, answered, error);
}

export const MUTANTS: Mutant[] = [
  {
    name: "a request without an end",
    caughtBy: "requests",
    mutate: (world, pick) => {
      const answered = pick(all(world, "answered"));
      return answered ? without(world.events, answered) : null;
    },
  },
  {
    name: "an error that the route may never give",
    caughtBy: "requests",
    mutate: (world, pick) => addError(world, pick(all(world, "answered")), "internal"),
  },
  {
    name: "a chat that lost its owner",
    caughtBy: "requests",
    mutate: (world, pick) => addError(world, pick(all(world, "answered")), "owner_lost"),
  },
  {
    name: "a chat that met OpenClaw's own error",
    caughtBy: "requests",
    mutate: (world, pick) => addError(world, pick(all(world, "answered")), "gateway_error"),
  },
  {
    name: "an allowed error without a fault",
    caughtBy: "requests",
    mutate: (world, pick) => {
      const answered = pick(all(world, "answered").filter((event) => event.t < 14_000));
      const world2 = { ...world, events: world.events.filter((event) => event.type !== "fault") };
      return addError(world2, answered, "no_owner");
    },
  },
  {
    name: "another turn's answer",
    caughtBy: "requests",
    mutate: (world, pick) => {
      const answered = pick(all(world, "answered"));
      if (!answered) return null;
      return replace(world.events, answered, { ...answered, reply: "turn-ffffffffffff" });
    },
  },
  {
    name: "a turn run twice without a crash",
    caughtBy: "turns",
    mutate: (world, pick) => {
      const calls = all(world, "model-begin").filter((call) => call.marker?.startsWith("turn-"));
      const first = pick(calls);
      if (!first) return null;
      const { t, ...entry } = first;
      return insert(world.events, t + 1, { ...entry, call: "again" });
    },
  },
  {
    name: "a turn run again after its answer",
    caughtBy: "turns",
    mutate: (world, pick) => {
      const answered = pick(all(world, "answered"));
      const own = all(world, "invoked").find((request) => request.id === answered?.id);
      const call = all(world, "model-begin").findLast((begin) => begin.marker === own?.marker);
      if (!answered || !call) return null;
      const { t: _t, ...entry } = call;
      return insert(world.events, answered.t + 1, { ...entry, call: "again" });
    },
  },
  {
    name: "an answer that no model gave",
    caughtBy: "turns",
    mutate: (world, pick) => {
      const call = pick(all(world, "model-begin").filter((b) => b.marker?.startsWith("turn-")));
      if (!call) return null;
      return world.events.filter(
        (event) => event.type !== "model-begin" || event.marker !== call.marker,
      );
    },
  },
  {
    name: "a bot that answers twice",
    caughtBy: "turns",
    mutate: (world, pick) => {
      const sent = pick(all(world, "delivered"));
      if (!sent) return null;
      const { t, ...entry } = sent;
      return insert(world.events, t + 1, entry);
    },
  },
  {
    name: "two gateways of one shard",
    caughtBy: "owners",
    mutate: (world, pick) => {
      const up = pick(all(world, "process-up"));
      if (!up) return null;
      const { t, ...entry } = up;
      const second = { ...entry, group: "second", pid: 9_999 };
      const added = insert(world.events, t + 10, second);
      return insert(added, t + 1_600, { type: "process-down", shard: up.shard, group: "second" });
    },
  },
  {
    name: "a model call by a gateway that has a successor",
    caughtBy: "owners",
    mutate: (world, pick) => {
      const ups = all(world, "process-up");
      const later = pick(ups.filter((up) => up.t > 0));
      const older = ups.findLast((up) => up.shard === later?.shard && up.t < later.t);
      if (!later || !older) return null;
      return insert(world.events, later.t + 20, {
        type: "model-begin",
        call: "stale",
        marker: null,
        pid: older.pid,
        resumed: false,
        continuation: false,
        asked: [],
        told: [],
      });
    },
  },
  {
    name: "nobody looking at processes",
    caughtBy: "owners",
    mutate: (world) => world.events.filter((event) => event.type !== "looked"),
  },
  {
    name: "a shard without any process",
    caughtBy: "owners",
    mutate: (world) =>
      world.events.filter((event) => event.type !== "process-up" || event.shard !== "s1"),
  },
  {
    name: "a session that forgot",
    caughtBy: "sessions",
    mutate: (world, pick) => {
      const call = pick(all(world, "model-begin").filter((begin) => begin.told.length > 0));
      if (!call) return null;
      return world.events.map((event) =>
        event.type === "model-begin" && event.marker === call.marker
          ? { ...event, told: event.told.slice(1) }
          : event,
      );
    },
  },
  {
    name: "a lost host that took more than its last second",
    caughtBy: "sessions",
    mutate: (_world, pick) => {
      const beforeMs = pick([1_100, 1_600, 5_000]) ?? 0;
      return lostAnswer({ fault: "power-off", hit: true, beforeMs }).events;
    },
  },
  {
    name: "an epoch that falls",
    caughtBy: "epochs",
    mutate: (world, pick) => {
      const lease = pick(all(world, "lease"));
      if (!lease) return null;
      const { t, ...entry } = lease;
      return insert(world.events, t + 1, { ...entry, epoch: entry.epoch - 1 });
    },
  },
  {
    name: "two owners under one epoch",
    caughtBy: "epochs",
    mutate: (world, pick) => {
      const lease = pick(all(world, "lease"));
      if (!lease) return null;
      const { t, ...entry } = lease;
      return insert(world.events, t + 1, { ...entry, owner: "stranger" });
    },
  },
  {
    name: "an answer under an older epoch",
    caughtBy: "epochs",
    mutate: (world, pick) => {
      const answered = pick(all(world, "answered").filter((event) => (event.epoch ?? 0) > 1));
      const since = all(world, "lease").find(
        (lease) => lease.shard === answered?.shard && lease.epoch === answered?.epoch,
      );
      if (!answered || !since || since.t > answered.t - 1_100) return null;
      return replace(world.events, answered, { ...answered, epoch: 1 });
    },
  },
  {
    name: "two pollers",
    caughtBy: "pollers",
    mutate: (world, pick) => {
      const poll = pick(all(world, "poll-begin"));
      if (!poll) return null;
      const { t, ...entry } = poll;
      return insert(world.events, t + 1, { ...entry, poll: "second", pid: 4 });
    },
  },
  {
    name: "a cron slot run twice",
    caughtBy: "cron",
    mutate: (world, pick) => {
      const run = pick(all(world, "model-begin").filter((b) => b.marker?.startsWith("cron-")));
      if (!run) return null;
      const { t, ...entry } = run;
      return insert(world.events, t + 400, { ...entry, call: "again" });
    },
  },
  {
    name: "a cron slot run again after a clean hand-over",
    caughtBy: "cron",
    mutate: (world, pick) => {
      const down = pick(all(world, "process-down").filter((event) => event.shard === "s1"));
      const ups = all(world, "process-up");
      const older = ups.find((up) => up.group === down?.group);
      const later = ups.find((up) => up.shard === "s1" && up.t > (down?.t ?? 0));
      // Both runs must fall into one minute.
      if (!down || !older || !later || (down.t - 5_000) % 60_000 > 45_000) return null;
      const run = { resumed: false, continuation: false, asked: [], told: [] };
      const begin = { type: "model-begin", marker: "cron-other-job", ...run } as const;
      const first = insert(world.events, down.t - 5_000, { ...begin, call: "x", pid: older.pid });
      const end = { type: "model-end", call: "x", outcome: "answered" } as const;
      const ended = insert(first, down.t - 4_900, end);
      return insert(ended, later.t + 100, { ...begin, call: "y", pid: later.pid });
    },
  },
  {
    name: "a fleet that stays broken",
    caughtBy: "faults",
    mutate: (world, pick) => {
      const fault = pick(all(world, "fault").filter((event) => event.phase === "recovered"));
      return fault ? without(world.events, fault) : null;
    },
  },
  {
    name: "a fault that was never applied",
    caughtBy: "faults",
    mutate: (world) => world.events.filter((event) => event.type !== "fault"),
  },
];
