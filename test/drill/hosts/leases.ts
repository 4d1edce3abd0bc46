import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EtcdLeaseStore } from "../../../gateway/leases/etcd.ts";
import { EtcdClient } from "../../../gateway/leases/etcd-client.ts";
import type { TlsFiles } from "../../../gateway/leases/etcd-tls.ts";
import type { TestHost } from "../../hosts/support/host.ts";
import type { LeaseSight } from "../world.ts";

const CLIENT_PORT = 2379;
/** Longest wait for a look, ms: an election of etcd's is shorter. */
const LOOK_MS = 2_000;

/** The fleet's etcd as somebody sees it who holds its certificates and asks no node. */
export interface EtcdView {
  leases(): Promise<LeaseSight[] | null>;
  /** The host whose member leads; null: none that answers does. */
  leader(): Promise<TestHost | null>;
  close(): void;
}

/** @param folder where copies of the certificates are put */
export async function watchEtcd(
  hosts: readonly TestHost[],
  prefix: string,
  folder: string,
): Promise<EtcdView> {
  const tls = await copyCertificates(hosts[0] as TestHost, folder);
  const url = ({ address }: TestHost) => `https://${address}:${CLIENT_PORT}`;
  const quiet = { warn: () => {}, error: () => {} };
  const store = new EtcdLeaseStore({
    endpoints: hosts.map(url),
    tls,
    prefix,
    timeoutMs: LOOK_MS,
    log: quiet,
  });
  const members = hosts.map((host) => {
    const client = new EtcdClient({ endpoints: [url(host)], tls, ...quiet });
    return { host, client };
  });
  return {
    leases: async () => {
      const view = await store.read().catch(() => null);
      if (view === null) return null;
      return Object.values(view.leases).map(({ shard, owner, epoch }) => {
        const report = owner === null ? undefined : view.nodes[owner]?.shards[shard];
        return { shard, owner, epoch, state: report?.state ?? "idle", pid: report?.pid ?? null };
      });
    },
    leader: async () => {
      const led = await Promise.all(members.map(({ client }) => leads(client)));
      return members.find((_, i) => led[i])?.host ?? null;
    },
    close: () => {
      void store.close();
      for (const { client } of members) client.close();
    },
  };
}

interface MemberStatus {
  header?: { member_id?: string };
  leader?: string;
}

async function leads(client: EtcdClient): Promise<boolean> {
  const path = "/v3/maintenance/status";
  const status = await client.call<MemberStatus>(path, {}, LOOK_MS).catch(() => null);
  return status?.leader !== undefined && status.leader === status.header?.member_id;
}

/** A node's own, by which etcd knows its clients. */
async function copyCertificates(host: TestHost, folder: string): Promise<TlsFiles> {
  mkdirSync(folder, { mode: 0o700, recursive: true });
  const copy = async (name: string): Promise<string> => {
    const text = await host.readFile(`/etc/openclaw-fleet/tls/${name}`);
    if (text === null) throw new Error(`host ${host.name} has no ${name}`);
    const file = join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  return { ca: await copy("ca.pem"), cert: await copy("node.pem"), key: await copy("node.key") };
}
