import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { HOST_PORTS } from "../../components/host/types.ts";
import { type Architecture, IMAGE } from "../../components/hosts-ec2/catalog.ts";
import type { HostAddresses, HostSteps } from "../../components/hosts-ec2/index.ts";
import type { HostConnection } from "../../plugin/host/shell.ts";
import { HostDrained } from "../../plugin/resources.ts";
import type { HostArch } from "../../toolchain/host-release.ts";
import { FleetOnHosts } from "../hosts/fleet.ts";
import { type Gathered, gatherHosts } from "../hosts/input.ts";
import { certificateKind } from "../hosts/plan.ts";
import { artifactOf, type ReleaseOnHosts, releaseOnHosts } from "../hosts/releases.ts";
import type { StackOutputs } from "../outputs.ts";
import type { Settings } from "../settings.ts";
import type { HostsComputePlan } from "./compute-plan.ts";
import type { MachinesRecord } from "./facts.ts";
import type { DataLayer } from "./layers.ts";
import type { AwsPlan, AwsStackSettings } from "./plan.ts";
import type { AccessTokens } from "./tokens.ts";

/** What the fleet's part on machines is planned from. */
export interface Ec2Wish {
  /** The stack's name; it names the fleet. */
  readonly stack: string;
  readonly settings: AwsStackSettings;
  readonly plan: AwsPlan;
  readonly compute: HostsComputePlan;
  /** Whether the setting at a path is secret. */
  readonly isSecret: (path: readonly PropertyKey[]) => boolean;
  /** The host that watched after the last `up`; undefined before the first. */
  readonly watchedBefore?: string | undefined;
}

export interface Ec2RuntimeArgs extends Ec2Wish {
  readonly release: ReleaseOnHosts;
  /** The host that watches the others; null when nothing does. */
  readonly watching: string | null;
  readonly data: DataLayer;
  /** Address of the cache with its password, where this stack makes it; null: it is looked up by its secret. */
  readonly cacheUrl: pulumi.Output<string> | null;
  readonly tokens: AccessTokens;
  /** How machines were reached after the last run. */
  readonly recorded: MachinesRecord;
  readonly front: Ec2Front;
  /** Whose account is asked. */
  readonly ask: pulumi.InvokeOptions;
}

/** A machine, whoever made it. */
export interface Ec2Machine {
  /** The node's id. */
  readonly name: string;
  readonly address: pulumi.Input<string>;
  readonly user: pulumi.Input<string>;
  readonly instanceId: pulumi.Input<string>;
}

/** What the way in says of itself, as far as hosts are planned from it. */
export interface Ec2Front {
  readonly endpoint: pulumi.Input<string>;
  /** The balancer's name, or the first fixed address. */
  readonly dnsName: pulumi.Input<string>;
}

/** Names of architectures with EC2 and with Node. */
const ARCH: Readonly<Record<Architecture, HostArch>> = { arm64: "arm64", x86_64: "x64" };
/** Where a Redis is before its address is known: only its mark is in a plan. */
const REDIS_MARK = "setting.redis.url";
/** Addresses for what is checked before there is any machine; documents have them (RFC 5737). */
const NOWHERE = "192.0.2";

/**
 * The release for the stack's machines, and the one that will watch the others. Refuses what cannot be before any
 * is made: throws ConfigError.
 */
export async function prepareEc2(
  wish: Ec2Wish,
): Promise<{ release: ReleaseOnHosts; watching: string | null }> {
  const { nodes } = wish.plan.fleet;
  const arch = archOf(wish.compute);
  const release = await releaseOnHosts(nodes.map((name) => ({ name, arch })));
  const addresses = Object.fromEntries(nodes.map((name, i) => [name, `${NOWHERE}.${i + 1}`]));
  const known = { addresses, dnsName: `${NOWHERE}.254`, bucket: "replicas" };
  const { watching } = gather(wish, release, known).input.plan;
  return { release, watching };
}

