import { z } from "zod";
import { AGENT_PLACES } from "./agent/protocol.ts";
import { DISK_PATHS, type HostSurvey, type Listener } from "./preflight-facts.ts";

/** What a plan wants of a host before anything is changed there. */
export const hostNeeds = z.strictObject({
  /** The fleet: the stack's name. */
  fleet: z.string(),
  /** The node's id. */
  node: z.string(),
  /** Architecture that the release is for, in Node's words. */
  arch: z.enum(["x64", "arm64"]),
  memoryMiB: z.number().nonnegative(),
  /** What takes that, in words, MiB each; empty: the preset asks for a whole host of that size. */
  memoryOf: z.record(z.string(), z.number().nonnegative()).default({}),
  /** Free space for conversations and stores when the host is new, MiB. */
  dataMiB: z.number().nonnegative(),
  /** Ports that the plan's services listen at, and what for. */
  ports: z.record(z.string().regex(/^\d+$/), z.string()),
  /** Units of the plan: what listens in them is this fleet's own. */
  units: z.array(z.string()),
});
export type HostNeeds = z.infer<typeof hostNeeds>;

/** One thing that stands against a host. */
export interface HostFault {
  readonly what: string;
  readonly fix: string;
}

/** Systems that the plans are tested on, with the versions of /etc/os-release. */
const SYSTEMS: Readonly<Record<string, readonly string[]>> = {
  debian: ["12", "13"],
  ubuntu: ["24.04"],
};
const MACHINES: Readonly<Record<string, string>> = {
  x86_64: "x64",
  aarch64: "arm64",
};
/** How the name of each unit begins that a plan makes. */
const FLEET_UNITS = "openclaw-fleet-";
/** Certificates and the times of logs bear that much; leases never look at a wall clock. */
const MOST_SKEW_SECONDS = 2;
/** A machine sold as 2 GB shows its system a little less. */
const MEMORY_TOLERANCE = 0.08;
/** Two releases unpacked (this one and the one before), and one on its way. Measured: 640 MiB and 200 MiB. */
export const RELEASES_MIB = 1_600;

/** Whether what was put on a host before is this node of this fleet. */
export function isOf(
  { name, node }: NonNullable<HostSurvey["fleet"]>,
  needs: Pick<HostNeeds, "fleet" | "node">,
): boolean {
  return name === needs.fleet && node === needs.node;
}

/** Everything that stands against a host, in the order in which a person would mend it. Empty: nothing. */
export function judgeHost(survey: HostSurvey, needs: HostNeeds): HostFault[] {
  const known = survey.fleet !== null && isOf(survey.fleet, needs);
  return [
    ...judgeSystem(survey),
    ...judgeArch(survey, needs),
    ...judgeFleet(survey, needs, known),
    ...judgeMemory(survey, needs),
    ...judgeDisk(survey, needs, known),
    ...judgeClock(survey),
    ...judgePorts(survey, needs, known),
  ];
}

/** What stands against a host that is part of a fleet already, whose release and ports are its own. */
export function judgeRunning(survey: HostSurvey): HostFault[] {
  return [...judgeDisk(survey, { dataMiB: 0 }, true), ...judgeClock(survey)];
}

/** One message for all faults of a host. */
export function faultsText(host: string, faults: readonly HostFault[]): string {
  const lines = faults.map(({ what, fix }) => `  - ${what}\n    do: ${fix}`);
  return `host ${host} is not fit, and nothing was changed on it:\n${lines.join("\n")}`;
}

function judgeSystem({ system, systemVersion, systemName, systemd, cgroup2 }: HostSurvey) {
  const faults: HostFault[] = [];
  if (!SYSTEMS[system]?.includes(systemVersion)) {
    faults.push({
      what: `it runs ${systemName}; Debian 12 and 13 and Ubuntu 24.04 are supported`,
      fix: "install one of them on the host",
    });
  }
  if (systemd === null) {
    faults.push({
      what: "systemd does not run it",
      fix: "use a whole machine or virtual machine, not a container of an application",
    });
  } else if (!cgroup2) {
    faults.push({
      what: "it has control groups of the old version, and a shard's memory could not be limited",
      fix: "take systemd.unified_cgroup_hierarchy=0 from the kernel's command line and reboot it",
    });
  }
  return faults;
}

