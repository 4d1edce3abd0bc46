import type { HostsNeed } from "../../../components/hosts-ec2/plan.ts";
import { ec2Settings } from "../../../components/hosts-ec2/settings.ts";

type Settings = Parameters<typeof ec2Settings.parse>[0];

/** What a small fleet of three hosts needs, changed as a test wants it. */
export function needOf(changes: Partial<HostsNeed> = {}, settings: Settings = {}): HostsNeed {
  return {
    nodes: ["a", "b", "c"],
    node: { memoryMiB: 2_918, cores: 2 },
    shards: 4,
    shardDiskMiB: 60,
    zones: 3,
    loss: { survives: true, nodesLost: 1 },
    publicHosts: true,
    addressed: 3,
    port: 18_789,
    ...changes,
    settings: ec2Settings.parse(settings),
  };
}