/** The fleet's own part on machines of EC2: the same host setup as on machines that somebody else made. */
export class Ec2Runtime {
  readonly #args: Ec2RuntimeArgs;
  readonly #drained = new Map<string, HostDrained>();
  #fleet: FleetOnHosts | null = null;

  constructor(args: Ec2RuntimeArgs) {
    this.#args = args;
  }

  /** What is done around each machine, once all addresses are known. */
  steps(addresses: HostAddresses): HostSteps {
    const fleet = this.#begin(addresses);
    const { recorded, stack } = this.#args;
    return {
      isNew: (node) => recorded[node] === undefined,
      beforeChange: ({ node, machine, opts }) => {
        const before = recorded[node];
        const drained = new HostDrained(
          `drained-${node}`,
          {
            host: before?.host ?? null,
            artifact: before?.artifact ?? "",
            fleet: stack,
            node,
            apiPort: HOST_PORTS.local,
            machine: pulumi.output({ ...machine }),
            adminToken: fleet.adminToken,
          },
          opts,
        );
        this.#drained.set(node, drained);
        return drained;
      },
      afterHealthy: (host, { machine, opts }) =>
        this.put(host, {
          machine: pulumi.output({
            ...machine,
            drained: this.#drained.get(host.name)?.drained ?? "",
          }),
          opts,
        }),
    };
  }

  /** Puts the fleet on one machine. */
  put(
    host: Ec2Machine,
    more: {
      readonly machine?: pulumi.Input<Record<string, string>>;
      readonly opts?: pulumi.CustomResourceOptions;
    } = {},
  ): pulumi.Resource {
    const { compute, plan } = this.#args;
    const { name } = host;
    const { region } = plan.aws;
    const connection: pulumi.Output<HostConnection> = pulumi
      .all([host.address, host.user, host.instanceId])
      .apply(([address, user, instanceId]) => ({
        name,
        address,
        user,
        session: { instanceId, region },
      }));
    const { release } = this.#known.put(
      {
        name,
        arch: archOf(compute),
        witness: false,
        connection,
        ...(more.machine === undefined ? {} : { machine: more.machine }),
      },
      more.opts,
    );
    return release;
  }

  /** Waits until the fleet serves; what the stack then says of it. */
  finish(): { outputs: Partial<StackOutputs>; machines: pulumi.Output<MachinesRecord> } {
    const fleet = this.#known;
    const { settings, front } = this.#args;
    const { state } = fleet.prove(front.endpoint);
    // Known only once a real chat was answered, so that nobody is sent to a fleet that does not serve.
    const whenServing = <T>(value: pulumi.Input<T>) =>
      pulumi.all([value, state]).apply(([known]) => known);
    const hosts = [...fleet.on].map(([name, { connection, release }]) => ({
      name,
      host: pulumi
        .all([connection, release.hostKey])
        .apply(([host, hostKey]) => ({ ...host, hostKey })),
      artifact: artifactOf(this.#args.release, name),
    }));
    const machines = pulumi.all(
      Object.fromEntries(hosts.map(({ name, host, artifact }) => [name, { host, artifact }])),
    );
    const outputs = {
      endpoint: whenServing(front.endpoint),
      token: fleet.clientToken,
      adminToken: fleet.adminToken,
      caCertificate: ownAuthority(settings, this.#args.plan)
        ? fleet.credentials.caCertificate
        : null,
      certificatesExpire: fleet.credentials.expires,
      // What every host took: rotate-certs goes on behind it.
      authorityStep: whenServing(settings.certificates.authorityStep),
      hosts: hosts.map(({ host }) => host),
    };
    return { outputs, machines };
  }

  get #known(): FleetOnHosts {
    if (!this.#fleet) throw new Error("hosts come before their addresses");
    return this.#fleet;
  }

  #begin(addresses: Readonly<Record<string, pulumi.Input<string>>>): FleetOnHosts {
    const args = this.#args;
    const { data, stack, settings, plan, tokens, cacheUrl, ask } = args;
    const gathered = pulumi
      .all([pulumi.output(addresses), this.#args.front.dnsName, data.replicas.name])
      .apply(([known, dnsName, bucket]) =>
        gather(args, args.release, { addresses: known, dnsName, bucket }),
      );
    this.#fleet = new FleetOnHosts({
      stack,
      settings,
      sizing: plan.fleet,
      release: args.release,
      gathered,
      tokens: { client: tokens.clients, admin: tokens.admin },
      secrets:
        data.cache && usesCache(args)
          ? { [REDIS_MARK]: cacheUrl ?? redisUrl(data.cache.secretArn, ask) }
          : {},
    });
    return this.#fleet;
  }

  /** Begins with machines that another stack made. */
  adopt(hosts: readonly Ec2Machine[]): void {
    this.#begin(Object.fromEntries(hosts.map(({ name, address }) => [name, address])));
    for (const host of hosts) this.put(host);
  }
}

