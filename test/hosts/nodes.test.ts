import { copyFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ETCD_UNIT,
  etcdEndpoints,
  etcdMembers,
  etcdProgram,
  planEtcd,
} from "../../components/etcd/plan.ts";
import type { HostPart } from "../../components/host/types.ts";
import { leasePrefix, planNode } from "../../components/node/plan.ts";
import { NODE_UNIT } from "../../components/node/unit.ts";
import type { FleetStatus } from "../../gateway/contract.ts";
import { AUTHORITY_STEPS } from "../../plugin/host/credentials.ts";
import { ensureEtcd } from "../../toolchain/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { TestCertificates } from "./support/certificates.ts";
import { frontLoad } from "./support/front-load.ts";
import type { TestHost } from "./support/host.ts";
import { TestHosts } from "./support/lab.ts";
import {
  carryOut,
  contextFor,
  fastRelease,
  fleetSettings,
  forTests,
  putRelease,
  TOKENS,
  tokenSecrets,
} from "./support/node-unit.ts";
import { whyNoHosts } from "./support/programs.ts";

const WAIT_MS = 120_000;
const WATCHDOG_S = 20;
const NAMES = ["a", "b", "c"];
const SHARDS = ["s1", "s2", "s3", "s4", "s5", "s6"];

describe.skipIf(whyNoHosts() !== null)("nodes on three hosts, with etcd between them", () => {
  let lab: TestHosts;
  let certificates: TestCertificates;
  const parts = new Map<TestHost, HostPart[]>();
  const port = 18_789;

  beforeAll(async () => {
    lab = await TestHosts.create({ hosts: NAMES });
    certificates = await TestCertificates.make(lab.hosts);
    const release = await fastRelease();
    const etcd = await ensureEtcd({ for: process.arch as "x64" });
    for (const host of lab.hosts) {
      const context = contextFor(lab.hosts, host);
      await putRelease(host, context, release);
      for (const name of ["etcd", "etcdctl"] as const) {
        const target = join(context.paths.release, "bin", name);
        copyFileSync(etcd[name], `/proc/${host.pid}/root${target}`);
        await host.run(["chmod", "0755", target]);
      }
      const members = { members: etcdMembers(context.hosts) };
      const node = planNode(context, {
        releaseId: "1.0.0",
        openclaw: `${context.paths.release}/openclaw/openclaw.mjs`,
        cores: 2,
        etcdEndpoints: etcdEndpoints(context, members),
        fleet: fleetSettings(SHARDS),
      });
      parts.set(host, [planEtcd(context, members), node]);
      await carryOut(host, parts.get(host) ?? [], { ...certificates.secrets, ...tokenSecrets });
      await forTests(host, NODE_UNIT, WATCHDOG_S);
    }
    await Promise.all(lab.hosts.map((host) => host.run(["systemctl", "start", ETCD_UNIT])));
    const [first] = lab.hosts as [TestHost];
    const { fleet, paths } = contextFor(lab.hosts, first);
    await first.run([...etcdProgram(paths, "found"), leasePrefix(fleet)]);
  });
  afterAll(async () => {
    await lab?.close();
  });

  const show = async (host: TestHost, property: string, unit = NODE_UNIT) =>
    (await host.run(["systemctl", "show", "--value", "-p", property, unit])).stdout.trim();
  const routers = () => lab.hosts.map(({ address }) => ({ host: address, port: 18_790 }));
  /** How often the node on a host has said that it took new certificates. */
  const timesInForce = async (host: TestHost) => {
    const script = `journalctl --no-pager -o cat -u ${NODE_UNIT} | grep -c 'new certificates are in force' || :`;
    return Number((await host.run(script)).stdout);
  };
  const curl = async (host: TestHost, path: string, token: string, body?: object) => {
    const { stdout } = await host.run([
      ...["curl", "--silent", "--fail-with-body", "--max-time", "60"],
      ...["-H", `authorization: Bearer ${token}`, "-H", "content-type: application/json"],
      ...(body ? ["-d", JSON.stringify(body)] : []),
      `http://127.0.0.1:${port}${path}`,
    ]);
    return JSON.parse(stdout);
  };
  const status = (host: TestHost): Promise<FleetStatus> =>
    curl(host, "/api/v1/fleet", TOKENS.admin);
  const chat = (host: TestHost, session: string): Promise<{ reply: string; shard: string }> =>
    curl(host, "/api/v1/chat", TOKENS.client, { session, message: "hi" });
  /** Every shard serves, as this host sees it; who has how many. */
  const serving = (host: TestHost) =>
    eventually(async () => {
      const { shards } = await status(host);
      expect(shards.map(({ id, state }) => `${id} ${state}`)).toEqual(
        SHARDS.map((id) => `${id} serving`),
      );
      return shards.map(({ owner }) => owner as string);
    }, WAIT_MS);

  test("the first node of a new fleet waits for the others, and they share the shards", async () => {
    const [a, b, c] = lab.hosts as [TestHost, TestHost, TestHost];
    await a.run(["systemctl", "start", NODE_UNIT]);
    expect(await show(a, "ActiveState")).toBe("active");
    await eventually(async () => expect((await status(a)).store.ok).toBe(true), WAIT_MS);
    await b.run(["systemctl", "start", NODE_UNIT]);
    await eventually(async () => expect((await status(a)).nodes).toHaveLength(2), WAIT_MS);
    const early = await status(a);
    expect(early.shards.every(({ owner }) => owner === null)).toBe(true);
    await c.run(["systemctl", "start", NODE_UNIT]);
    const owners = await serving(a);
    expect(new Set(owners).size).toBe(3);
    expect((await status(a)).store.kind).toBe("etcd");
  });

  test("any host's router brings a turn to the host that owns its shard", async () => {
    for (const host of lab.hosts) {
      const shards = new Set<string>();
      for (let n = 0; n < 12; n++) shards.add((await chat(host, `${host.name}-${n}`)).shard);
      expect(shards.size).toBeGreaterThan(3);
    }
  });

  test("a front on another machine is let in by its certificate, and by nothing less", async () => {
    const host = lab.host("b");
    const { ca, cert, key } = certificates.front;
    const ask = (tls: object) =>
      new Promise<number>((resolve, reject) => {
        const req = request(
          { host: host.address, port: 18_790, path: "/readyz", agent: false, ...tls },
          (res) => {
            res.resume();
            resolve(res.statusCode as number);
          },
        );
        req.on("error", reject);
        req.end();
      });
    expect(await ask({ ca, cert, key })).toBe(200);
    await expect(ask({ ca })).rejects.toThrow();
  });

  test("every host is updated in turn under load through its fronts: no client notices", async () => {
    const load = frontLoad(routers(), certificates.front, TOKENS.client);
    for (const [index, host] of lab.hosts.entries()) {
      const before = load.asked();
      await host.run(["systemctl", "restart", NODE_UNIT]);
      await serving(lab.hosts[(index + 1) % 3] as TestHost);
      await eventually(() => expect(load.asked()).toBeGreaterThan(before + 20), WAIT_MS);
    }
    expect(await load.stop()).toEqual([]);
  });

  test("the authority is exchanged in three steps under load: no client notices, no node restarts", {
    timeout: 900_000,
  }, async () => {
    const before = await Promise.all(lab.hosts.map((host) => show(host, "NRestarts")));
    const old = certificates.front;
    const load = frontLoad(routers(), old, TOKENS.client);
    for (let step = 1; step <= AUTHORITY_STEPS; step++) {
      await certificates.step();
      for (const host of lab.hosts) {
        const said = await timesInForce(host);
        await carryOut(host, parts.get(host) ?? [], { ...certificates.secrets, ...tokenSecrets });
        await eventually(async () => {
          expect(await timesInForce(host)).toBeGreaterThan(said);
          expect(await certificates.shownBy(host.address, 18_790)).toBe(certificates.of(host));
        }, WAIT_MS);
        // etcd reads whom it trusts when it starts.
        await host.run(["systemctl", "restart", ETCD_UNIT]);
        const health = etcdProgram(contextFor(lab.hosts, host).paths, "health");
        await eventually(() => host.run(health), WAIT_MS);
        // The front's own turn comes among those of the hosts.
        if (host.name === "b") load.use(certificates.front);
      }
      const asked = load.asked();
      await eventually(() => expect(load.asked()).toBeGreaterThan(asked + 20), WAIT_MS);
    }
    expect(await load.stop()).toEqual([]);
    // Neither who was certified before is let in any more, nor is what it knew of use.
    await expect(certificates.shownBy(lab.host("a").address, 18_790, old)).rejects.toThrow();
    for (const host of lab.hosts) {
      for (let n = 0; n < 6; n++) await chat(host, `new-${host.name}-${n}`);
    }
    const after = await Promise.all(lab.hosts.map((host) => show(host, "NRestarts")));
    expect(after).toEqual(before);
  });

  test("a host that loses its power loses its shards to the others, and comes back as a node", async () => {
    const [a, b, c] = lab.hosts as [TestHost, TestHost, TestHost];
    await c.powerOff();
    await eventually(async () => {
      const { shards, nodes } = await status(a);
      expect(nodes.find(({ id }) => id === "c")?.state).toBe("lost");
      expect(shards.every(({ owner, state }) => owner !== "c" && state === "serving")).toBe(true);
    }, WAIT_MS);
    for (let n = 0; n < 6; n++) await chat(b, `after-${n}`);
    await c.start();
    await c.run(["systemctl", "start", ETCD_UNIT, NODE_UNIT]);
    await eventually(async () => {
      expect((await status(a)).nodes.find(({ id }) => id === "c")?.state).toBe("active");
    }, WAIT_MS);
    await serving(c);
  });

  test("without a majority of the store every shard is fenced, no daemon ends, and its status says why", async () => {
    const [a, b, c] = lab.hosts as [TestHost, TestHost, TestHost];
    await serving(a);
    const before = await Promise.all(lab.hosts.map((host) => show(host, "NRestarts")));
    for (const host of [b, c]) await host.run(["systemctl", "stop", ETCD_UNIT]);
    for (const host of lab.hosts) {
      await eventually(async () => {
        expect(await show(host, "StatusText")).toContain("the lease store is away");
        const { stdout } = await host.run("pgrep -f '[o]penclaw.mjs gateway run' || :");
        expect(stdout).toBe("");
      }, WAIT_MS);
    }
    // Well beyond the patience of the watchdog.
    const since = performance.now();
    await eventually(() => {
      if (performance.now() - since < 2.5 * WATCHDOG_S * 1_000) throw new Error("not yet");
    }, WAIT_MS);
    for (const host of lab.hosts) expect(await show(host, "ActiveState")).toBe("active");
    expect(await Promise.all(lab.hosts.map((host) => show(host, "NRestarts")))).toEqual(before);
    for (const host of [b, c]) await host.run(["systemctl", "start", ETCD_UNIT]);
    await serving(a);
    await chat(a, "back");
  });
});
