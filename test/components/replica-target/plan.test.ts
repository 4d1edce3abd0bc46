import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { HOST_PATHS, HOST_PORTS, type HostContext } from "../../../components/host/types.ts";
import {
  planReplicaTarget,
  REPLICAS_UNIT,
  replicaKeys,
  replicationOf,
} from "../../../components/replica-target/plan.ts";
import { replicationConfig } from "../../../gateway/replication/settings.ts";
import { makeSshKey } from "../../../plugin/host/ssh-key.ts";
import { judgeSshd } from "../../support/sshd.ts";

const hosts = [
  { name: "n1", address: "10.0.0.1" },
  { name: "n2", address: "10.0.0.2" },
  { name: "w", address: "10.0.0.3", witness: true },
];
function context(self: number, some: HostContext["hosts"] = hosts): HostContext {
  return {
    fleet: "prod",
    self: some[self] as HostContext["self"],
    hosts: some,
    paths: { ...HOST_PATHS, release: "/opt/openclaw-fleet/releases/r1" },
    ports: HOST_PORTS,
  };
}

describe("the hosts that keep replicas", () => {
  it("are those that run shards, when there are two", () => {
    expect(replicaKeys(hosts)).toEqual(["sftp.n1", "sftp.n1.host", "sftp.n2", "sftp.n2.host"]);
    expect(replicaKeys(hosts.slice(0, 1))).toEqual([]);
    expect(replicaKeys([hosts[0], hosts[2]] as typeof hosts)).toEqual([]);
  });

  it("have no part of it on a host that only votes, nor on a host alone", () => {
    expect(planReplicaTarget(context(2))).toEqual({});
    expect(replicationOf(context(2))).toBeUndefined();
    expect(planReplicaTarget(context(0, hosts.slice(0, 1)))).toEqual({});
    expect(replicationOf(context(0, hosts.slice(0, 1)))).toBeUndefined();
  });

  it("are told to the node in the words of node.json", () => {
    const replication = replicationOf(context(0));
    expect(replicationConfig.parse(replication)).toEqual(replication);
    expect(replication?.target).toMatchObject({
      kind: "sftp",
      hosts: "/etc/openclaw-fleet/replicas/hosts.json",
      port: 18_792,
      folder: "/files",
    });
    const { files = {} } = planReplicaTarget(context(0));
    const said = files["/etc/openclaw-fleet/replicas/hosts.json"]?.content ?? "";
    expect(JSON.parse(said)).toEqual({ n1: "10.0.0.1", n2: "10.0.0.2" });
  });

  it("know each other's keys by the address they dial, and hold no secret in the plan", () => {
    const { files = {} } = planReplicaTarget(context(0));
    const text = (name: string) => files[`/etc/openclaw-fleet/replicas/${name}`]?.content;
    expect(text("known_hosts")).toBe(
      "10.0.0.1 {{secret sftp.n1.host.pub}}\n10.0.0.2 {{secret sftp.n2.host.pub}}\n",
    );
    expect(text("authorized_keys")).toBe(
      "restrict {{secret sftp.n1.pub}}\nrestrict {{secret sftp.n2.pub}}\n",
    );
    expect(text("client.key")).toBe("{{secret sftp.n1.key}}");
  });

  it("give a folder that sshd takes for a root, and keep what is in it", () => {
    const { directories = {} } = planReplicaTarget(context(0));
    const root = directories["/var/lib/openclaw-fleet-replicas"];
    expect(root).toEqual({ owner: "root", group: "root", mode: "0755", data: true });
    expect(directories["/var/lib/openclaw-fleet-replicas/files"]?.data).toBe(true);
  });
});

describe("sshd itself", () => {
  const folder = mkdtempSync(join(tmpdir(), "replica-plan-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("takes the configuration, with a key of the fleet's own kind", async () => {
    const { files = {}, units = {} } = planReplicaTarget(context(0));
    const hostKey = join(folder, "host.key");
    chmodSync(folder, 0o755);
    // Only its content is judged here: the test's server runs as another user.
    writeFileSync(hostKey, makeSshKey().key, { mode: 0o644 });
    const planned = files["/etc/openclaw-fleet/replicas/sshd_config"]?.content ?? "";
    const config = planned.replaceAll("/etc/openclaw-fleet/replicas/host.key", hostKey);
    expect(Object.fromEntries(await judgeSshd(config))).toMatchObject({
      port: "18792",
      allowusers: "openclaw-replica",
      chrootdirectory: "/var/lib/openclaw-fleet-replicas",
      forcecommand: "internal-sftp -l ERROR",
      passwordauthentication: "no",
      kbdinteractiveauthentication: "no",
      permitrootlogin: "no",
      permittty: "no",
      disableforwarding: "yes",
      authenticationmethods: "publickey",
    });
    expect(units[REPLICAS_UNIT]?.verify?.slice(1, 2)).toEqual(["-t"]);
    await expect(judgeSshd(`${config}Nonsense yes\n`)).rejects.toThrow(/Nonsense/);
  }, 120_000);
});
