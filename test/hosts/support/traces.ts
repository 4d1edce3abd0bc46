import type { TestHost } from "./host.ts";

const LOOK =
  "ls -d /opt/* /etc/*openclaw* /var/lib/*openclaw* /etc/systemd/system/*openclaw* 2>/dev/null; getent passwd";

/** What a fleet leaves on hosts besides logs, to be compared with what was there before. */
export async function fleetTraces(hosts: readonly TestHost[]): Promise<string> {
  const found = await Promise.all(
    hosts.map(async (host) => (await host.run(["sh", "-c", LOOK], { check: false })).stdout),
  );
  return found.join("\n");
}
