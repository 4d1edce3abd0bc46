import type { FleetStatus } from "../../gateway/contract.ts";
import type { FleetAccess } from "./fleet.ts";
import { age, bytes, paint, table } from "./terminal.ts";
import { refusedSettings, type Verdict } from "./verdict.ts";
import { clip, columnsOf, wrap } from "./wrap.ts";

/** Shards listed one by one; more are grouped by owner and state unless `--wide`. */
const SHARDS_IN_FULL = 8;

const COLOUR = { ok: "green", degraded: "yellow", down: "red" } as const;

/** The page of `./fleet status`: verdict first, facts, then what needs a person. Fits 80 columns. */
export function renderStatus(
  status: FleetStatus,
  judged: Verdict,
  view: { access: FleetAccess; wide: boolean; labels?: Readonly<Record<string, string>> },
): string {
  const { access, wide } = view;
  const labels = wide ? (view.labels ?? {}) : {};
  const labelled = Object.keys(labels).length > 0;
  const facts = [status.fleet, access.preset, access.target].filter(Boolean);
  const columns = columnsOf();
  const level = judged.level === "ok" ? "ok" : judged.level.toUpperCase();
  const lines = [
    wrap(`${facts.join(" · ")} · ${paint(COLOUR[judged.level], level)}: ${judged.text}`, columns),
    "",
  ];

  lines.push(
    table(
      ["NODE", "STATE", "SHARDS", "VERSION", "MEMORY", "SEEN", ...(labelled ? ["LABELS"] : [])],
      status.nodes.map((n) => [
        n.id,
        n.state,
        n.shards.length === 0 ? "0" : `${n.shards.length} (${listed(n.shards, wide)})`,
        n.version,
        bytes(n.memoryBytes),
        age(n.seenMsAgo),
        ...(labelled ? [labels[n.id] ?? "–"] : []),
      ]),
    ),
    "",
    ...shardTable(status, wide),
  );
  if (status.heldRequests > 0)
    lines.push("", `${status.heldRequests} requests held until their shard is ready`);
  if (judged.notes.length > 0)
    lines.push("", ...judged.notes.map((note) => wrap(`! ${note}`, columns, 2)));
  return lines.join("\n");
}

/** What a stack's file says of its hosts in a person's own words, by node; hosts without any are left out. */
export function labelsOf({ hosts }: Readonly<Record<string, unknown>>): Record<string, string> {
  const listed = Array.isArray(hosts) ? (hosts as { name?: unknown; labels?: unknown }[]) : [];
  return Object.fromEntries(
    listed.flatMap((host) => {
      const said = Object.entries((host?.labels ?? {}) as object);
      const text = said.map(([key, value]) => `${key}=${value}`).join(" ");
      return text === "" ? [] : [[String(host.name), text]];
    }),
  );
}

/** "crashed: signal SIGKILL", without the gateway's last words; `history` and `logs` have those. */
const shortReason = (reason: string): string => clip(reason.split(": ").slice(0, 2).join(": "), 40);

const listed = (shards: string[], wide: boolean): string =>
  shards.length <= 4 || wide ? shards.join(" ") : `${shards.slice(0, 3).join(" ")} …`;

/** How far a replica is behind; what is a moment of looking counts as nothing. */
function replicaOf({ replica }: FleetStatus["shards"][number]): string {
  if (!replica) return "–";
  if (replica.unreplicated) return `none for ${Math.round(replica.lagMs / 1_000)} s`;
  return replica.lagMs < 1_000 ? "current" : `${Math.round(replica.lagMs / 1_000)} s behind`;
}

function shardTable(status: FleetStatus, wide: boolean): string[] {
  if (status.shards.length > SHARDS_IN_FULL && !wide) {
    const groups = new Map<string, number>();
    for (const s of status.shards) {
      const key = `${s.state}\0${s.owner ?? "–"}`;
      groups.set(key, (groups.get(key) ?? 0) + 1);
    }
    return [
      table(
        ["STATE", "OWNER", "SHARDS"],
        [...groups].map(([key, count]) => [...key.split("\0"), String(count)]),
      ),
      "(--wide lists each shard)",
    ];
  }
  const now = Date.now();
  const head = ["SHARD", "STATE", "OWNER", "EPOCH", "AGE", "MEMORY", "SESSIONS", "RESTARTS"];
  const replicated = status.shards.some((s) => s.replica !== undefined);
  if (replicated) head.push("REPLICA");
  if (wide) head.push("PID", "AGENTS");
  return [
    table(
      head,
      status.shards.map((s) => [
        s.id,
        s.state,
        s.owner ?? "–",
        String(s.epoch),
        age(s.startedAt === null ? null : now - Date.parse(s.startedAt)),
        bytes(s.memoryBytes),
        String(s.sessions),
        s.reason && s.restarts > 0 && !refusedSettings(s)
          ? `${s.restarts} (${shortReason(s.reason)})`
          : `${s.restarts}`,
        ...(replicated ? [replicaOf(s)] : []),
        ...(wide ? [s.pid === null ? "–" : String(s.pid), s.agents.join(" ")] : []),
      ]),
    ),
  ];
}
