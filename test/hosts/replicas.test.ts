import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  planReplicaTarget,
  REPLICAS_UNIT,
  replicaKeys,
  replicationOf,
} from "../../components/replica-target/plan.ts";
import { PeerSites } from "../../gateway/replication/peer-sites.ts";
import type { SftpTargetConfig } from "../../gateway/replication/settings.ts";
import { TargetUnavailable } from "../../gateway/replication/target.ts";
import { makeSshKey } from "../../plugin/host/ssh-key.ts";
import { eventually } from "../support/eventually.ts";
import { TestHosts } from "./support/lab.ts";
import { carryOut, contextFor } from "./support/node-unit.ts";
import { whyNoHosts } from "./support/programs.ts";

describe.skipIf(whyNoHosts() !== null)("replicas on other hosts", () => {
  const folder = mkdtempSync(join(tmpdir(), "replicas-"));
  let lab: TestHosts;
  let config: SftpTargetConfig;

  beforeAll(async () => {
    lab = await TestHosts.create({ hosts: ["a", "b"] });
    const secrets: Record<string, string> = {};
    for (const name of replicaKeys(lab.hosts)) {
      const { key, pub } = makeSshKey();
      secrets[`${name}.key`] = key;
      secrets[`${name}.pub`] = pub;
    }
    for (const host of lab.hosts) {
      await carryOut(host, [planReplicaTarget(contextFor(lab.hosts, host))], secrets);
      await host.run(["systemctl", "enable", "--now", REPLICAS_UNIT]);
    }
    // What node a would do, from here.
    const planned = replicationOf(contextFor(lab.hosts, lab.host("a")))?.target;
    if (planned?.kind !== "sftp") throw new Error("hosts keep replicas over SFTP");
    const identityFile = join(folder, "client.key");
    const knownHostsFile = join(folder, "known_hosts");
    writeFileSync(identityFile, secrets["sftp.a.key"] ?? "", { mode: 0o600 });
    const lines = lab.hosts.map(
      ({ name, address }) => `${address} ${secrets[`sftp.${name}.host.pub`]}\n`,
    );
    writeFileSync(knownHostsFile, lines.join(""));
    const hosts = Object.fromEntries(lab.hosts.map(({ name, address }) => [name, address]));
    config = { ...planned, hosts, identityFile, knownHostsFile };
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await lab?.close();
  });

  test("are put into a folder that nobody else on the host can read, and found after a power cut", async () => {
    const sites = new PeerSites(config, "a");
    const target = sites.target("s1", "b");
    await eventually(async () => {
      expect(await target.put("chunks/aa/aabb", Buffer.from("of shard 1"), 1)).toBe("stored");
    });
    expect(await target.put("chunks/aa/aabb", Buffer.from("again"), 1)).toBe("exists");
    const b = lab.host("b");
    const { stdout } = await b.run(
      "stat -c '%U %a' /var/lib/openclaw-fleet-replicas/files /var/lib/openclaw-fleet-replicas/files/s1/chunks/aa/aabb",
    );
    expect(stdout.trim().split("\n")).toEqual(["openclaw-replica 700", "openclaw-replica 600"]);

    await b.powerOff();
    await expect(target.get("chunks/aa/aabb")).rejects.toBeInstanceOf(TargetUnavailable);
    await b.start();
    await expect
      .poll(async () => (await target.get("chunks/aa/aabb").catch(() => null))?.toString(), {
        timeout: 120_000,
      })
      .toBe("of shard 1");
    await sites.close();
  });

  test("of all shards of a node go over one connection to a host", async () => {
    const sites = new PeerSites(config, "a");
    const shards = Array.from({ length: 8 }, (_, n) => `shard${n}`);
    const put = (shard: string, n: number) =>
      sites.target(shard, "b").put(`chunks/aa/aab${n}`, Buffer.alloc(100_000, shard), 1);
    await eventually(async () => void (await put("shard0", 0)));
    await Promise.all(shards.flatMap((shard) => [1, 2, 3, 4].map((n) => put(shard, n))));
    const established = `ss -Htn state established '( sport = :${config.port} )'`;
    const { stdout } = await lab.host("b").run(established);
    expect(stdout.split("\n").filter(Boolean)).toHaveLength(1);
    await sites.close();
  });

  test("cannot be got at with anything but SFTP, nor outside of their folder", async () => {
    const { address } = lab.host("b");
    const sites = new PeerSites({ ...config, folder: "/../../etc" }, "a");
    const outside = sites.target("replicas", "b");
    // What an absolute path names is inside of the folder: there is no etc there.
    expect(await outside.list("")).toEqual([]);
    await sites.close();
    const a = lab.host("a");
    const shell = await a.run(
      [
        ...[
          "runuser",
          "-u",
          "openclaw",
          "--",
          "ssh",
          "-p",
          String(config.port),
          "-o",
          "BatchMode=yes",
        ],
        ...["-i", "/etc/openclaw-fleet/replicas/client.key", "-F", "none"],
        ...["-o", "UserKnownHostsFile=/etc/openclaw-fleet/replicas/known_hosts"],
        ...["-o", `HostKeyAlias=${address}`, `openclaw-replica@${address}`, "id"],
      ],
      { check: false },
    );
    expect(shell.stdout).not.toContain("uid=");
  });

  test("leave the host's own SSH server alone", async () => {
    const b = lab.host("b");
    await b.run(["systemctl", "stop", REPLICAS_UNIT]);
    expect((await b.run(["test", "-d", "/run/sshd"], { check: false })).code).toBe(0);
    await b.run(["systemctl", "start", REPLICAS_UNIT]);
  });
});
