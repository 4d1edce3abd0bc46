import type { GatewayPort } from "./port.ts";

export type CronJobWish = Parameters<GatewayPort["syncCron"]>[0][number];

/** A job as `cron.list` gives it; only what is compared. */
export interface CronJobSeen {
  id: string;
  name: string;
  agentId?: string;
  enabled?: boolean;
  schedule?: { kind?: string; expr?: string; tz?: string; everyMs?: number };
  payload?: { kind?: string; message?: string };
  delivery?: Delivery;
}

interface Delivery {
  mode?: string;
  channel?: string;
  to?: string;
  accountId?: string;
}

export interface CronPlan {
  add: object[];
  update: { id: string; patch: object }[];
  remove: { id: string }[];
}

/** Marks a job as ours; OpenClaw's own and a person's stay untouched. */
export const CRON_PREFIX = "openclaw-fleet:";

const EVERY = /^every:?\s*"?(\d+)\s*(s|m|h|d)"?$/;
const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** OpenClaw's schedule of `0 9 * * 1-5` or `every 10m`. */
export function parseSchedule(schedule: string, timezone?: string): object {
  const every = EVERY.exec(schedule.trim());
  if (every) {
    return { kind: "every", everyMs: Number(every[1]) * UNIT_MS[every[2] as keyof typeof UNIT_MS] };
  }
  return {
    kind: "cron",
    expr: schedule.trim(),
    ...(timezone === undefined ? {} : { tz: timezone }),
  };
}

/**
 * Without a named target OpenClaw would guess one from the agent's last conversation, refuse that as
 * ambiguous, call the run a failure, and disable the job after ten of them.
 */
function deliveryOf({ deliver }: CronJobWish): Delivery {
  if (!deliver) return { mode: "none" };
  const { channel, to, account } = deliver;
  return {
    mode: "announce",
    channel,
    to,
    ...(account === undefined ? {} : { accountId: account }),
  };
}

/** What makes the gateway's jobs of this project equal to the wishes. Nothing to do: an empty plan. */
export function planCron(wishes: readonly CronJobWish[], seen: readonly CronJobSeen[]): CronPlan {
  const plan: CronPlan = { add: [], update: [], remove: [] };
  const ours = new Map<string, CronJobSeen>();
  for (const job of seen) {
    if (!job.name.startsWith(CRON_PREFIX)) continue;
    // A second one of the same name is left over from an interrupted run.
    if (ours.has(job.name)) plan.remove.push({ id: job.id });
    else ours.set(job.name, job);
  }
  for (const wish of wishes) {
    const name = `${CRON_PREFIX}${wish.agent}:${wish.name}`;
    const schedule = parseSchedule(wish.schedule, wish.timezone);
    const payload = { kind: "agentTurn", message: wish.message };
    const job = ours.get(name);
    ours.delete(name);
    const delivery = deliveryOf(wish);
    const body = { agentId: wish.agent, enabled: wish.enabled, schedule, payload, delivery };
    if (!job) {
      plan.add.push({ name, ...body, sessionTarget: "isolated", wakeMode: "now" });
    } else if (!same(job, body)) {
      plan.update.push({ id: job.id, patch: body });
    }
  }
  for (const job of ours.values()) plan.remove.push({ id: job.id });
  return plan;
}

function same(
  job: CronJobSeen,
  body: {
    agentId: string;
    enabled: boolean;
    schedule: object;
    payload: { message: string };
    delivery: Delivery;
  },
): boolean {
  const { kind, expr, tz, everyMs } = job.schedule ?? {};
  const has = kind === "every" ? { kind, everyMs } : { kind, expr, ...(tz ? { tz } : {}) };
  return (
    job.agentId === body.agentId &&
    (job.enabled ?? true) === body.enabled &&
    JSON.stringify(has) === JSON.stringify(body.schedule) &&
    sameDelivery(job.delivery ?? {}, body.delivery) &&
    job.payload?.kind === "agentTurn" &&
    job.payload.message === body.payload.message
  );
}

function sameDelivery(has: Delivery, wished: Delivery): boolean {
  if ((has.mode ?? "none") !== wished.mode) return false;
  return (
    wished.mode === "none" ||
    (has.channel === wished.channel && has.to === wished.to && has.accountId === wished.accountId)
  );
}
