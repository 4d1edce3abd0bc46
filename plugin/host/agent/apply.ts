import { applyFolders, changesOfFiles, FileChanges, verifyFiles } from "./apply-files.ts";
import { applyUnits, unitsPlanned } from "./apply-units.ts";
import { runChecks } from "./checks.ts";
import { foundLeases } from "./found-leases.ts";
import { type Host, openHost, wantedFiles } from "./host.ts";
import { NodeApi, type Serving } from "./node-api.ts";
import { NodeInHand } from "./node-in-hand.ts";
import type { AgentFailure, AgentResult, ApplyRequest } from "./protocol.ts";
import { isUnfinished } from "./record.ts";
import { Abandoned, type System, stillWanted } from "./system.ts";
import { clearAway } from "./take-away.ts";
import { unitStatuses } from "./units.ts";

/** A change that failed, and whether the host is as it was. */
export class ApplyFailed extends Error implements AgentFailure {
  override readonly name = "ApplyFailed";
  readonly restored: boolean;
  constructor(message: string, restored: boolean) {
    super(message);
    this.restored = restored;
  }
}

/** What held before the change: a host is not asked for more than that, nor for less. */
interface Baseline {
  /** How well the node has to be afterwards; null: nothing is asked of it. */
  readonly serving: Serving | null;
  /** Names of checks of the whole fleet that have to hold. */
  readonly held: ReadonlySet<string>;
  /** Names of those that are waited for, since nobody knows whether they held. */
  readonly hoped: ReadonlySet<string>;
}

/** How far a change got. */
interface Progress {
  changed: string[];
  /** The new files stay: from here, what was before has to be carried out to be there again. */
  settled: boolean;
  /** What was before is carried out again: nobody may object to that. */
  readonly back?: boolean;
}

/**
 * Makes a host what its plan says, and what is so already it leaves alone. When a file's `verify` fails no file is
 * written; when a unit's does, the old files go back and no unit hears of it; when something fails later, the previous
 * plan is carried out. Killed at any moment, the next run goes on.
 * @throws ApplyFailed
 */
export async function apply(request: ApplyRequest, system: System): Promise<AgentResult> {
  const host = openHost(system, request.fleet, request.node);
  // The machine may be another one, whose record knows nothing of it.
  if (request.restarted?.emptied && request.api) host.record.drained = true;
  const baseline = await look(request, host);
  const progress: Progress = { changed: [], settled: false };
  try {
    const later = await carryOut(request, host, baseline, progress);
    return { changed: progress.changed, ...(later ? { later } : {}) };
  } catch (error) {
    if (error instanceof Abandoned) throw error;
    const { message } = error as Error;
    // Not so: a node that was emptied and would not go on, or what a run before had left.
    if (!progress.settled) throw new ApplyFailed(message, !isUnfinished(host.record));
    if (!request.previous) {
      throw new ApplyFailed(
        `${message}\nIt was left as it is; the next run goes on from there.`,
        false,
      );
    }
    system.say("it failed; going back to what was there before");
    const back = { ...request, ...request.previous, mayWait: false };
    await carryOut(back, host, baseline, { changed: [], settled: false, back: true }).catch(
      (again: Error) => {
        throw new ApplyFailed(
          `${message}\nGoing back to what was there before failed as well: ${again.message}`,
          false,
        );
      },
    );
    throw new ApplyFailed(`${message}\nWhat was there before is in place again.`, true);
  }
}

async function look(request: ApplyRequest, host: Host): Promise<Baseline> {
  const { first, restarted, plan } = request;
  const none: ReadonlySet<string> = new Set();
  const names = Object.entries(plan.checks).flatMap(([name, c]) => (c.needsFleet ? [name] : []));
  if (restarted?.emptied) return { serving: "joined", held: new Set(names), hoped: none };
  if (restarted) return { serving: "answers", held: none, hoped: new Set(names) };
  if (first) return { serving: null, held: none, hoped: none };
  const api = request.api && new NodeApi(host.system, request.api, request);
  const held = await runChecks(host.system, plan.checks, { names, once: true });
  const whole = (await api?.whole()) === true;
  return { serving: whole ? "whole" : "answers", held: new Set(held), hoped: none };
}

/** True when it is to be asked again later, see {@link ApplyRequest.mayWait}. */
async function carryOut(
  request: ApplyRequest,
  host: Host,
  baseline: Baseline,
  progress: Progress,
): Promise<boolean> {
  const { plan } = request;
  const { system, accounts, packages, record, note } = host;
  const wasComplete = record.complete;
  const names = [...new Set([...Object.keys(plan.units), ...Object.keys(record.units)])];
  const asFound = await unitStatuses(system, names);
  const did = (lines: readonly string[]) => {
    progress.changed.push(...lines);
    if (lines.length > 0) record.complete = false;
  };
  did(await packages.install(plan.packages, record, note));
  stillWanted(system);
  did(await accounts.make(plan.users, record, note));
  const wanted = await wantedFiles(accounts, request);
  did(await applyFolders(plan, [...wanted.keys()], host));
  stillWanted(system);

  const files = changesOfFiles(wanted, host);
  const node = request.api && new NodeInHand(request.api, request, host);
  try {
    if (!progress.back) await verifyFiles(plan, files, host);
  } catch (error) {
    // Also one that was emptied for this change before: it goes on as it is.
    await node?.resume().catch(() => {});
    throw error;
  }
  const units = await unitsPlanned(plan, files, host, asFound);
  const { serving } = baseline;
  // What is emptied already, or was by a run that was cut off, is not emptied again.
  if (node && units.stopsNode && serving !== null && !record.drained) {
    if ((await node.drain()) === "nobody takes") {
      if (request.mayWait) return true;
      system.say("no other node can take its shards: they pause while it restarts");
    }
  }
  const writing = new FileChanges(host, files);
  try {
    if (!files.nothing || !units.nothing) record.complete = false;
    await writing.write(() => units.note());
    await units.prepare();
  } catch (error) {
    writing.undo();
    await units.undo();
    record.complete = wasComplete;
    note();
    await node?.resume().catch(() => {});
    throw error;
  }
  did(writing.said);
  progress.settled = !files.nothing || !units.nothing;
  // Only whoever makes a fleet knows that it is new; another machine under the same name is none.
  if (request.first && !request.restarted) did(await foundLeases(plan, host));
  did(await applyUnits(units, writing, host));
  const stood = units.touchesNode || record.drained || request.restarted !== undefined;
  if (stood && serving !== null) await node?.untilServing(serving);
  await node?.resume();
  did(await clearAway(plan, wanted, host));
  await runChecks(system, plan.checks, {
    names: Object.entries(plan.checks).flatMap(([name, check]) =>
      check.needsFleet && !baseline.held.has(name) ? [] : [name],
    ),
    once: false,
  });
  for (const name of Object.keys(plan.checks).filter((each) => baseline.hoped.has(each))) {
    await runChecks(system, plan.checks, { names: [name], once: false }).catch((error: Error) => {
      if (error instanceof Abandoned) throw error;
      system.say(`going on without it: ${error.message}`);
    });
  }
  record.complete = true;
  note();
  return false;
}
