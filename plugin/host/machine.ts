import { HOST_PATHS } from "../../components/host/types.ts";
import type { Operation } from "../handler.ts";
import { type HostConnection, type HostShell, HostUnreachable, type Patience } from "./shell.ts";

/** A machine of EC2 is online in Systems Manager within a minute or two of its start. */
const BOOT_MS = 300_000;
/** Its first start makes a file system and mounts it, s; everything else in it takes seconds. */
const FIRST_START_SECONDS = 600;
/** A volume is there some seconds after a later start, s. */
const MOUNT_SECONDS = 60;

/** For hosts whose machine may just have been started. */
export const whileItBoots = ({ say }: Pick<Operation, "say">): Patience => ({
  bootMs: BOOT_MS,
  say,
});

/** True when a host's machine was exchanged for another one, as far as one can know: only a session tells. */
export function anotherMachine(
  before: HostConnection | undefined,
  now: HostConnection | undefined,
): boolean {
  return before !== undefined && before.session?.instanceId !== now?.session?.instanceId;
}

/** Until the directory is one that something is mounted on; `$1` s. */
const MOUNTED = `until findmnt --noheadings --mountpoint "$2" > /dev/null; do
  test "$1" -gt 0 || exit 1
  set -- "$(($1 - 1))" "$2"
  sleep 1
done`;

/**
 * Waits until a machine's first start is over and its state volume is there: what is written before would be under
 * the volume, and end with the machine. Nothing is asked of a host without a session.
 * @throws HostUnreachable with what cloud-init says
 */
export async function untilStarted(
  shell: HostShell,
  { name, session }: HostConnection,
  { signal, say }: Pick<Operation, "signal" | "say">,
): Promise<void> {
  if (!session) return;
  const { instanceId, region } = session;
  const there = `aws ssm start-session --target ${instanceId} --region ${region}`;
  const unfit = (what: string, why: string, fix: string) =>
    new HostUnreachable(`host ${name}: ${what}\n  why: ${why}\n  do:  ${fix}`);
  say("waiting for the machine's first start");
  const wait = ["timeout", String(FIRST_START_SECONDS), "cloud-init", "status", "--wait"];
  const { code } = await shell.exec(wait, { signal });
  // 2: it has something to say, and is done. 127: there is no cloud-init, which is nothing to wait for.
  if (![0, 2, 127].includes(code)) {
    const { stdout } = await shell.exec(["cloud-init", "status", "--long"], { signal });
    const said = stdout.trim().split("\n").slice(0, 20).join("\n       ");
    throw unfit(
      code === 124
        ? `its first start was not over within ${FIRST_START_SECONDS / 60} min`
        : "its first start failed",
      said || `cloud-init ended with ${code}`,
      `see /var/log/cloud-init-output.log there (${there}); mend it, or exchange the machine, and run this again`,
    );
  }
  const mounted = ["sh", "-c", MOUNTED, "sh", String(MOUNT_SECONDS), HOST_PATHS.data];
  if ((await shell.exec(mounted, { signal })).code === 0) return;
  throw unfit(
    "its state volume is not there",
    `nothing is mounted on ${HOST_PATHS.data}, and what is written below it would end with the machine`,
    `see \`systemctl status ${HOST_PATHS.data}\` there (${there}); mend it and run this again`,
  );
}
