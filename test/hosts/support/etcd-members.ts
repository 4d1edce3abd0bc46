import { HOST_PATHS } from "../../../components/host/types.ts";
import type { TestHost } from "./host.ts";

/** Hosts that etcd counts, as its member on this one says; in order of their names. */
export async function etcdMembers(host: TestHost): Promise<string[]> {
  const etc = `${HOST_PATHS.etc}/etcd`;
  const tls = `--cacert=${etc}/ca.pem --cert=${etc}/member.pem --key=${etc}/member.key`;
  const program = `$(ls ${HOST_PATHS.releases}/*/bin/etcdctl | head -n 1)`;
  const { stdout } = await host.run(
    `${program} --endpoints=https://${host.address}:2379 ${tls} member list --write-out=json`,
  );
  const list = JSON.parse(stdout) as { members: { name?: string; isLearner?: boolean }[] };
  return list.members
    .map(({ name = "?", isLearner }) => (isLearner ? `${name} (no vote yet)` : name))
    .sort();
}
