import type { HostPlan, HostUnit } from "../../../components/host/types.ts";
import type { HostRecord } from "./record.ts";
import { type System, said } from "./system.ts";

/** Where an administrator's units lie. */
const UNIT_FOLDER = "/etc/systemd/system";
const DROP_IN = "10-openclaw-fleet.conf";

/** What systemd says of a unit. */
export interface UnitStatus {
  /** There is such a unit. */
  readonly loaded: boolean;
  /** Told to start at boot. */
  readonly enabled: boolean;
  /** Starts at boot, or is brought in by something else. */
  readonly atBoot: boolean;
  readonly active: boolean;
  readonly failed: boolean;
  /** Nothing of it runs or is about to. */
  readonly off: boolean;
  /** It ran and ended well, as a unit of type oneshot does. */
  readonly ended: boolean;
  /** Its own word: "active (running)". */
  readonly word: string;
  /** Its text on the disk is newer than what systemd knows. */
  readonly stale: boolean;
  readonly restarts: number;
  /** Since when it is active, µs of the machine's clock; 0: it is not. */
  readonly activeSinceMicros: number;
}

const PROPERTIES = [
  "LoadState",
  "ActiveState",
  "SubState",
  "UnitFileState",
  "NeedDaemonReload",
  "Type",
  "RemainAfterExit",
  "Result",
  "NRestarts",
  "ActiveEnterTimestampMonotonic",
];
const ENABLED = ["enabled", "enabled-runtime", "alias"];
const AT_BOOT = [...ENABLED, "static", "indirect", "generated"];

export const unitFile = (name: string): string => `${UNIT_FOLDER}/${name}`;
export const dropInFolder = (name: string): string => `${UNIT_FOLDER}/${name}.d`;
export const dropInFile = (name: string): string => `${dropInFolder(name)}/${DROP_IN}`;

/** Files of a unit's own text, by path. */
export function unitTexts(name: string, { content, dropIn }: HostUnit): Record<string, string> {
  return {
    ...(content === undefined ? {} : { [unitFile(name)]: content }),
    ...(dropIn === undefined ? {} : { [dropInFile(name)]: dropIn }),
  };
}

/** How these units are now. */
export async function unitStatuses(
  system: System,
  names: readonly string[],
): Promise<Record<string, UnitStatus>> {
  if (names.length === 0) return {};
  const asked = PROPERTIES.flatMap((name) => ["--property", name]);
  const ran = await system.run(["systemctl", "show", ...asked, "--", ...names]);
  if (ran.code !== 0) throw new Error(`systemd does not answer: ${said(ran)}`);
  const blocks = ran.stdout.trim().split(/\n\n+/);
  return Object.fromEntries(names.map((name, i) => [name, statusOf(blocks[i] ?? "")]));
}

function statusOf(block: string): UnitStatus {
  const of = new Map(
    block.split("\n").map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)] as const;
    }),
  );
  const state = of.get("ActiveState") ?? "unknown";
  const once = of.get("Type") === "oneshot" && of.get("RemainAfterExit") !== "yes";
  return {
    loaded: of.get("LoadState") === "loaded",
    enabled: ENABLED.includes(of.get("UnitFileState") ?? ""),
    atBoot: AT_BOOT.includes(of.get("UnitFileState") ?? ""),
    active: state === "active" || state === "reloading",
    failed: state === "failed",
    off: state === "inactive",
    ended: once && state === "inactive" && of.get("Result") === "success",
    word: `${state} (${of.get("SubState") ?? "unknown"})`,
    stale: of.get("NeedDaemonReload") === "yes",
    restarts: Number(of.get("NRestarts") ?? 0) || 0,
    activeSinceMicros:
      state === "active" ? Number(of.get("ActiveEnterTimestampMonotonic")) || 0 : 0,
  };
}

/** How a unit differs from its plan; null: it does not. */
export function unitDifference(unit: HostUnit, status: UnitStatus): string | null {
  if (unit.state === "disabled") {
    if (status.active) return "runs, and should not";
    return status.enabled ? "starts at boot, and should not" : null;
  }
  if (!status.loaded) return "is not there";
  if (status.failed) return `is ${status.word}`;
  if (unit.state === "triggered") return null;
  if (!status.active && !status.ended) return `is ${status.word}`;
  return status.atBoot ? null : "does not start at boot";
}

export type Action = "start" | "restart" | "reload" | "disable";

export interface UnitAction {
  readonly name: string;
  readonly action: Action;
  /** Said to systemd as well, so that it is so after a boot. */
  readonly enable: boolean;
}

/**
 * What has to be done to units, in order. `changed`: paths whose content is another than before, texts of
 * units among them.
 */
export function unitActions(
  plan: HostPlan,
  changed: ReadonlySet<string>,
  pending: HostRecord["pending"],
  statuses: Readonly<Record<string, UnitStatus>>,
): UnitAction[] {
  const touched = (paths: readonly string[] = []) => paths.some((path) => changed.has(path));
  return inOrder(plan.units).flatMap(([name, unit]): UnitAction[] => {
    const status = statuses[name];
    if (unit.state === "triggered") return [];
    if (unit.state === "disabled") {
      const off = status !== undefined && unitDifference(unit, status) === null;
      return off ? [] : [{ name, action: "disable", enable: false }];
    }
    const restart =
      touched([...Object.keys(unitTexts(name, unit)), ...(unit.restartOn ?? [])]) ||
      pending[name] === "restart";
    const reload = touched(unit.reloadOn) || pending[name] === "reload";
    const up = status?.active === true;
    const well = up || status?.ended === true;
    const action = !well ? "start" : restart ? "restart" : reload && up ? "reload" : null;
    const enable = status?.atBoot !== true;
    // Enabling alone leaves it as it runs: starting what is active does nothing.
    return action || enable ? [{ name, action: action ?? "start", enable }] : [];
  });
}

/** What is still to be told to units when the agent ends right after writing files. */
export function pendingOf(
  actions: readonly UnitAction[],
  pending: HostRecord["pending"],
): HostRecord["pending"] {
  const told = actions.flatMap(({ name, action }) =>
    action === "restart" || action === "reload" ? [[name, action] as const] : [],
  );
  return { ...pending, ...Object.fromEntries(told) };
}

/** Units as they start. */
export function inOrder<T extends { readonly order: number }>(
  units: Readonly<Record<string, T>>,
): [string, T][] {
  return Object.entries(units).sort(
    ([a, x], [b, y]) => x.order - y.order || (a < b ? -1 : a > b ? 1 : 0),
  );
}
