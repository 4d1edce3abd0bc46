import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { saveEtcdSnapshots } from "../../cli/lib/etcd-snapshots.ts";
import {
  ETCD_TEND_TIMER,
  ETCD_UNIT,
  ETCD_USER,
  etcdHome,
  planEtcd,
} from "../../components/etcd/plan.ts";
import { HOST_PATHS, type HostPart } from "../../components/host/types.ts";
import { issue, makeAuthority } from "../../plugin/host/authority.ts";
import type { OpenShell } from "../../plugin/host/shell.ts";
import { openSsh } from "../../plugin/host/ssh.ts";
import { bundleRuntime } from "../../toolchain/bundle.ts";
import { ensureEtcd } from "../../toolchain/etcd.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { eventually } from "../support/eventually.ts";
import type { TestHost } from "./support/host.ts";
import { TestHosts } from "./support/lab.ts";
import { carryOut, contextFor, putRelease } from "./support/node-unit.ts";
import { whyNoHosts } from "./support/programs.ts";

const WAIT_MS = 120_000;
const NAMES = ["a", "b", "c"];
/** As measured; more would mean that something was opened. */
const HARDENING_SCORE = 1.5;

describe.skipIf(whyNoHosts() !== null)("etcd as a service of three hosts", () => {
  let lab: TestHosts;
  const parts = new Map<string, HostPart>();

  beforeAll(async () => {
    const { etcd, etcdctl } = await ensureEtcd();
    lab = await TestHosts.create({ hosts: NAMES });
    const now = new Date();
    const authority = await makeAuthority("lab", now);
    const runtime = await bundleRuntime(PROJECT_ROOT);
    const program = runtime.files.find(({ name }) => name === "etcd.js")?.text ?? "";
    // One host after another, as the deployment does.
    for (const name of NAMES) {
      const host = lab.host(name);
      const context = contextFor(lab.hosts, host);
      await putRelease(host, context, {
        "runtime/etcd.js": program,
        "runtime/package.json": '{ "type": "module" }\n',
      });
      const bin = join(`/proc/${host.pid}/root`, context.paths.release, "bin");
      copyFileSync(etcd, join(bin, "etcd"));
      copyFileSync(etcdctl, join(bin, "etcdctl"));
      const leaf = await issue(
        authority,
        { fleet: "lab", name, addresses: [host.address, name], days: 30 },
        now,
      );
      const part = planEtcd(context, { members: NAMES });
      parts.set(name, part);
      await carryOut(host, [part], {
        "tls.ca": authority.cert,
        [`tls.${name}.cert`]: leaf.cert,
        [`tls.${name}.key`]: leaf.key,
      });
      await host.run(["systemctl", "enable", "--now", ETCD_UNIT]);
      await host.run(["systemctl", "enable", "--now", ETCD_TEND_TIMER]);
    }
  });
  afterAll(async () => {
    await lab?.close();
  });

  /** The plan's own check, on every host named. */
  const healthy = (names: readonly string[] = NAMES) =>
    eventually(async () => {
      for (const name of names) {
        const argv = parts.get(name)?.checks?.["etcd has a majority"]?.argv ?? ["false"];
        await lab.host(name).run(argv);
      }
    }, WAIT_MS);

  /** What a member says of itself, and whether it leads. */
  async function leader(): Promise<TestHost> {
    return eventually(async () => {
      for (const name of NAMES) {
        const host = lab.host(name);
        const { stdout } = await host.run(`${ctl(name)} endpoint status -w json --cluster=false`);
        const [said] = JSON.parse(stdout) as {
          Status: { leader: number; header: { member_id: number } };
        }[];
        if (said && said.Status.leader === said.Status.header.member_id) return host;
      }
      throw new Error("nobody leads");
    }, WAIT_MS);
  }

  const ctl = (name: string) => {
    const etc = `${HOST_PATHS.etc}/etcd`;
    const tls = `--cacert=${etc}/ca.pem --cert=${etc}/member.pem --key=${etc}/member.key`;
    const url = `https://${lab.host(name).address}:2379`;
    return `${HOST_PATHS.releases}/test/bin/etcdctl --endpoints=${url} ${tls}`;
  };

  test("set up one after another they make one cluster, and nobody without a certificate gets in", async () => {
    await healthy();
    const a = lab.host("a");
    await a.run(`${ctl("a")} put kept yes`);
    expect((await a.run(`${ctl("c")} get kept --print-value-only`)).stdout).toBe("yes\n");
    for (const port of [2379, 2380]) {
      const url = `https://${lab.host("b").address}:${port}/version`;
      const ask = await a.run(["curl", "-sk", "--max-time", "5", url], { check: false });
      expect(ask.code, String(port)).not.toBe(0);
    }
  });

  test("it runs as a user of its own, and systemd finds little to say against it", async () => {
    const a = lab.host("a");
    const { stdout: user } = await a.run("ps -o user:32= -C etcd");
    expect(user.trim()).toBe(ETCD_USER);
    const { stdout } = await a.run(["systemd-analyze", "security", "--no-pager", ETCD_UNIT], {
      check: false,
    });
    const score = Number(/exposure level for .*: ([\d.]+)/.exec(stdout)?.[1]);
    expect(score).toBeLessThanOrEqual(HARDENING_SCORE);
  });

  test("the timer saves a first snapshot", async () => {
    const folder = `${etcdHome({ ...HOST_PATHS, release: "" })}/snapshots`;
    await eventually(async () => {
      expect((await lab.host("a").run(`ls ${folder}`)).stdout).toMatch(/Z\.db\n/);
    }, WAIT_MS);
  });

  test("a backup has every member save one now, and says which host could not", async () => {
    const hosts = NAMES.map((name) => lab.connection(name));
    const open: OpenShell = (host) => openSsh(host, { configFile: "none" });
    const { taken, missing } = await saveEtcdSnapshots(hosts, open);
    expect(missing).toEqual([]);
    expect(taken.map(({ host }) => host)).toEqual(NAMES);
    for (const { host, path, bytes, at } of taken) {
      const { stdout } = await lab.host(host).run(["stat", "-c", "%s %U", path]);
      expect(stdout.trim()).toBe(`${bytes} ${ETCD_USER}`);
      expect(Math.abs(Date.now() - Date.parse(at))).toBeLessThan(120_000);
    }
    const b = lab.host("b");
    await b.run(["systemctl", "stop", ETCD_UNIT]);
    const without = await saveEtcdSnapshots(hosts, open);
    expect(without.taken.map(({ host }) => host)).toEqual(["a", "c"]);
    expect(without.missing).toEqual([{ host: "b", why: expect.stringContaining("etcd") }]);
    // What nobody took is not asked for later.
    await b.run("! ls /var/lib/openclaw-fleet-etcd | grep wanted");
    await b.run(["systemctl", "start", ETCD_UNIT]);
    await healthy();
  });

  test("a member that is killed is started again; one whose host loses power comes back with it", async () => {
    await lab.host("b").run("kill -9 $(pidof etcd)");
    await healthy();
    const lost = await leader();
    await lost.powerOff();
    const rest = NAMES.filter((name) => name !== lost.name);
    await healthy(rest);
    await lost.start();
    await healthy();
  });

  test("a host that comes back with an empty disk joins anew, without a word from anybody", async () => {
    const c = lab.host("c");
    await c.run(["systemctl", "stop", ETCD_UNIT]);
    await c.run(`rm -rf ${etcdHome({ ...HOST_PATHS, release: "" })}/data`);
    await c.run(["systemctl", "start", ETCD_UNIT]);
    await healthy();
    expect((await c.run(`${ctl("c")} get kept --print-value-only`)).stdout).toBe("yes\n");
    const { stdout } = await c.run(`${ctl("c")} member list`);
    expect(stdout.trim().split("\n")).toHaveLength(3);
  });

  test("all hosts off and on again: the cluster goes on", async () => {
    await Promise.all(NAMES.map((name) => lab.host(name).powerOff()));
    await Promise.all(NAMES.map((name) => lab.host(name).start()));
    await healthy();
    const { stdout } = await lab.host("b").run(`${ctl("b")} get kept --print-value-only`);
    expect(stdout).toBe("yes\n");
  });
});
