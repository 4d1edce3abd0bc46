import * as pulumi from "@pulumi/pulumi";
import { ConfigError } from "../../components/errors.ts";
import type { HostConnection } from "../../plugin/host/shell.ts";
import type { StackOutputs } from "../outputs.ts";
import { ownRecord } from "../own-record.ts";
import type { AgentPlace } from "../placement.ts";
import { planStack } from "../plan.ts";
import { PlanRecord } from "../plan-record.ts";
import type { Settings } from "../settings.ts";
import { FleetOnHosts } from "./fleet.ts";
import { gatherHosts } from "./input.ts";
import { releaseOnHosts } from "./releases.ts";
import type { HostSettings } from "./settings.ts";

export interface HostsArgs {
  /** The stack's name; it names the fleet. */
  readonly stack: string;
  readonly settings: Settings;
  /** Whether the setting at a path is secret. */
  readonly isSecret: (path: readonly PropertyKey[]) => boolean;
}

/** What is written down because it must not change by itself. One of the stack's outputs. */
interface Recorded {
  /** Where each agent lives: its home never moves by resizing. */
  readonly agents: Readonly<Record<string, AgentPlace>>;
  /** Whether ownership is decided by etcd; by a file on the only host otherwise. */
  readonly several: boolean;
  /** The host that watches: it has the metrics, and a longer list must not choose another. */
  readonly watching?: string;
  /** Where replicas of several hosts are, see {@link replicasAt}; missing: on the hosts. */
  readonly replicas?: string;
}

/** A fleet on machines that exist. New hosts are made side by side; changes go host by host. */
export async function deployHosts({ stack, settings, isSecret }: HostsArgs): Promise<StackOutputs> {
  const { agents, several, watching, replicas } = await ownRecord<Recorded>();
  const { fleet: sizing, cost } = planStack(stack, settings, agents);
  const release = await releaseOnHosts(settings.hosts);
  const gathered = gatherHosts({
    stack,
    settings,
    sizing,
    release,
    isSecret,
    watchedBefore: watching,
  });
  const { plan } = gathered.input;
  checkGrowth(several, plan.several);
  const at = replicasAt(stack, settings);
  if (several) checkReplicas(replicas ?? ON_HOSTS, at);

  new PlanRecord(`${stack}-plan`, {
    preset: sizing.preset,
    environment: settings.environment,
    nodes: sizing.nodes.length,
    zones: null,
    shards: sizing.shards.length,
    monthlyUsd: cost?.monthlyUsd ?? null,
  });
  const { tokens } = settings;
  const fleet = new FleetOnHosts({ stack, settings, sizing, release, gathered, tokens });
  for (const host of settings.hosts) {
    const { name, arch, witness } = host;
    fleet.put({ name, arch, witness, connection: connectionOf(host) });
  }
  const { state } = fleet.prove(plan.endpoint, plan.otherFronts);
  // Known only once a real chat was answered, so that nobody is sent to a fleet that does not serve.
  const whenServing = <T>(value: T) => pulumi.all([value, state]).apply(([known]) => known);
  return {
    endpoint: plan.endpoint,
    otherFronts: [...plan.otherFronts],
    token: fleet.clientToken,
    adminToken: fleet.adminToken,
    target: settings.target,
    preset: sizing.preset,
    nodes: sizing.nodes,
    shards: sizing.shards.map(({ id }) => id),
    caCertificate: fleet.credentials.caCertificate,
    certificatesExpire: fleet.credentials.expires,
    // What every host took: rotate-certs goes on behind it.
    authorityStep: whenServing(settings.certificates.authorityStep),
    hosts: settings.hosts.map((host) => ({
      ...connectionOf(host),
      hostKey: fleet.on.get(host.name)?.release.hostKey,
    })),
    recorded: whenServing({
      agents: sizing.agents,
      several: plan.several,
      ...(plan.several ? { replicas: at } : {}),
      ...(plan.watching === null ? {} : { watching: plan.watching }),
    } satisfies Recorded),
  };
}

/**
 * A new etcd knows of no owner, so other hosts would begin shards with nothing while the only host still has
 * their conversations.
 */
export function checkGrowth(was: boolean | undefined, is: boolean, setting = "hosts"): void {
  if (was === undefined || was === is) return;
  throw new ConfigError(
    setting,
    was ? "is down to one host" : "is more than the one host that this stack was made with",
    "Ownership does not move between a file and etcd by itself. Make a new stack of the hosts, and bring the shards over with ./fleet adopt",
  );
}

const ON_HOSTS = "on the hosts";

/** Where replicas are, in words that change when the place does. */
function replicasAt(stack: string, { replication: { s3 } }: Settings): string {
  if (!s3) return ON_HOSTS;
  return `in bucket ${s3.bucket} at ${s3.endpoint ?? s3.region}, below ${s3.prefix ?? `${stack}/`}`;
}

/**
 * Hosts change one after the other, and a host of the new place finds nothing there of what one of the old place wrote
 * last: no shard would begin on it.
 */
function checkReplicas(was: string, is: string): void {
  if (was === is) return;
  throw new ConfigError(
    "replication.s3",
    `puts replicas ${is}, and this stack was made with replicas ${was}`,
    "Put it back. For another place make a new stack, and bring the shards over with ./fleet adopt",
  );
}

/** How the host is reached, without what else is said of it. */
function connectionOf(host: HostSettings): HostConnection {
  const { name, address, user, port, identityFile, sshConfigHost, jump, hostKey } = host;
  const given = { user, port, identityFile, sshConfigHost, jump, hostKey };
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  return { name, address, ...Object.fromEntries(known) };
}
