import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { ConfigError } from "../../components/errors.ts";
import { etcdMembers, etcdProgram } from "../../components/etcd/plan.ts";
import { HOST_PORTS } from "../../components/host/types.ts";
import { leasePrefix } from "../../components/node/plan.ts";
import { NODE_UNIT } from "../../components/node/unit.ts";
import { pinned } from "../../plugin/host/connection.ts";
import type { ReleaseInputs } from "../../plugin/host/release-inputs.ts";
import type { HostConnection } from "../../plugin/host/shell.ts";
import { Credentials, HostArtifact, HostFleet, HostRelease } from "../../plugin/resources.ts";
import type { HostArch } from "../../toolchain/host-release.ts";
import type { FleetPlan } from "../presets.ts";
import type { Settings } from "../settings.ts";
import type { Gathered } from "./input.ts";
import { hostNeeds } from "./needs.ts";
import { type HostsInput, pathsOf, planHost } from "./parts.ts";
import { artifactOf, type ReleaseOnHosts } from "./releases.ts";

export interface FleetOnHostsArgs {
  /** The stack's name; it names the fleet. */
  readonly stack: string;
  readonly settings: Settings;
  readonly sizing: FleetPlan;
  readonly release: ReleaseOnHosts;
  /** What hosts are planned from: known as soon as their addresses are. */
  readonly gathered: pulumi.Input<Gathered>;
  /** Own tokens; what is missing is made. */
  readonly tokens: unknown;
  /** Secrets that come from elsewhere, by the names of the plans' marks. */
  readonly secrets?: Readonly<Record<string, pulumi.Input<string>>>;
}

/** A machine that becomes a host of the fleet. */
export interface FleetMachine {
  /** The node's id. */
  readonly name: string;
  readonly arch: HostArch;
  readonly witness: boolean;
  /** How it is reached. */
  readonly connection: pulumi.Input<HostConnection>;
  /** What it is made of, where that can change under the same name; see `machine` of the release. */
  readonly machine?: pulumi.Input<Record<string, string>>;
}

/** What stands on one machine. */
export interface OnHost {
  readonly connection: pulumi.Output<HostConnection>;
  readonly artifact: HostArtifact;
  readonly release: HostRelease;
}

/** A fleet on machines, whoever made these: what all of them share, each one's part, and the proof that it serves. */
export class FleetOnHosts {
  readonly credentials: Credentials;
  /** By the names of the plans' marks. */
  readonly secrets: pulumi.Output<Record<string, string>>;
  readonly clientToken: pulumi.Output<string>;
  readonly adminToken: pulumi.Output<string>;
  readonly #args: FleetOnHostsArgs;
  readonly #gathered: pulumi.Output<Gathered>;
  readonly #on = new Map<string, OnHost>();

  constructor(args: FleetOnHostsArgs, opts: pulumi.CustomResourceOptions = {}) {
    this.#args = args;
    const { stack, settings, secrets = {} } = args;
    const gathered = pulumi.output(args.gathered) as pulumi.Output<Gathered>;
    this.#gathered = gathered;
    this.credentials = new Credentials(
      "credentials",
      {
        fleet: stack,
        certificates: gathered.apply(
          ({ input }) => ({ ...input.plan.certificates }) as Record<string, string[]>,
        ),
        passwords: gathered.apply(({ passwords }) => [...passwords]),
        sshKeys: gathered.apply(({ sshKeys }) => [...sshKeys]),
        tokens: pulumi.secret(args.tokens),
        certificateDays: settings.certificates.days,
        generation: settings.certificates.generation,
        authorityStep: settings.certificates.authorityStep,
      },
      opts,
    );
    const own = ownCertificate(settings);
    this.secrets = pulumi.secret(
      pulumi
        .all([this.credentials.secrets, gathered, secrets])
        .apply(([made, { secrets: given }, more]) => ({ ...made, ...given, ...own, ...more })),
    );
    this.clientToken = pulumi.secret(this.secrets.apply((all) => all["token.client"] ?? ""));
    this.adminToken = pulumi.secret(this.secrets.apply((all) => all["token.admin"] ?? ""));
  }

