import type * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../../components/context.ts";
import { NFS_PORT } from "../../components/files/catalog.ts";
import { admit, type Clients } from "../../components/store-access.ts";
import type { DataLayer } from "./layers.ts";

/**
 * Lets what runs the fleet reach the stores. Said by the later layer, so that the earlier one can be
 * made, or adopted, without knowing who comes.
 */
export function admitToStores(
  context: AwsContext,
  { cache, database, files }: DataLayer,
  clients: Clients,
  opts: pulumi.CustomResourceOptions,
): void {
  const { fleet, tags } = context;
  const open = (name: string, securityGroupId: pulumi.Input<string>, port: number) =>
    admit(`${fleet}-${name}-access`, { securityGroupId, port, clients, tags }, opts);
  if (cache) open("cache", cache.securityGroupId, cache.port);
  if (database) {
    open("database", database.securityGroupId, database.port);
    const proxy = database.proxySecurityGroupId;
    if (proxy !== null) open("database-proxy", proxy, database.port);
  }
  if (files) open("files", files.securityGroupId, NFS_PORT);
}

/** Secrets of the stores, by which whoever runs the fleet gets in. */
export function storeSecrets({ cache, database }: DataLayer): pulumi.Input<string>[] {
  return [cache, database].flatMap((store) => (store ? [store.secretArn] : []));
}
