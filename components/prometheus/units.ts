import { COMPILES, hardening } from "../host/hardening.ts";
import { type HostPart, type HostUnit, UNIT_ORDER } from "../host/types.ts";
import { MONITOR_USER, PACKAGE_UNITS, PACKAGES, type Program, UNITS } from "./catalog.ts";

export interface UnitNeed {
  readonly description: string;
  readonly argv: readonly string[];
  /** Folders it writes below. */
  readonly writes?: readonly string[];
  /** Lines of `[Service]` besides. */
  readonly lines?: readonly string[];
  /** It takes a new configuration on SIGHUP. */
  readonly reloads?: boolean;
  /** Compiles at run time, which the strictest setting of memory forbids. */
  readonly compiles?: boolean;
}

/**
 * One of our units. Whatever is short on the host, monitoring goes before a gateway does: it tells of
 * conversations, and is none.
 */
export function unitText(need: UnitNeed): string {
  const lines = [
    "[Unit]",
    `Description=${need.description}`,
    "After=network-online.target",
    "Wants=network-online.target",
    // It never gives up: nobody else would tell.
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    `User=${MONITOR_USER}`,
    `Group=${MONITOR_USER}`,
    `ExecStart=${need.argv.map(quoted).join(" ")}`,
    ...(need.reloads ? ["ExecReload=/bin/kill -HUP $MAINPID"] : []),
    "Restart=always",
    "RestartSec=5",
    ...(need.lines ?? []),
    "OOMScoreAdjust=500",
    "CPUWeight=50",
    hardening({
      writes: need.writes ?? [],
      sockets: null,
      except: need.compiles ? COMPILES : [],
    }),
    "UMask=0077",
    "",
    "[Install]",
    "WantedBy=multi-user.target",
    "",
  ];
  return lines.join("\n");
}

/** An argument as systemd reads it: `%` and `$` are its own, blanks end an argument. */
function quoted(argument: string): string {
  const safe = argument.replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /[\s"'\\;]/.test(safe) ? `"${safe.replaceAll(/["\\]/g, "\\$&")}"` : safe;
}

/** A program from Debian, run by a unit of ours in the place of its package's. */
export function program(name: Program, unit: Omit<HostUnit, "state" | "order">): HostPart {
  return {
    packages: [PACKAGES[name]],
    units: {
      [PACKAGE_UNITS[name]]: { state: "disabled", order: UNIT_ORDER.monitoring - 1 },
      [UNITS[name]]: { ...unit, state: "enabled", order: UNIT_ORDER.monitoring },
    },
  };
}
