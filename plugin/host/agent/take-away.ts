import { HOST_PATHS, type HostPlan } from "../../../components/host/types.ts";
import { inPathOrder } from "./apply-files.ts";
import { asBefore } from "./apply-units.ts";
import { foldersAbove, type Host, openHost, type WantedFile } from "./host.ts";
import { NodeInHand } from "./node-in-hand.ts";
import { AGENT_PLACES, type AgentResult, type RemoveRequest } from "./protocol.ts";
import { type System, stillWanted } from "./system.ts";
import { leaveOthers, reloadSystemd, stopUnit } from "./unit-steps.ts";
import { inOrder, unitStatuses } from "./units.ts";

/** Takes away folders, users and packages that were made for an earlier plan and are not needed any more. */
export async function clearAway(
  plan: HostPlan,
  wanted: ReadonlyMap<string, WantedFile>,
  host: Host,
): Promise<string[]> {
  const { files, accounts, packages, record, note } = host;
  const changed: string[] = [];
  const needed = new Set([...foldersAbove(plan, wanted.keys()), ...Object.keys(plan.directories)]);
  for (const [path, { ours, data }] of inPathOrder(record.directories).reverse()) {
    if (needed.has(path)) continue;
    const spare = [...needed, ...dataFolders(host), HOST_PATHS.releases];
    // A folder with data in it is nobody's to remove but a person's, or the end of the fleet's.
    const gone = ours && (data ? files.removeEmptyFolder(path) : files.removeFolder(path, spare));
    if (ours && !gone) continue;
    delete record.directories[path];
    note();
    if (gone) changed.push(`directory ${path} removed`);
  }
  const owners = new Set(Object.values(record.directories).map(({ owner }) => owner));
  for (const name of Object.keys(record.users)) {
    if (plan.users[name] || owners.has(name)) continue;
    if (await accounts.unmake(name, record)) changed.push(`user ${name} removed`);
    delete record.users[name];
    note();
  }
  if (record.packages.ours.some((name) => !plan.packages.includes(name))) {
    const wishes = record.packages.ours.filter((name) => plan.packages.includes(name));
    changed.push(...(await packages.removeUnneeded(wishes, record, note)));
  }
  return changed;
}

/**
 * Takes the fleet's part of the host away by what the record says was made: nothing that was there before,
 * and no data that is kept.
 */
export async function remove(request: RemoveRequest, system: System): Promise<AgentResult> {
  const host = openHost(system, request.fleet, request.node);
  const { files, accounts, packages, record, records, note } = host;
  if (!host.recorded) return { changed: [], kept: [] };
  const changed: string[] = [];
  const units = inOrder(record.units).reverse();
  if (request.drain) await leaveFleet(request, host);
  record.complete = false;
  note();
  await packages.tidy(record, note);
  for (const [name] of units) {
    stillWanted(system);
    if (await stopUnit(system, name)) changed.push(`unit ${name} stopped`);
  }
  for (const [path, { original }] of Object.entries(record.files)) {
    files.sweep(path);
    records.putOriginal(path, original);
    delete record.files[path];
    changed.push(`file ${path} removed`);
  }
  note();
  await reloadSystemd(system);
  for (const [name, { before }] of units) {
    await asBefore(host, name, before);
    delete record.units[name];
  }
  record.pending = {};
  delete record.anew;
  note();
  stillWanted(system);
  const kept = removeFolders(host, request.keepData);
  changed.push(...kept.removed);
  changed.push(...(await packages.removeUnneeded([], record, note)));
  for (const name of Object.keys(record.users)) {
    // Data that stays belongs to it: its number must not become somebody else's.
    if (kept.owners.has(name)) continue;
    if (await accounts.unmake(name, record)) changed.push(`user ${name} removed`);
    delete record.users[name];
    note();
  }
  if (kept.paths.length > 0) {
    record.complete = true;
    record.drained = false;
    note();
  } else {
    records.forget();
    files.remove(AGENT_PLACES.lock);
  }
  return { changed, kept: kept.paths };
}

function removeFolders(host: Host, keepData: boolean) {
  const { files, record, note } = host;
  const data = keepData ? dataFolders(host) : [];
  const result = { removed: [] as string[], paths: [] as string[], owners: new Set<string>() };
  for (const [path, entry] of inPathOrder(record.directories).reverse()) {
    const keep = data.includes(path) && files.look(path).kind === "directory";
    const spare = [...data, HOST_PATHS.releases];
    const gone =
      entry.ours && (keep ? files.removeEmptyFolder(path) : files.removeFolder(path, spare));
    if (gone) result.removed.push(`directory ${path} removed`);
    if (entry.ours && !gone) {
      if (keep) {
        result.paths.push(path);
        result.owners.add(entry.owner);
      } else if (data.some((each) => each.startsWith(`${path}/`))) result.owners.add(entry.owner);
      continue;
    }
    if (entry.before) files.makeFolder(path, entry.before);
    delete record.directories[path];
    note();
  }
  result.paths.sort();
  return result;
}

const dataFolders = ({ record }: Host): string[] =>
  Object.entries(record.directories).flatMap(([path, { data }]) => (data ? [path] : []));

/**
 * Takes the host out of a fleet that goes on: first the node's shards, which takes minutes and leaves no trace where it
 * is cut off, then the host's part in what it shares. Where either is refused, the host goes on as it was.
 */
async function leaveFleet(request: RemoveRequest, host: Host): Promise<void> {
  const { api } = request;
  const { system, record } = host;
  const units = Object.entries(record.units);
  const nodes = units.flatMap(([name, { drains }]) => (drains ? [name] : []));
  const running = Object.values(await unitStatuses(system, nodes)).some(({ active }) => active);
  const emptied = running && api ? new NodeInHand(api, request, host) : null;
  await emptied?.drainForGood();
  try {
    for (const [name, unit] of units) await leaveOthers(host, name, unit);
  } catch (error) {
    await emptied?.resume().catch(() => {});
    throw error;
  }
}
