import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import type { TestHost } from "./support/host.ts";
import { TestHosts } from "./support/lab.ts";
import { contextFor, putRelease } from "./support/node-unit.ts";
import { whyNoHosts } from "./support/programs.ts";

const ROOT = join(import.meta.dirname, "../..");
const DOMAIN = "nodes.example";
const PORT = 18_790;
const SEEN = "/run/seen.json";
/** A resolver that nobody answers gives up after its own retries, ms. */
const LOOKED_MS = 60_000;

/** Looks again and again, and writes down where it would dial each node. */
const LOOKS = `
import { renameSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { DnsDirectory } from "${ROOT}/gateway/node/dns-directory.ts";
const nodes = ["a", "b", "c"];
const warned = [];
const log = { warn: (message) => warned.push(message) };
const directory = new DnsDirectory({ name: "${DOMAIN}", port: ${PORT}, nodes: () => nodes, log });
for (let looks = 1; ; looks++) {
  await directory.look();
  const dialled = nodes.map((node) => directory.addressOf(node, "published"));
  writeFileSync("${SEEN}.new", JSON.stringify({ dialled, looks, warned }));
  renameSync("${SEEN}.new", "${SEEN}");
  await setTimeout(200);
}
`;

describe.skipIf(whyNoHosts() !== null)("nodes in DNS, by the host's own resolvers", () => {
  let lab: TestHosts;
  let host: TestHost;

  beforeAll(async () => {
    lab = await TestHosts.create({ hosts: ["a"] });
    host = lab.host("a");
    const { outputFiles } = await build({
      stdin: { contents: LOOKS, resolveDir: ROOT, loader: "js" },
      ...{ bundle: true, write: false, platform: "node", format: "esm", target: "node24" },
      logLevel: "silent",
    });
    const { paths } = contextFor(lab.hosts, host);
    await putRelease(host, contextFor(lab.hosts, host), {
      "looks.mjs": outputFiles[0]?.text ?? "",
    });
    await host.run("printf 'nameserver 127.0.0.1\\n' > /etc/resolv.conf");
    await host.run(`systemd-run --unit=looks ${paths.release}/bin/node ${paths.release}/looks.mjs`);
  }, 600_000);
  afterAll(async () => {
    await lab?.close();
  });

  /** A real name server on the host that knows this and nothing else; null: there is none. */
  async function names(records: readonly string[] | null): Promise<void> {
    await host.run("systemctl stop names 2>/dev/null || :");
    if (records === null) return;
    const lines = ["no-resolv", "no-hosts", "local-ttl=0", `local=/${DOMAIN}/`, ...records];
    writeFileSync(`/proc/${host.pid}/root/run/names.conf`, `${lines.join("\n")}\n`);
    const program = "dnsmasq --keep-in-foreground --listen-address=127.0.0.1 --bind-interfaces";
    await host.run(`systemd-run --unit=names ${program} --conf-file=/run/names.conf`);
  }
  interface Seen {
    dialled: string[];
    looks: number;
    warned: string[];
  }
  const seen = async (): Promise<Seen> => JSON.parse((await host.readFile(SEEN)) ?? "{}");
  const dials = (wanted: readonly string[]) =>
    eventually(async () => expect((await seen()).dialled).toEqual(wanted), LOOKED_MS);
  /** Two whole looks later. */
  const looked = async () => {
    const { looks } = await seen();
    await eventually(
      async () => expect((await seen()).looks).toBeGreaterThan(looks + 1),
      LOOKED_MS,
    );
  };

  test("without any name server nodes are dialled as they published, and it says why", async () => {
    await eventually(async () => {
      const { dialled, warned } = await seen();
      expect(dialled).toEqual(["published", "published", "published"]);
      expect(warned.join()).toMatch(/nodes cannot be looked up in DNS: .*(ECONNREFUSED|EAI_AGAIN)/);
    }, LOOKED_MS);
  });

  test("names of /etc/hosts count where no name server answers", async () => {
    await host.run(`echo '10.1.0.1 a.${DOMAIN}' >> /etc/hosts`);
    await dials([`a.${DOMAIN}:${PORT}`, "published", "published"]);
    await host.run("sed -i '$d' /etc/hosts");
  });

  test("address records name nodes, and those without one are dialled as before", async () => {
    await names([`address=/b.${DOMAIN}/10.2.0.2`]);
    await dials([`a.${DOMAIN}:${PORT}`, `b.${DOMAIN}:${PORT}`, "published"]);
  });

  test("SRV records say host and port, and change while it runs", async () => {
    const srv = (node: string, port: number) =>
      `srv-host=_openclaw-fleet._tcp.${DOMAIN},${node}.inside.example,${port}`;
    await names([srv("a", 7_001), srv("b", 7_002), srv("c", 7_003)]);
    await dials(["a.inside.example:7001", "b.inside.example:7002", "c.inside.example:7003"]);
    await names([srv("a", 7_001), srv("b", 7_012), srv("c", 7_003)]);
    await dials(["a.inside.example:7001", "b.inside.example:7012", "c.inside.example:7003"]);
  });

  test("what SRV records said stays while no name server answers", async () => {
    await names(null);
    await looked();
    expect((await seen()).dialled).toEqual([
      "a.inside.example:7001",
      "b.inside.example:7012",
      "c.inside.example:7003",
    ]);
  });
});
