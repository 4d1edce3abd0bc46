import type { MonitoringSettings } from "../watch/settings.ts";
import type { WatchPorts, WatchTiming } from "./catalog.ts";

/** A server on one of the fleet's hosts. */
export interface ServerOn {
  /** The host's name. */
  readonly host: string;
  readonly port: number;
}

/** The way in, as far as probes and the canary care. */
export interface FrontNeed {
  /** Hosts whose front can be asked by their address: all that carry one, or none behind balancers. */
  readonly hosts: readonly string[];
  /** Names under which people come, the first one first, wildcards too. Empty: by the hosts' addresses. */
  readonly names: readonly string[];
  readonly port: number;
  /** Whether the fleet's own authority signed the front's certificate. */
  readonly fleetAuthority: boolean;
}

/** What watching a fleet on hosts rests on. Plain data; secrets of receivers stand as marks. */
export interface WatchNeed {
  /** `openclaw-fleet:monitoring`, its secrets as `{{secret …}}`. */
  readonly settings: MonitoringSettings;
  readonly shards: readonly { readonly id: string; readonly recycleMiB: number }[];
  /** Shards have a replica elsewhere. */
  readonly replicated: boolean;
  /** Names of the hosts with a member of etcd; empty where ownership is not decided by it. */
  readonly etcd: readonly string[];
  /** Redis servers on hosts of the fleet; empty for one of the person's own, or none. */
  readonly redis: readonly ServerOn[];
  /** Null without a front of the fleet's. */
  readonly front: FrontNeed | null;
  /** @default WATCH_PORTS */
  readonly ports?: WatchPorts;
  /** @default WATCH_TIMING */
  readonly timing?: WatchTiming;
}