const archOf = ({ hosts }: HostsComputePlan): HostArch => ARCH[hosts.class.family.architecture];

/** What is known of a stack's machines once they have addresses. */
interface Known {
  readonly addresses: Readonly<Record<string, string>>;
  readonly dnsName: string;
  readonly bucket: string;
}

function gather(
  wish: Ec2Wish,
  release: ReleaseOnHosts,
  { addresses, dnsName, bucket }: Known,
): Gathered {
  const { stack, plan, isSecret } = wish;
  const gathered = gatherHosts({
    stack,
    settings: asHosts(wish, addresses, dnsName),
    sizing: plan.fleet,
    release,
    isSecret,
    watchedBefore: wish.watchedBefore,
    cloud: {
      replicas: { bucket, region: plan.aws.region },
      balancer: plan.edge.front === "alb",
    },
  });
  if (!usesCache(wish)) return gathered;
  // What the mark stands for comes from the store's own secret.
  const { [REDIS_MARK]: _, ...secrets } = gathered.secrets;
  return { ...gathered, secrets };
}

/** Whether sessions are in the stack's cache; somebody's own Redis goes before it. */
const usesCache = ({ settings, plan }: Pick<Ec2Wish, "settings" | "plan">): boolean =>
  plan.cache !== null && settings.redis.url === undefined;

/** The settings as if somebody had listed the machines. */
function asHosts(
  wish: Ec2Wish,
  addresses: Readonly<Record<string, string>>,
  dnsName: string,
): Settings {
  const { settings, plan, compute } = wish;
  const { edge, network, fleet } = plan;
  const balancer = edge.front === "alb";
  return {
    ...settings,
    hosts: fleet.nodes.map((name) => ({
      name,
      address: addresses[name] as string,
      user: IMAGE.user,
      arch: archOf(compute),
      witness: false,
      labels: {},
    })),
    ...(balancer ? {} : { domain: settings.domain ?? dnsName }),
    front: balancer
      ? { ...settings.front, kind: "none" }
      : {
          ...settings.front,
          hosts: [...edge.addressOf],
          certificate: certificateKind(settings),
          httpPort: 80,
          httpsPort: 443,
        },
    redis: usesCache(wish) ? { url: "rediss://cache.invalid:6379" } : settings.redis,
    trustedProxies: balancer
      ? [...settings.trustedProxies, ...network.subnets.public.map(({ cidr }) => cidr)]
      : settings.trustedProxies,
  };
}

/** Whether people meet a certificate of the fleet's own authority. */
const ownAuthority = (settings: AwsStackSettings, { edge }: AwsPlan): boolean =>
  edge.front !== "alb" && certificateKind(settings) === "fleet";

/** Address of the store with its password. */
function redisUrl(
  secretId: pulumi.Input<string>,
  ask: pulumi.InvokeOptions,
): pulumi.Output<string> {
  const { secretString } = aws.secretsmanager.getSecretVersionOutput({ secretId }, ask);
  return pulumi.secret(
    secretString.apply((text) => (JSON.parse(text) as { readonly url: string }).url),
  );
}
