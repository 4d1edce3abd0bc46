import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FileTarget } from "../../../gateway/replication/file-target.ts";
import { everywhere, PeerSites } from "../../../gateway/replication/peer-sites.ts";
import { SftpConnection } from "../../../gateway/replication/sftp-connection.ts";
import { SftpFiles } from "../../../gateway/replication/sftp-files.ts";
import { type ReplicaTarget, TargetUnavailable } from "../../../gateway/replication/target.ts";
import { replicaTargetContract } from "../../contracts/replica-target.ts";
import { TestSshd } from "../../support/sshd.ts";

let sshd: TestSshd;
beforeAll(async () => {
  sshd = await TestSshd.start();
}, 120_000);
afterAll(() => sshd?.remove());

let shards = 0;
const connections: SftpConnection[] = [];
function open(shard: string): ReplicaTarget {
  const connection = new SftpConnection({ ...sshd.settings, address: "127.0.0.1" });
  connections.push(connection);
  return new FileTarget(shard, new SftpFiles(connection, `${sshd.folder}/${shard}`));
}

replicaTargetContract("SFTP", async () => {
  const shard = `s${++shards}`;
  const root = join(sshd.folder, shard);
  return {
    open: () => open(shard),
    async block() {
      rmSync(root, { recursive: true });
      writeFileSync(root, "");
    },
    async killedWriter() {
      mkdirSync(join(root, ".tmp"), { recursive: true });
      writeFileSync(join(root, ".tmp", "half"), "ha");
    },
    async close() {
      for (const connection of connections.splice(0)) connection.close();
    },
  };
});

describe("a server that is lost", () => {
  it("fails what is on its way, and is used again when it is back", async () => {
    const target = open("lost");
    await target.put("a/1", Buffer.from("one"), 1);
    await sshd.kill();
    await expect(target.put("a/2", Buffer.from("two"), 1)).rejects.toBeInstanceOf(
      TargetUnavailable,
    );
    await expect(target.get("a/1")).rejects.toThrow(/the replica|refused|ended|lost/);
    await sshd.start();
    await expect
      .poll(() => target.get("a/1").catch(() => null), { timeout: 20_000 })
      .toEqual(Buffer.from("one"));
    for (const connection of connections.splice(0)) connection.close();
  });

  it("is not believed under another key", async () => {
    const knownHostsFile = join(sshd.base, "other_hosts");
    writeFileSync(
      knownHostsFile,
      "127.0.0.1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1u0N2YfZ1yq4m2y3pTqVq0z8m2c8Jw3l8j1c5R5e3B\n",
    );
    const connection = new SftpConnection({
      ...sshd.settings,
      address: "127.0.0.1",
      knownHostsFile,
    });
    const target = new FileTarget("it", new SftpFiles(connection, sshd.folder));
    await expect(target.list("")).rejects.toBeInstanceOf(TargetUnavailable);
    connection.close();
  });
});

describe("hosts that keep each other's replicas", () => {
  const hosts = { n1: "127.0.0.1", n2: "127.0.0.1", n3: "127.0.0.1" };

  it("never prefer the owner's own host, and follow what the node says", () => {
    const sites = new PeerSites({ ...sshd.settings, hosts }, "n1");
    expect([...sites.preferred("s1")].sort()).toEqual(["n2", "n3"]);
    sites.prefer({ s1: ["n3", "n1", "gone"] });
    expect(sites.preferred("s1")).toEqual(["n3", "n2"]);
    sites.prefer({ s1: ["n2"] });
    expect(sites.preferred("s1")).toEqual(["n2", "n3"]);
  });

  it("say nothing of what they hold unless all could be asked", async () => {
    const away: ReplicaTarget = {
      name: "away",
      refusesOldEpochs: true,
      put: () => Promise.reject(new TargetUnavailable("away")),
      get: () => Promise.reject(new TargetUnavailable("away")),
      list: () => Promise.reject(new TargetUnavailable("away")),
      remove: () => Promise.reject(new TargetUnavailable("away")),
    };
    const here = open("here");
    await here.put("a/1", Buffer.from("one"), 1);
    await open("there").put("a/2", Buffer.from("two"), 1);
    const both = everywhere([here, open("there")]);
    expect((await both.list("a/")).map(({ key }) => key).sort()).toEqual(["a/1", "a/2"]);
    expect(await both.get("a/2")).toEqual(Buffer.from("two"));
    const some = everywhere([away, here]);
    expect(await some.get("a/1")).toEqual(Buffer.from("one"));
    await expect(some.get("a/2")).rejects.toBeInstanceOf(TargetUnavailable);
    await expect(some.list("")).rejects.toBeInstanceOf(TargetUnavailable);
    for (const connection of connections.splice(0)) connection.close();
  });
});
