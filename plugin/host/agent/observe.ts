import { accessDifference, accessOf, fileDifference, openHost, wantedFiles } from "./host.ts";
import { type AgentResult, type ObserveRequest, UNFINISHED } from "./protocol.ts";
import { isUnfinished } from "./record.ts";
import type { System } from "./system.ts";
import { type UnitStatus, unitDifference, unitStatuses } from "./units.ts";

/** How the host differs from its plan, by what differs. Changes nothing. */
export async function observe(request: ObserveRequest, system: System): Promise<AgentResult> {
  const { accounts, files, packages, record, recorded } = openHost(
    system,
    request.fleet,
    request.node,
  );
  const { plan } = request;
  const found: Record<string, string> = {};
  if (!recorded) found.host = "carries nothing of this fleet";
  else if (isUnfinished(record)) Object.assign(found, UNFINISHED);
  for (const name of await packages.missing(plan.packages)) found[`package ${name}`] = "is missing";
  for (const [name, user] of Object.entries(plan.users)) {
    const text = await accounts.difference(name, user, record.users[name]?.ours === true);
    if (text) found[`user ${name}`] = text;
  }
  for (const [path, directory] of Object.entries(plan.directories)) {
    const there = files.look(path);
    if (there.kind !== "directory") {
      found[`directory ${path}`] = there.kind === "none" ? "is missing" : "is no directory";
      continue;
    }
    const text = await orAbsent(async () =>
      accessDifference(await accessOf(accounts, path, directory), there),
    );
    if (text) found[`directory ${path}`] = text;
  }
  const absent = await orAbsent(async () => {
    for (const [path, wanted] of await wantedFiles(accounts, request)) {
      const text = fileDifference(wanted, files.look(path), record.files[path]?.planned)?.text;
      if (text) found[`file ${path}`] = text;
    }
    return null;
  });
  if (absent) found.files = absent;
  const statuses = await unitStatuses(system, Object.keys(plan.units));
  for (const [name, unit] of Object.entries(plan.units)) {
    const text = unitDifference(unit, statuses[name] as UnitStatus);
    if (text) found[`unit ${name}`] = text;
  }
  return { differences: found };
}

/** A user that is missing is a difference like any other here. */
async function orAbsent(work: () => Promise<string | null>): Promise<string | null> {
  try {
    return await work();
  } catch (error) {
    return (error as Error).message;
  }
}
