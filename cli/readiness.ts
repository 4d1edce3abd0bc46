import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { FleetStatus } from "../gateway/contract.ts";
import { readiness } from "../gateway/readiness.ts";
import { callJson } from "./lib/api.ts";
import { CommandFailed } from "./lib/errors.ts";
import { type FleetAccess, fleetAccess } from "./lib/fleet.ts";
import { ask, PATIENCE, type Patience } from "./lib/turn.ts";
import { verdict } from "./lib/verdict.ts";

/** A first turn takes OpenClaw a few seconds, on a busy machine some tens. */
const FIRST_TURN: Patience = { ...PATIENCE, turnMs: 120_000 };

const QUESTION = "Are you there?";

/** A router answers its status at once; one that does not is not there. */
const LOOK_MS = 5_000;

/** What was just changed reaches every router's view within a renewal; longer is a fault. */
const SETTLE_MS = 15_000;

/** The fleet's status, asked for again while it is not ready: a removed node is seen a moment longer. */
async function settled(access: FleetAccess): Promise<FleetStatus> {
  const until = performance.now() + SETTLE_MS;
  for (;;) {
    const status = await callJson<FleetStatus>(access, "/api/v1/fleet", { as: "admin" });
    if (readiness(status).ready || performance.now() > until) return status;
    await sleep(250);
  }
}

/**
 * What of a fleet on this machine died without Pulumi's knowing, in words; null when nothing did or
 * there is no fleet yet. Pulumi's state says what was made, not what still runs.
 */
export async function diedUnseen(stack: string): Promise<string | null> {
  let access: FleetAccess;
  try {
    access = await fleetAccess(stack);
  } catch {
    return null;
  }
  try {
    const { nodes } = await callJson<FleetStatus>(access, "/api/v1/fleet", {
      as: "admin",
      timeoutMs: LOOK_MS,
    });
    const lost = nodes.filter(({ state }) => state === "lost").map(({ id }) => id);
    if (lost.length === 0) return null;
    return `node${lost.length === 1 ? "" : "s"} ${lost.join(", ")} of stack ${stack} died`;
  } catch {
    return `stack ${stack} does not answer`;
  }
}

/**
 * One real turn through the public door, as the user would have it. With a real model it costs as much as any short
 * question: a wrong key, or a model that does not exist, shows nowhere else.
 * @returns what still needs a person in a fleet that answers, as `status` says it: a node that is set aside, say
 * @throws CommandFailed when the fleet does not answer.
 */
export async function proveReady(stack: string): Promise<string[]> {
  const access = await fleetAccess(stack);
  const status = await settled(access);
  const { ready, level, serving, total, causes } = readiness(status);
  if (!ready) {
    throw new CommandFailed(
      `The fleet of ${stack} is ${level}: ${serving} of ${total} shards serve`,
      causes.join(", "),
      `./fleet status --stack ${stack}`,
    );
  }
  await askOnce(access, FIRST_TURN);
  return verdict(status, stack, access.target).notes;
}

/**
 * The one question. A router or an owner may be exchanged just then, so it is insisted on for as long as a turn takes.
 * @throws CommandFailed that says what is there all the same: a deployment that ended well is not run once more for it
 */
export async function askOnce(access: FleetAccess, patience: Patience): Promise<void> {
  const session = `ready-${randomUUID().slice(0, 8)}`;
  let why = "the answer was empty";
  try {
    const { reply } = await ask(access, { session, message: QUESTION }, patience);
    if (reply) return;
  } catch (error) {
    const { message } = error as Error;
    const cause = error instanceof CommandFailed ? error.why : undefined;
    why = cause === undefined ? message : `${message}: ${cause}`;
  }
  const { stack } = access;
  throw new CommandFailed(
    `Everything of ${stack} was made and is recorded, and all its shards serve; only the one question was not answered`,
    why,
    `ask again with ./fleet chat --stack ${stack} "${QUESTION}"; ./fleet logs --stack ${stack} tells more`,
  );
}