  /** What stands on each machine so far, by the node's id. */
  get on(): ReadonlyMap<string, OnHost> {
    return this.#on;
  }

  /** Puts the release on a machine, and makes it what its plan says. */
  put(machine: FleetMachine, opts: pulumi.CustomResourceOptions = {}): OnHost {
    const { name, arch, witness } = machine;
    const { stack, settings, sizing, release } = this.#args;
    const prod = settings.environment === "prod";
    const connection = pulumi.output(machine.connection) as pulumi.Output<HostConnection>;
    const id = artifactOf(release, name);
    const planned = this.#gathered.apply(({ input }) => {
      const facts = input.plan.hosts.find((host) => host.name === name);
      if (!facts) throw new Error(`host ${name} is in no plan`);
      const made = planHost(input, facts);
      const { plan } = input;
      const redisMemory = input.redisMemoryMiB;
      const needs = hostNeeds(stack, { ...facts, arch }, made, { plan, sizing, redisMemory });
      return { made, needs };
    });
    const artifact = new HostArtifact(
      `release-${name}`,
      { host: connection, artifact: id, needs: planned.apply(({ needs }) => needs) },
      opts,
    );
    const put = new HostRelease(
      `host-${name}`,
      {
        // The artifact met the host first: nobody else takes its place between the two.
        host: pulumi
          .all([artifact.host, artifact.hostKey])
          .apply(([host, hostKey]) => ({ hostKey, ...host })),
        fleet: stack,
        node: name,
        artifact: id,
        plan: planned.apply(({ made }) => made as ReleaseInputs["plan"]),
        secrets: this.secrets,
        apiPort: witness ? 0 : HOST_PORTS.local,
        keepData: settings.keepData ?? prod,
        protected: prod,
        ...(machine.machine === undefined ? {} : { machine: machine.machine }),
      },
      { ...opts, dependsOn: [artifact] },
    );
    const on = { connection, artifact, release: put };
    this.#on.set(name, on);
    return on;
  }

  /** Is there when every shard is served and a real chat was answered at the endpoint, or another front. */
  prove(
    endpoint: pulumi.Input<string>,
    otherFronts: readonly string[] = [],
    opts: pulumi.CustomResourceOptions = {},
  ): HostFleet {
    const { stack, sizing } = this.#args;
    const all = Object.fromEntries(this.#on);
    const each = <T>(of: (on: OnHost) => pulumi.Output<T>) =>
      pulumi.all(Object.fromEntries(Object.entries(all).map(([name, on]) => [name, of(on)])));
    return new HostFleet(
      "fleet",
      {
        fleet: stack,
        endpoint,
        otherFronts: [...otherFronts],
        caCertificate: this.credentials.caCertificate,
        nodes: sizing.nodes,
        shards: sizing.shards.map(({ id }) => id),
        adminToken: this.adminToken,
        clientToken: this.clientToken,
        // Its journal is read, and the fleet is founded, on the machine that was changed.
        hosts: each(({ connection, release }) =>
          pulumi
            .all([connection, release.hostKey])
            .apply(([host, hostKey]) => pinned(host, { hostKey })),
        ),
        unit: NODE_UNIT,
        founding: this.#gathered.apply(({ input }) => foundingOf(input)),
        releases: each(({ release }) => release.revision),
      },
      { ...opts, dependsOn: Object.values(all).map(({ release }) => release) },
    );
  }
}

/** Only whoever makes a fleet knows that it is new. A file on a single host is made by its node. */
function foundingOf(input: HostsInput): { host: string; argv: string[] } | null {
  const { plan, fleet } = input;
  const host = plan.hosts.find(({ name }) => etcdMembers(plan.hosts).includes(name));
  if (!plan.several || !host) return null;
  const argv = etcdProgram(pathsOf(input, host.name), "found");
  return { host: host.name, argv: [...argv, leasePrefix(fleet)] };
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
