import { EtcdLeaseStore, type EtcdStoreParts } from "../../../../gateway/leases/etcd.ts";
import { under } from "../../../../gateway/leases/etcd-wire.ts";
import type { LeaseWorld } from "../../../contracts/lease-store.ts";
import type { EtcdCluster } from "../../../support/etcd/cluster.ts";
import { TcpProxy } from "../../../support/etcd/proxy.ts";

/** Longer than the real thing waits: a loaded machine is no fault here. */
export const PATIENT_MS = 5_000;

const log = { warn() {}, error() {} };
let worlds = 0;

/** A fleet of its own in a cluster that many share. */
export async function etcdLeaseWorld(
  cluster: EtcdCluster,
  timeoutMs = PATIENT_MS,
): Promise<LeaseWorld> {
  const prefix = `/openclaw-fleet/world-${++worlds}`;
  const proxies: TcpProxy[] = [];
  for (const { clientPort } of cluster.members) proxies.push(await TcpProxy.open(clientPort));
  let now = 1_000;
  const clock = {
    now: () => now,
    advance: (ms: number) => {
      now += ms;
    },
  };
  const endpoints = proxies.map(({ port }) => `https://127.0.0.1:${port}`);
  const { tls } = cluster;
  const stores: EtcdLeaseStore[] = [];
  await createStore({ endpoints, tls, prefix, log, timeoutMs: PATIENT_MS });
  return {
    clock,
    open() {
      const parts = { endpoints, tls, prefix, clock, log };
      const store = new EtcdLeaseStore({ ...parts, timeoutMs });
      stores.push(store);
      return store;
    },
    async lose() {
      const [member] = cluster.members;
      if (member) await cluster.ask(member, "/v3/kv/deleterange", under(`${prefix}/`));
    },
    async block(on) {
      for (const proxy of proxies) {
        if (on) proxy.block(() => true);
        else proxy.heal();
      }
    },
    async close() {
      await Promise.all(stores.map((store) => store.close()));
      await Promise.all(proxies.map((proxy) => proxy.close()));
    },
  };
}

/** Makes the lease store of a new fleet. Throws when there is one already. */
export async function createStore(parts: EtcdStoreParts): Promise<void> {
  const store = new EtcdLeaseStore(parts);
  try {
    if (!(await store.create())) throw new Error(`${parts.prefix} was created before`);
  } finally {
    await store.close();
  }
}
