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
import { leasePrefix, planNode } from "../../components/node/plan.ts";
import { NODE_UNIT } from "../../components/node/unit.ts";
import type { FleetStatus } from "../../gateway/contract.ts";
import { issue, type KeyPair, makeAuthority } from "../../plugin/host/authority.ts";
import { ensureEtcd } from "../../toolchain/etcd.ts";
import { eventually } from "../support/eventually.ts";
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
import { hasItsTurn } from "./support/turns.ts";

const WAIT_MS = 120_000;
const WATCHDOG_S = 20;
const NAMES = ["a", "b", "c"];
const SHARDS = ["s1", "s2", "s3", "s4", "s5", "s6"];

describe.skipIf(whyNoHosts() !== null || !hasItsTurn("nodes"))(
  "nodes on three hosts, with etcd between them",
  () => {
    let lab: TestHosts;
    let authority: KeyPair;
    const port = 18_789;

    async function certify(host: TestHost): Promise<Record<string, string>> {
      const addresses = [host.address, host.name, "127.0.0.1"];
      const request_ = { fleet: "lab", name: host.name, addresses, days: 30 };
      const leaf = await issue(authority, request_, new Date());
      return {
        "tls.ca": authority.cert,
        [`tls.${host.name}.cert`]: leaf.cert,
        [`tls.${host.name}.key`]: leaf.key,
      };
    }

    beforeAll(async () => {
      lab = await TestHosts.create({ hosts: NAMES });
      authority = await makeAuthority("lab", new Date());
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
        await carryOut(host, [planEtcd(context, members), node], {
          ...tokenSecrets,
          ...(await certify(host)),
        });
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
      const leaf = await issue(
        authority,
        { fleet: "lab", name: "front", addresses: ["front"], days: 1 },
        new Date(),
      );
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
      expect(await ask({ ca: authority.cert, cert: leaf.cert, key: leaf.key })).toBe(200);
      await expect(ask({ ca: authority.cert })).rejects.toThrow();
    });

    test("every host is updated in turn under load through its fronts: no client notices", async () => {
      const leaf = await issue(
        authority,
        { fleet: "lab", name: "front", addresses: ["front"], days: 1 },
        new Date(),
      );
      const routers = lab.hosts.map(({ address }) => ({ host: address, port: 18_790 }));
      const tls = { ca: authority.cert, cert: leaf.cert, key: leaf.key };
      const load = frontLoad(routers, tls, TOKENS.client);
      for (const [index, host] of lab.hosts.entries()) {
        const before = load.asked();
        await host.run(["systemctl", "restart", NODE_UNIT]);
        await serving(lab.hosts[(index + 1) % 3] as TestHost);
        await eventually(() => expect(load.asked()).toBeGreaterThan(before + 20), WAIT_MS);
      }
      expect(await load.stop()).toEqual([]);
    });

    test("certificates of another authority replace those in force, without a restart", async () => {
      const old = authority;
      const next = await makeAuthority("lab", new Date());
      const before = await Promise.all(lab.hosts.map((host) => show(host, "NRestarts")));
      const trusted = old.cert + next.cert;
      const put = async (host: TestHost, secrets: Record<string, string>) => {
        const { paths } = contextFor(lab.hosts, host);
        const files = {
          "ca.pem": trusted,
          "node.pem": secrets[`tls.${host.name}.cert`],
          "node.key": secrets[`tls.${host.name}.key`],
        };
        for (const [name, text] of Object.entries(files)) {
          await host.run(`cat > ${paths.tls}/${name}`, { stdin: text ?? "" });
        }
      };
      const inForce = (host: TestHost, times: number) =>
        eventually(async () => {
          const { stdout } = await host.run(
            `journalctl --no-pager -o cat -u ${NODE_UNIT} | grep -c 'new certificates are in force' || :`,
          );
          expect(Number(stdout)).toBeGreaterThanOrEqual(times);
        }, WAIT_MS);
      // Trusted everywhere first, then signing: etcd reads whom it trusts when it starts.
      for (const host of lab.hosts) await put(host, await certify(host));
      for (const host of lab.hosts) await inForce(host, 1);
      for (const host of lab.hosts) {
        const { paths } = contextFor(lab.hosts, host);
        await host.run(`cat > ${paths.etc}/etcd/ca.pem`, { stdin: trusted });
        await host.run(["systemctl", "restart", ETCD_UNIT]);
      }
      authority = next;
      for (const host of lab.hosts) await put(host, await certify(host));
      for (const host of lab.hosts) await inForce(host, 2);
      for (const host of lab.hosts) {
        for (let n = 0; n < 6; n++) await chat(host, `new-${host.name}-${n}`);
      }
      await serving(lab.host("a"));
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
  },
);
