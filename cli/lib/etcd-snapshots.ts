import { ETCD_TEND_UNIT, etcdHome } from "../../components/etcd/plan.ts";
import { HOST_PATHS } from "../../components/host/types.ts";
import { SNAPSHOT_WANTED } from "../../gateway/etcd/member-file.ts";
import { type HostConnection, HostUnreachable, type OpenShell } from "../../plugin/host/shell.ts";

/** A snapshot of the store of leases, on the disk of the member that took it. */
export interface EtcdSnapshot {
  host: string;
  path: string;
  bytes: number;
  /** When it was taken, ISO. */
  at: string;
}

export interface EtcdSnapshots {
  taken: EtcdSnapshot[];
  /** Hosts from which none is known, with why. */
  missing: { host: string; why: string }[];
}

/** Exit code of a host without a member of etcd. */
const NO_MEMBER = 3;
/** How often a member is asked: a round of care that had begun may have passed its snapshot already. */
const TRIES = 3;

/**
 * Asks the member's own care for a snapshot, so that it is taken, checked and counted as the hourly ones are, and
 * prints what the newest is: bytes, seconds since 1970, path.
 */
const SCRIPT = `set -eu
systemctl cat "$1" >/dev/null 2>&1 || exit ${NO_MEMBER}
: > "$2/${SNAPSHOT_WANTED}"
for try in $(seq ${TRIES}); do
  systemctl start "$1" || true
  [ -e "$2/${SNAPSHOT_WANTED}" ] || break
done
if [ -e "$2/${SNAPSHOT_WANTED}" ]; then
  rm -f "$2/${SNAPSHOT_WANTED}"
  journalctl --unit="$1" --lines=3 --output=cat --quiet >&2
  exit 1
fi
stat -c '%s %Y %n' "$2"/snapshots/*.db | tail -n 1`;

/** Has each member of etcd save a snapshot now, all at once. What a host cannot do is told, and stops no other. */
export async function saveEtcdSnapshots(
  hosts: readonly HostConnection[],
  open: OpenShell,
): Promise<EtcdSnapshots> {
  const found: EtcdSnapshots = { taken: [], missing: [] };
  const home = etcdHome({ ...HOST_PATHS, release: "" });
  await Promise.all(
    hosts.map(async (host) => {
      const { name } = host;
      const shell = open(host);
      try {
        const argv = ["sh", "-c", SCRIPT, "sh", ETCD_TEND_UNIT, home];
        const { code, stdout, stderr } = await shell.exec(argv);
        if (code === NO_MEMBER) return;
        const [, bytes, at, path] = /^(\d+) (\d+) (.+)$/.exec(stdout.trim()) ?? [];
        if (code !== 0 || path === undefined) {
          const why = stderr.trim() || `asking for it ended with ${code}`;
          found.missing.push({ host: name, why });
        } else {
          const taken = new Date(Number(at) * 1_000).toISOString();
          found.taken.push({ host: name, path, bytes: Number(bytes), at: taken });
        }
      } catch (error) {
        if (!(error instanceof HostUnreachable)) throw error;
        found.missing.push({ host: name, why: error.message });
      } finally {
        await shell.close();
      }
    }),
  );
  for (const list of [found.taken, found.missing]) {
    list.sort((a, b) => (a.host < b.host ? -1 : 1));
  }
  return found;
}
