import { HOST_PATHS } from "../../components/host/types.ts";
import { AGENT_PLACES } from "./agent/protocol.ts";
import type { HostRecord } from "./agent/record.ts";
import type { HostShell } from "./shell.ts";

/** What a host is and has, as it says itself. */
export interface HostSurvey {
  /** `debian`, `ubuntu`, …, as in /etc/os-release. */
  readonly system: string;
  /** `12`, `24.04`, … */
  readonly systemVersion: string;
  /** What people call it. */
  readonly systemName: string;
  /** As `uname -m` says. */
  readonly machine: string;
  readonly cores: number;
  readonly memoryMiB: number;
  /** Free space where a path is or will be, with the file system's name: two of the same share it. */
  readonly disks: Readonly<Record<string, { readonly device: string; readonly freeMiB: number }>>;
  /** How far its clock is ahead of this machine's, s; negative: behind. */
  readonly clockAheadSeconds: number;
  /** The offset is right within this, s: half the time of the answer. */
  readonly clockErrorSeconds: number;
  readonly listening: readonly Listener[];
  /** Version of systemd; null: it does not run the host. */
  readonly systemd: number | null;
  /** True when control groups of the second version are there alone, as units with limits need. */
  readonly cgroup2: boolean;
  /** The fleet that was put there before; null: none. */
  readonly fleet: {
    readonly name: string;
    readonly node: string;
    /** Folders with its data, when that is all that is left of it; none while more of it is there. */
    readonly keeps: readonly string[];
  } | null;
}

/** Who listens at a port for TCP. */
export interface Listener {
  /** `0.0.0.0`, `127.0.0.1`, `[::]`, … */
  readonly address: string;
  readonly port: number;
  /** Name of the program; empty when it is not told. */
  readonly program: string;
  /** Its systemd unit; empty when it has none. */
  readonly unit: string;
}

/** Paths whose file system counts: releases, and what is kept. */
export const DISK_PATHS = [HOST_PATHS.root, HOST_PATHS.data] as const;

/** Where the program that carries plans out notes whose the host is. */
const RECORD = AGENT_PLACES.record;

/**
 * Reads only. Each line is a word, then what it is about. `ss` and systemd are on every system that is
 * supported; on another one they are left out, and the system itself is the fault.
 */
const SCRIPT = `set -u
LC_ALL=C; export LC_ALL
echo "time $(date +%s.%N)"
for key in ID VERSION_ID PRETTY_NAME; do
  echo "$key $(. /etc/os-release 2>/dev/null; eval "echo \\"\\\${$key:-}\\"")"
done
echo "machine $(uname -m)"
echo "cores $(nproc)"
awk '/^MemTotal:/ { print "memory", $2 }' /proc/meminfo
for path in ${DISK_PATHS.join(" ")}; do
  at=$path
  until test -d "$at"; do at=$(dirname "$at"); done
  df -Pk "$at" | awk -v path="$path" 'NR == 2 { print "disk", path, $1, $4 }'
done
! test -d /run/systemd/system || echo "systemd $(systemctl --version | awk 'NR == 1 { print $2 }')"
echo "cgroup $(stat -f -c %T /sys/fs/cgroup 2>/dev/null)"
ss -Hltnp 2>/dev/null | while read -r _ _ _ local _ users; do
  pid=$(printf %s "$users" | sed -n 's/.*pid=\\([0-9]*\\).*/\\1/p')
  program=$(printf %s "$users" | sed -n 's/^users:(("\\([^"]*\\)".*/\\1/p')
  unit=$(test -z "$pid" || sed -n 's|.*/\\([^/]*\\.service\\).*|\\1|p' "/proc/$pid/cgroup" | head -n 1)
  echo "listen $local \${unit:--} $program"
done
! test -e ${RECORD} || { printf 'record '; tr -d '\\n' < ${RECORD}; echo; }
`;

/** Asks a host everything at once. `now` is this machine's clock, ms. */
export async function surveyHost(
  shell: HostShell,
  { signal, now = Date.now }: { signal?: AbortSignal; now?: () => number } = {},
): Promise<HostSurvey> {
  // Connected before the clock is asked, so that the login does not count.
  await shell.exec(["true"], signal ? { signal } : {});
  const asked = now();
  let answered: number | null = null;
  const { code, stdout, stderr } = await shell.exec(["sh", "-s"], {
    ...(signal ? { signal } : {}),
    stdin: SCRIPT,
    onLine: () => {
      answered ??= now();
    },
  });
  if (code !== 0) throw new Error(`the host could not be looked at: ${stderr.trim() || code}`);
  return parseSurvey(stdout, asked, answered ?? now());
}

/** What the script wrote, as facts. */
export function parseSurvey(text: string, askedMs: number, answeredMs: number): HostSurvey {
  const rows = text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const at = line.indexOf(" ");
      return at < 0 ? ([line, ""] as const) : ([line.slice(0, at), line.slice(at + 1)] as const);
    });
  const all = (word: string) => rows.filter(([name]) => name === word).map(([, rest]) => rest);
  const one = (word: string) => all(word)[0] ?? "";
  const systemd = Number.parseInt(one("systemd"), 10);
  return {
    system: one("ID"),
    systemVersion: one("VERSION_ID"),
    systemName: one("PRETTY_NAME") || "an unknown system",
    machine: one("machine"),
    cores: Number(one("cores")) || 1,
    memoryMiB: Math.floor(Number(one("memory")) / 1024),
    disks: Object.fromEntries(
      all("disk").map((rest) => {
        const [path = "", device = "", free = "0"] = rest.split(" ");
        return [path, { device, freeMiB: Math.floor(Number(free) / 1024) }];
      }),
    ),
    clockAheadSeconds: Number(one("time")) - (askedMs + answeredMs) / 2_000,
    clockErrorSeconds: (answeredMs - askedMs) / 2_000,
    listening: all("listen").flatMap(listener),
    systemd: Number.isNaN(systemd) ? null : systemd,
    cgroup2: one("cgroup") === "cgroup2fs",
    fleet: fleetOf(one("record")),
  };
}

function listener(rest: string): Listener[] {
  const [local = "", unit = "-", ...program] = rest.split(" ");
  const at = local.lastIndexOf(":");
  const port = Number(local.slice(at + 1));
  if (at < 0 || !Number.isInteger(port)) return [];
  const address = local.slice(0, at).replace(/%[^\]]*/, "");
  return [{ address, port, program: program.join(" "), unit: unit === "-" ? "" : unit }];
}

function fleetOf(record: string): HostSurvey["fleet"] {
  if (record === "") return null;
  try {
    const made = JSON.parse(record) as Partial<HostRecord>;
    const { fleet, node, complete, units = {}, files = {}, directories = {} } = made;
    // What is just being put there, or taken away, is not complete.
    const left = complete === true && Object.keys({ ...units, ...files }).length === 0;
    return {
      name: String(fleet ?? "unknown"),
      node: String(node ?? "unknown"),
      keeps: left ? Object.keys(directories).sort() : [],
    };
  } catch {
    // Cut short or changed by hand: somebody's fleet all the same.
    return { name: "unknown", node: "unknown", keeps: [] };
  }
}
