import { afterAll, beforeAll } from "vitest";
import { leaseStoreContract } from "../../../contracts/lease-store.ts";
import { EtcdCluster } from "../../../support/etcd/cluster.ts";
import { etcdLeaseWorld } from "./world.ts";

let cluster: EtcdCluster;
beforeAll(async () => {
  cluster = await EtcdCluster.start();
});
afterAll(() => cluster?.close());

leaseStoreContract("etcd with three members", () => etcdLeaseWorld(cluster));