function judgeArch({ machine }: HostSurvey, { arch }: HostNeeds): HostFault[] {
  const has = MACHINES[machine];
  if (has === arch) return [];
  return [
    {
      what: `its processor is ${machine}, and the release is for ${arch}`,
      fix: has ? `set arch of this host to ${has}` : "use a machine with x86_64 or aarch64",
    },
  ];
}

function judgeFleet({ fleet }: HostSurvey, needs: HostNeeds, known: boolean): HostFault[] {
  if (fleet === null || known) return [];
  const { name, node, keeps } = fleet;
  const whose = `node ${node} of fleet ${name}`;
  const asked = `this is node ${needs.node} of ${needs.fleet}`;
  if (keeps.length > 0) {
    return [
      {
        what: `it keeps the data of ${whose} (${keeps.join(", ")}), and ${asked}`,
        fix: `move it away, then remove ${AGENT_PLACES.folder}`,
      },
    ];
  }
  return [
    {
      what: `it is ${whose} already, and ${asked}`,
      fix:
        name === needs.fleet
          ? `name it ${node} again, or leave it out of hosts and run ./fleet up --stack ${name}, which takes node ${node} off it; then add it as ${needs.node}`
          : "name another host, or take the other fleet off it first (fleet destroy on its stack)",
    },
  ];
}

function judgeMemory({ memoryMiB }: HostSurvey, needs: HostNeeds): HostFault[] {
  if (memoryMiB >= needs.memoryMiB * (1 - MEMORY_TOLERANCE)) return [];
  const parts = Object.entries(needs.memoryOf).map(([what, mib]) => `${what} ${mib}`);
  const of = parts.length === 0 ? "" : ` (${parts.join(", ")})`;
  return [
    {
      what: `it has ${memoryMiB} MiB of memory, and the plan needs ${needs.memoryMiB} MiB${of}`,
      fix: "give it more, or plan fewer shards (settings shards, users or preset)",
    },
  ];
}

function judgeDisk(
  { disks }: HostSurvey,
  needs: Pick<HostNeeds, "dataMiB">,
  known: boolean,
): HostFault[] {
  const wants: Record<string, number> = {
    // On a host of this fleet the data is there, and one release at least.
    [DISK_PATHS[0]]: known ? RELEASES_MIB / 2 : RELEASES_MIB,
    [DISK_PATHS[1]]: known ? 0 : needs.dataMiB,
  };
  const faults: HostFault[] = [];
  const devices = new Set(Object.values(disks).map(({ device }) => device));
  for (const device of devices) {
    const on = Object.entries(disks).filter(([, disk]) => disk.device === device);
    const free = Math.min(...on.map(([, { freeMiB }]) => freeMiB));
    const wanted = on.reduce((sum, [path]) => sum + (wants[path] ?? 0), 0);
    if (free >= wanted) continue;
    faults.push({
      what: `${on.map(([path]) => path).join(" and ")} would need ${wanted} MiB, and ${free} MiB are free there`,
      fix: "free some, or give it a larger disk",
    });
  }
  return faults;
}

function judgeClock({ clockAheadSeconds, clockErrorSeconds }: HostSurvey): HostFault[] {
  const sure = Math.abs(clockAheadSeconds) - clockErrorSeconds;
  if (sure <= MOST_SKEW_SECONDS) return [];
  const side = clockAheadSeconds > 0 ? "ahead of" : "behind";
  return [
    {
      what: `its clock is ${Math.abs(clockAheadSeconds).toFixed(1)} s ${side} this machine's`,
      fix: "set both by the network: timedatectl set-ntp true, then timedatectl status",
    },
  ];
}

function judgePorts({ listening }: HostSurvey, needs: HostNeeds, known: boolean): HostFault[] {
  // One that this plan has no more, such as the front before this one, is stopped on the way.
  const own = ({ unit }: Listener) =>
    known && (needs.units.includes(unit) || unit.startsWith(FLEET_UNITS));
  return Object.entries(needs.ports).flatMap(([port, what]) => {
    const other = listening.find((one) => String(one.port) === port && !own(one));
    if (!other) return [];
    const who = [other.program || "another program", other.unit && `(${other.unit})`]
      .filter(Boolean)
      .join(" ");
    return [
      {
        what: `port ${port} is wanted by ${what}, and ${who} listens at ${other.address}:${port}`,
        fix: other.unit
          ? `stop it for good: systemctl disable --now ${other.unit}`
          : "stop that program, or choose another port in the settings",
      },
    ];
  });
}
