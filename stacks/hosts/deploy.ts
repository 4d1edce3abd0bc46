import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { ConfigError } from "../../components/errors.ts";
import { etcdMembers, etcdProgram } from "../../components/etcd/plan.ts";
import { HOST_PORTS } from "../../components/host/types.ts";
import { leasePrefix } from "../../components/node/plan.ts";
import { NODE_UNIT } from "../../components/node/unit.ts";
import type { ReleaseInputs } from "../../plugin/host/release-inputs.ts";
import type { HostConnection } from "../../plugin/host/shell.ts";
import { Credentials, HostArtifact, HostFleet, HostRelease } from "../../plugin/resources.ts";
import type { StackOutputs } from "../outputs.ts";
import { ownRecord } from "../own-record.ts";
import type { AgentPlace } from "../placement.ts";
import { planStack } from "../plan.ts";
import { PlanRecord } from "../plan-record.ts";
import type { Settings } from "../settings.ts";
import { gatherHosts } from "./input.ts";
import { hostNeeds } from "./needs.ts";
import { type HostsInput, pathsOf, planHost } from "./parts.ts";
import { artifactOf, releaseOnHosts } from "./releases.ts";
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
}

/** A fleet on machines that exist. New hosts are made side by side; changes go host by host. */
export async function deployHosts({ stack, settings, isSecret }: HostsArgs): Promise<StackOutputs> {
  const { agents, several } = await ownRecord<Recorded>();
  const { fleet: sizing, cost } = planStack(stack, settings, agents);
  const release = await releaseOnHosts(settings.hosts);
  const gathered = gatherHosts({ stack, settings, sizing, release, isSecret });
  const { input } = gathered;
  const { plan } = input;
  checkGrowth(several, plan.several);
  const prod = settings.environment === "prod";

  new PlanRecord(`${stack}-plan`, {
    preset: sizing.preset,
    environment: settings.environment,
    nodes: sizing.nodes.length,
    zones: null,
    shards: sizing.shards.length,
    monthlyUsd: cost?.monthlyUsd ?? null,
  });
  const credentials = new Credentials("credentials", {
    fleet: stack,
    certificates: { ...plan.certificates } as Record<string, string[]>,
    passwords: [...gathered.passwords],
    sshKeys: [...gathered.sshKeys],
    tokens: pulumi.secret(settings.tokens),
    certificateDays: settings.certificates.days,
    generation: settings.certificates.generation,
    authorityStep: settings.certificates.authorityStep,
  });
  const own = { ...gathered.secrets, ...ownCertificate(settings) };
  const secrets = credentials.secrets.apply((made) => ({ ...made, ...own }));

  const releases: Record<string, HostRelease> = {};
  for (const host of settings.hosts) {
    const self = { ...facetsOf(host), arch: host.arch };
    const made = planHost(input, self);
    const id = artifactOf(release, host.name);
    const artifact = new HostArtifact(`release-${host.name}`, {
      host: connectionOf(host),
      artifact: id,
      needs: hostNeeds(stack, self, made, { plan, sizing }),
    });
    releases[host.name] = new HostRelease(
      `host-${host.name}`,
      {
        // The artifact met the host first: nobody else takes its place between the two.
        host: { hostKey: artifact.hostKey, ...connectionOf(host) },
        fleet: stack,
        node: host.name,
        artifact: id,
        plan: made as ReleaseInputs["plan"],
        secrets,
        apiPort: host.witness ? 0 : HOST_PORTS.local,
        keepData: settings.keepData ?? prod,
        protected: prod,
      },
      { dependsOn: [artifact] },
    );
  }
  const fleet = new HostFleet(
    "fleet",
    {
      fleet: stack,
      endpoint: plan.endpoint,
      caCertificate: credentials.caCertificate,
      nodes: sizing.nodes,
      shards: sizing.shards.map(({ id }) => id),
      adminToken: secrets.apply((all) => all["token.admin"] ?? ""),
      clientToken: secrets.apply((all) => all["token.client"] ?? ""),
      hosts: Object.fromEntries(settings.hosts.map((host) => [host.name, connectionOf(host)])),
      unit: NODE_UNIT,
      founding: foundingOf(input),
      releases: pulumi.all(
        Object.fromEntries(
          Object.entries(releases).map(([name, { revision }]) => [name, revision]),
        ),
      ),
    },
    { dependsOn: Object.values(releases) },
  );
  // Known only once a real chat was answered, so that nobody is sent to a fleet that does not serve.
  const whenServing = <T>(value: T) => pulumi.all([value, fleet.state]).apply(([known]) => known);
  return {
    endpoint: plan.endpoint,
    token: pulumi.secret(secrets.apply((all) => all["token.client"] ?? "")),
    adminToken: pulumi.secret(secrets.apply((all) => all["token.admin"] ?? "")),
    target: settings.target,
    preset: sizing.preset,
    nodes: sizing.nodes,
    shards: sizing.shards.map(({ id }) => id),
    caCertificate: credentials.caCertificate,
    certificatesExpire: credentials.expires,
    hosts: settings.hosts.map((host) => ({
      ...connectionOf(host),
      hostKey: releases[host.name]?.hostKey,
    })),
    recorded: whenServing({
      agents: sizing.agents,
      several: plan.several,
    } satisfies Recorded),
  };
}

/**
 * A new etcd knows of no owner, so other hosts would begin shards with nothing while the only host still has
 * their conversations.
 */
function checkGrowth(was: boolean | undefined, is: boolean): void {
  if (was === undefined || was === is) return;
  throw new ConfigError(
    "hosts",
    was ? "is down to one host" : "is more than the one host that this stack was made with",
    "Ownership does not move between a file and etcd by itself. Make a new stack of the hosts, and bring the shards over with ./fleet adopt",
  );
}

/** Only whoever makes a fleet knows that it is new. A file on a single host is made by its node. */
function foundingOf(input: HostsInput): { host: string; argv: string[] } | null {
  const { plan, fleet } = input;
  const host = plan.hosts.find(({ name }) => etcdMembers(plan.hosts).includes(name));
  if (!plan.several || !host) return null;
  const argv = etcdProgram(pathsOf(input, host.name), "found");
  return { host: host.name, argv: [...argv, leasePrefix(fleet)] };
}

const facetsOf = ({ name, address, witness }: HostSettings) => ({
  name,
  address,
  ...(witness ? { witness } : {}),
});

/** How the host is reached, without what else is said of it. */
function connectionOf(host: HostSettings): HostConnection {
  const { name, address, user, port, identityFile, sshConfigHost, jump, hostKey } = host;
  const given = { user, port, identityFile, sshConfigHost, jump, hostKey };
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  return { name, address, ...Object.fromEntries(known) };
}

/** Somebody's own certificate for the front, read here. */
function ownCertificate({ front }: Settings): Record<string, string> {
  if (front.certificate !== "own") return {};
  const read = (setting: "certificateFile" | "keyFile") => {
    const path = front[setting] ?? "";
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      const problem = `is ${path}, which cannot be read (${(error as NodeJS.ErrnoException).code})`;
      throw new ConfigError(`front.${setting}`, problem, "Name a PEM file that you may read");
    }
  };
  return { "front.cert": read("certificateFile"), "front.key": read("keyFile") };
}
