import type { HostPlan } from "../../../components/host/types.ts";
import type { FileChanges, FilesToChange } from "./apply-files.ts";
import type { Host } from "./host.ts";
import type { HostRecord, RecordedUnit } from "./record.ts";
import { said } from "./system.ts";
import {
  act,
  journalNow,
  leaveOthers,
  reloadSystemd,
  stopUnit,
  untilSteady,
} from "./unit-steps.ts";
import {
  inOrder,
  pendingOf,
  type UnitAction,
  type UnitStatus,
  unitActions,
  unitStatuses,
  unitTexts,
} from "./units.ts";

/** What has to be done to units, and how to prepare and take back. */
export interface UnitsToChange {
  readonly actions: readonly UnitAction[];
  /** Of the last plan, and not of this one; first to stop first. */
  readonly gone: readonly [string, RecordedUnit][];
  /** The node's unit stops for it. */
  readonly stopsNode: boolean;
  /** Something is done to the node's unit. */
  readonly touchesNode: boolean;
  readonly nothing: boolean;
  /** Says in the record what is going to be done. */
  note(): void;
  /** With the new files in place: systemd reads them, and every `verify` and `leave` has to succeed. */
  prepare(): Promise<void>;
  undo(): Promise<void>;
}

/**
 * @param asFound how units were before packages were installed: what a package brings is not what was there
 */
export async function unitsPlanned(
  plan: HostPlan,
  files: FilesToChange,
  host: Host,
  asFound: Readonly<Record<string, UnitStatus>>,
): Promise<UnitsToChange> {
  const { system, record, note } = host;
  const names = [...new Set([...Object.keys(plan.units), ...Object.keys(record.units)])];
  const statuses = await unitStatuses(system, names);
  const actions = unitActions(plan, files.changed, record.pending, statuses);
  const gone = inOrder(record.units)
    .filter(([name]) => plan.units[name] === undefined)
    .reverse();
  const before = { units: record.units, pending: record.pending };
  const texts = Object.entries(plan.units).flatMap(([name, unit]) =>
    Object.keys(unitTexts(name, unit)),
  );
  const reload =
    texts.some((path) => files.write.has(path)) || names.some((name) => statuses[name]?.stale);
  const nodes = actions.filter(({ name }) => plan.units[name]?.drains);
  const stops = ({ name, action }: UnitAction) =>
    statuses[name]?.active === true && (action === "restart" || action === "disable");
  return {
    actions,
    gone,
    stopsNode: nodes.some(stops) || gone.some(([name, u]) => u.drains && statuses[name]?.active),
    touchesNode: nodes.some(({ action }) => action !== "disable"),
    nothing: actions.length === 0 && gone.length === 0 && !reload,
    note() {
      record.units = { ...record.units, ...recorded(plan, record, asFound) };
      record.pending = pendingOf(actions, record.pending);
    },
    async prepare() {
      if (reload) await reloadSystemd(system);
      for (const { name, action } of actions) {
        const argv = plan.units[name]?.verify;
        if (!argv || action === "disable") continue;
        system.say(`checking the settings of ${name}`);
        const ran = await system.run(argv);
        if (ran.code === 0) continue;
        throw new Error(
          `${argv.join(" ")} refused the new files, so ${name} was left alone with the old ones: ${said(ran, 12)}`,
        );
      }
      // Last: what is refused before it leaves everything as it was.
      for (const [name, unit] of gone) await leaveOthers(host, name, unit);
    },
    async undo() {
      Object.assign(record, before);
      note();
      if (reload) await reloadSystemd(system);
    },
  };
}

function recorded(
  plan: HostPlan,
  record: HostRecord,
  asFound: Readonly<Record<string, UnitStatus>>,
): HostRecord["units"] {
  return Object.fromEntries(
    Object.entries(plan.units).map(([name, { order, drains = false, leave }]) => {
      const found = asFound[name];
      const before = found?.loaded ? { enabled: found.enabled, active: found.active } : null;
      const known = record.units[name];
      const leaves = leave ? { leave } : {};
      return [name, { order, drains, ...leaves, before: known ? known.before : before }];
    }),
  );
}

/** Stops what is gone, then starts, restarts and reloads what has to be, in order. */
export async function applyUnits(
  { actions, gone }: UnitsToChange,
  writing: FileChanges,
  host: Host,
): Promise<string[]> {
  const { system, record, note } = host;
  const changed: string[] = [];
  const since = journalNow();
  for (const [name] of gone) {
    if (await stopUnit(system, name)) changed.push(`unit ${name} stopped`);
  }
  const removed = writing.removeGone();
  changed.push(...removed);
  if (gone.length > 0 || removed.length > 0) await reloadSystemd(system);
  for (const [name, { before }] of gone) {
    await asBefore(host, name, before);
    delete record.units[name];
    note();
  }
  // What is not wanted goes first: it may hold a port of what comes.
  const off = actions.filter(({ action }) => action === "disable").reverse();
  const on = actions.filter(({ action }) => action !== "disable");
  for (const each of [...off, ...on]) {
    changed.push(await act(system, each));
    delete record.pending[each.name];
    note();
  }
  const started = on.filter(({ action }) => action !== "reload").map(({ name }) => name);
  if (started.length > 0) await untilSteady(system, started, since);
  return changed;
}

/** Gives a unit that was on the host before any plan its state from then. */
export async function asBefore(
  { system }: Host,
  name: string,
  before: RecordedUnit["before"],
): Promise<void> {
  if (!before) return;
  if (before.enabled) await system.run(["systemctl", "--quiet", "enable", name]);
  if (before.active) await system.run(["systemctl", "--quiet", "restart", name]);
}
