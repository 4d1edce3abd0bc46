import { confirm, isCancel } from "@clack/prompts";
import type { FleetStatus } from "../../gateway/contract.ts";
import { ifAnswered } from "./api.ts";
import { CommandFailed, UsageError } from "./errors.ts";
import type { FleetAccess } from "./fleet.ts";
import { canAsk } from "./options.ts";
import { renderStatus } from "./status-text.ts";
import { say } from "./terminal.ts";
import { verdict } from "./verdict.ts";
import { type Left, waiting } from "./waiting.ts";
import { columnsOf, wrap } from "./wrap.ts";

/** What `drain`, `resume` and `move` have in common: table, effect, question, live lines, table. */
export interface Transfer {
  access: FleetAccess;
  status: () => Promise<FleetStatus>;
  /** One line per shard that will move, and what it means. */
  effect: string[];
  question: string;
  yes: boolean;
  json: boolean;
  act: () => Promise<unknown>;
  /** True once the wish came true. */
  done: (now: FleetStatus) => boolean;
  /** What is still missing, for the live lines. */
  waiting: (now: FleetStatus) => string;
  /** What Ctrl-C leaves: what goes on, and the command that takes it back. */
  left: Required<Pick<Left, "goesOn" | "undo">>;
  timeoutMs: number;
}

const POLL_MS = 500;

/** The table before and after. */
export const showStatus = (access: FleetAccess, status: FleetStatus): string =>
  renderStatus(status, verdict(status, access.stack, access.target), { access, wide: false });

/**
 * @throws UsageError when a question would have to be asked and nobody is there; CommandFailed on "no"
 * and when the wish did not come true in time (the fleet goes on with it; the message says so).
 */
export async function transfer(plan: Transfer): Promise<FleetStatus> {
  const before = await plan.status();
  if (!plan.json) say(showStatus(plan.access, before));
  for (const line of plan.effect) say(wrap(line, columnsOf(process.stderr), 2));
  if (!plan.yes) {
    if (!canAsk()) throw new UsageError("There is no terminal to ask at: add --yes to go ahead");
    const answer = await confirm({ message: plan.question, output: process.stderr });
    if (isCancel(answer) || !answer) throw new CommandFailed("Nothing was changed", "you said no");
  }
  const look = `./fleet status --watch --stack ${plan.access.stack}`;
  const after = await waiting({ ...plan.left, asks: true, look }, async (tell, stored) => {
    await plan.act();
    stored();
    const deadline = performance.now() + plan.timeoutMs;
    for (;;) {
      const now = await ifAnswered(() => plan.status());
      if (now && plan.done(now)) return now;
      const line = now ? plan.waiting(now) : "waiting for a router to answer";
      tell(line);
      if (performance.now() > deadline) {
        throw new CommandFailed(
          `Not finished after ${Math.round(plan.timeoutMs / 1000)} s: ${line}`,
          "running turns may take up to ten minutes before they are cut",
          `The fleet goes on with it; watch it with ${look}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  });
  if (!plan.json) say(`\n${showStatus(plan.access, after)}`);
  return after;
}
