import type { Host } from "./host.ts";
import type { RecordedUnit } from "./record.ts";
import { must, type Ran, type System, said, stillWanted } from "./system.ts";
import { type UnitAction, type UnitStatus, unitStatuses } from "./units.ts";

/** A unit counts as started when it lived this long: longer than a program with a bad setting does. */
const STEADY_MS = 1_000;
/** Longest wait for that; a unit that starts again and again never gets there. */
const STEADY_WITHIN_MS = 30_000;
const LOOK_MS = 200;
/** Lines of a unit's journal that an error shows. */
const LOG_LINES = 15;

/** Makes systemd read its units anew. */
export async function reloadSystemd(system: System): Promise<void> {
  await must(system, ["systemctl", "daemon-reload"], "reading the units anew");
}

/** Does one thing to one unit. @throws Error with the last lines of its journal */
export async function act(system: System, { name, action, enable }: UnitAction): Promise<string> {
  stillWanted(system);
  const since = journalNow();
  if (action === "disable") {
    await tell(system, ["disable", "--now", name], name, since);
    return `unit ${name} stopped and disabled`;
  }
  if (enable) await tell(system, ["enable", name], name, since);
  const words = { start: "starting", restart: "restarting", reload: "reloading" } as const;
  system.say(`${words[action]} ${name}`);
  // A unit that failed too often is not started again before it is forgiven.
  if (action !== "reload") await system.run(["systemctl", "reset-failed", name]);
  await tell(system, [action, name], name, since);
  return `unit ${name} ${{ start: "started", restart: "restarted", reload: "reloaded" }[action]}`;
}

/**
 * Takes what a unit runs out of what it shares with other hosts. A plan that has the unit after all writes the files
 * that the command was given once more: by their time it is known that the unit is wanted again.
 * @throws Error when that is refused
 */
export async function leaveOthers(
  { system, record, note }: Host,
  name: string,
  { leave }: Pick<RecordedUnit, "leave">,
): Promise<void> {
  if (!leave) return;
  stillWanted(system);
  system.say(`taking ${name} out of what it shares with other hosts`);
  const before = { anew: record.anew, complete: record.complete };
  record.anew = [...(record.anew ?? []), ...leave.filter((word) => record.files[word])];
  record.complete = false;
  note();
  const ran = await system.run(leave);
  if (ran.code === 0) return;
  Object.assign(record, before);
  note();
  throw new Error(`${name} cannot be taken away: ${said(ran, 5)}`);
}

/** Stops a unit and keeps it from starting at boot. False: there was nothing to do. */
export async function stopUnit(system: System, name: string): Promise<boolean> {
  const status = (await unitStatuses(system, [name]))[name] as UnitStatus;
  if (!status.loaded || (status.off && !status.enabled)) return false;
  system.say(`stopping ${name}`);
  await tell(system, ["stop", name], name, journalNow());
  if (status.enabled) await tell(system, ["disable", name], name, journalNow());
  await system.run(["systemctl", "reset-failed", name]);
  return true;
}

/**
 * Waits until units that were started have been up for a moment without starting again.
 * @param since when they were told to, as the journal counts
 * @throws Error with the journal of the first that does not stay up
 */
export async function untilSteady(
  system: System,
  names: readonly string[],
  since: number,
): Promise<void> {
  const first = await unitStatuses(system, names);
  const seen = new Map<string, number>();
  for (const begun = system.now(); ; await system.sleep(LOOK_MS)) {
    stillWanted(system);
    const now = await unitStatuses(system, names);
    const waiting = names.filter(
      (name) => !isSteady(now[name] as UnitStatus, seen, name, system.now()),
    );
    if (waiting.length === 0) return;
    const broken = waiting.find(
      (name) => now[name]?.failed || (now[name]?.restarts ?? 0) > (first[name]?.restarts ?? 0) + 1,
    );
    const late = system.now() - begun > STEADY_WITHIN_MS ? waiting[0] : undefined;
    const bad = broken ?? late;
    if (bad !== undefined) {
      const log = await journal(system, bad, since);
      throw new Error(`${bad} does not stay up: it is ${now[bad]?.word}. ${log}`);
    }
  }
}

/** Up in the same life for a moment, or ended well. */
function isSteady(
  status: UnitStatus,
  seen: Map<string, number>,
  name: string,
  now: number,
): boolean {
  if (status.ended) return true;
  if (!status.active) return false;
  // The life that is seen is known by when it began; how long it lasted, by this process's own clock.
  const key = `${name} ${status.activeSinceMicros}`;
  const begun = seen.get(key) ?? now;
  seen.set(key, begun);
  return now - begun >= STEADY_MS;
}

/** Last lines of a unit's journal, for an error. */
export async function journal(system: System, name: string, sinceMs: number): Promise<string> {
  const since = `@${Math.floor(sinceMs / 1_000)}`;
  const ran = await system.run([
    ...["journalctl", "--unit", name, "--lines", String(LOG_LINES)],
    ...["--since", since, "--output", "cat", "--no-pager", "--quiet"],
  ]);
  const text = ran.stdout.trim();
  if (ran.code !== 0 || text === "")
    return `It left nothing in the journal (journalctl -u ${name})`;
  return `Last lines of its journal:\n${text}`;
}

/** Now, as the journal counts, ms. It is asked in whole seconds. */
export const journalNow = (): number => Date.now();

async function tell(
  system: System,
  args: readonly string[],
  name: string,
  since: number,
): Promise<Ran> {
  const ran = await system.run(["systemctl", "--quiet", ...args]);
  if (ran.code === 0) return ran;
  const status = (await unitStatuses(system, [name]))[name];
  throw new Error(
    `systemctl ${args.join(" ")} failed; it is ${status?.word}. ${said(ran, 3)}\n${await journal(system, name, since)}`,
  );
}
