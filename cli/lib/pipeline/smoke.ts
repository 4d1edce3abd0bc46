import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { FleetStatus } from "../../../gateway/contract.ts";
import { readiness } from "../../../gateway/readiness.ts";
import { callJson } from "../api.ts";
import { CommandFailed } from "../errors.ts";
import type { FleetAccess } from "../fleet.ts";
import { say } from "../terminal.ts";
import { type Answer, ask } from "../turn.ts";

/** One thing that was tried. */
export interface Tried {
  readonly what: string;
  readonly ms: number;
  readonly found: string;
}

/** A shard starts anew within its boot; on a crowded machine that is minutes. */
const RECOVER_MS = 300_000;
const LOOK_EVERY_MS = 500;

/**
 * Asks a question, takes away the gateway that answered it, and asks on in the same conversation: the
 * shortest proof that a fleet does what it is for. On this machine the gateway is killed; elsewhere its
 * shard is moved to another node.
 * @throws CommandFailed that names the step which failed.
 */
export async function smoke(access: FleetAccess): Promise<Tried[]> {
  const tried: Tried[] = [];
  const step = async <T>(what: string, work: () => Promise<T>, found: (got: T) => string) => {
    say(`fleet: smoke: ${what}`);
    const begun = performance.now();
    const got = await work();
    tried.push({ what, ms: Math.round(performance.now() - begun), found: found(got) });
    return got;
  };
  const session = `smoke-${randomUUID().slice(0, 8)}`;
  const answered = ({ shard }: Answer) => `answered by ${shard}`;
  const turn = (message: string) => ask(access, { agent: "main", session, message });

  const first = await step("a question", () => turn("Are you there?"), answered);
  checkReply(first, "a question");
  const before = await statusOf(access);
  const taken = await step(
    access.dataDir === null ? "its shard is moved away" : "its gateway is killed",
    () => takeAway(access, before, first.shard),
    (words) => words,
  );
  const second = await step("the next question", () => turn("And now?"), answered);
  checkReply(second, "the next question");
  if (second.shard !== first.shard) {
    throw failed("the next question", `${second.shard} answered, the session is ${first.shard}'s`);
  }
  await step(
    "all shards serve",
    () => allServe(access),
    ({ shards }) => `${shards.length} of ${shards.length}`,
  );
  const after = await statusOf(access);
  const happened = changedOf(before, after, first.shard);
  if (!happened) throw failed("what was done shows", `${taken}, and the status says nothing of it`);
  tried.push({ what: "what was done shows in the status", ms: 0, found: happened });
  return tried;
}

const failed = (what: string, why: string): CommandFailed =>
  new CommandFailed(`smoke: ${what} failed`, why, "./fleet status --wide, ./fleet logs");

const statusOf = (access: FleetAccess): Promise<FleetStatus> =>
  callJson<FleetStatus>(access, "/api/v1/fleet", { as: "admin" });

function checkReply({ reply }: Answer, what: string): void {
  if (reply.trim() === "") throw failed(what, "the answer is empty");
}

async function takeAway(access: FleetAccess, status: FleetStatus, id: string): Promise<string> {
  const shard = status.shards.find((one) => one.id === id);
  if (!shard?.owner) throw failed("taking it away", `${id} has no owner`);
  if (access.dataDir !== null) {
    if (shard.pid === null) throw failed("taking it away", `${id} has no process`);
    process.kill(shard.pid, "SIGKILL");
    return `SIGKILL to process ${shard.pid}, gateway of ${id} on ${shard.owner}`;
  }
  const other = status.nodes.find(({ id, state }) => id !== shard.owner && state === "active");
  if (!other) throw failed("taking it away", "there is no other active node to move it to");
  const body = { shard: id, to: other.id };
  await callJson(access, "/api/v1/fleet/move", { as: "admin", method: "POST", body });
  return `${id} from ${shard.owner} to ${other.id}`;
}

async function allServe(access: FleetAccess): Promise<FleetStatus> {
  const until = performance.now() + RECOVER_MS;
  for (;;) {
    const status = await statusOf(access);
    const { ready, causes } = readiness(status);
    if (ready) return status;
    if (performance.now() > until) throw failed("all shards serve", causes.join(", "));
    await sleep(LOOK_EVERY_MS);
  }
}

function changedOf(before: FleetStatus, after: FleetStatus, id: string): string | null {
  const [old, now] = [before, after].map(({ shards }) => shards.find((one) => one.id === id));
  if (!old || !now) return null;
  if (now.epoch > old.epoch) return `${id}: epoch ${old.epoch} → ${now.epoch}, owner ${now.owner}`;
  if (now.restarts > old.restarts)
    return `${id}: ${now.restarts} restart (${short(now.reason ?? "–")})`;
  return null;
}

/** A reason without the gateway's last words. */
const short = (reason: string): string => reason.split(": ").slice(0, 2).join(": ");
