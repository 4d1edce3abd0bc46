import type { FleetConfig, NodeConfig, StoresConfig } from "../../gateway/config.ts";
import {
  FLEET_USER,
  type HostCheck,
  type HostContext,
  type HostDirectory,
  type HostFacts,
  type HostFile,
  type HostPart,
  type HostPaths,
  OPEN_DIRECTORY,
  UNIT_ORDER,
} from "../host/types.ts";
import { FAILED_UNIT, failedUnitText, NODE_UNIT, nodeUnitText } from "./unit.ts";

export interface NodePlanInput {
  /** Name of the release: `<openclaw version>+<build>`. It is part of every lease that the node takes. */
  readonly releaseId: string;
  /** OpenClaw's entry file. @default openclaw/node_modules/openclaw/openclaw.mjs in the release */
  readonly openclaw?: string | undefined;
  /** Cores of the host: half of them boot gateways at a time. */
  readonly cores: number;
  /**
   * What fleet.json says, with `{{secret NAME}}` where one goes. Where the router listens on the host
   * itself and which nodes there are is put in here.
   */
  readonly fleet: Omit<FleetConfig, "host" | "port" | "members">;
  /** Endpoints of the lease store, the host's own member first; null: one host, and a file on it. */
  readonly etcdEndpoints: readonly string[] | null;
  /** Address of the Redis for sessions, with its marks; missing: a file. */
  readonly redisUrl?: string | undefined;
  /** What `{redis}` in it stands for. */
  readonly redisAddresses?: readonly string[] | undefined;
  /** Where replicas go; see `NodeConfig.replication`. */
  readonly replication?: NodeConfig["replication"];
  /** Where nodes dial each other; see `NodeConfig.discovery`. */
  readonly discovery?: NodeConfig["discovery"];
  /** A balancer of the cloud calls the router by plain HTTP, so it listens for others than the host. @default false */
  readonly behindBalancer?: boolean | undefined;
  /** Most memory of the node with all its gateways, MiB. @default no limit */
  readonly memoryMaxMiB?: number | undefined;
}

/** Lowest port of OpenClaw's gateways, all on loopback; above every port of the fleet's own. */
const GATEWAY_PORT_BASE = 19_000;
/** A cold first start of a node's program on a small machine took 6 s; a busy one needs longer. */
const READY_SECONDS = 120;

/** Keys of this fleet in etcd begin with it. */
export const leasePrefix = (fleet: string): string => `/openclaw-fleet/${fleet}`;

export const nodeDir = ({ data }: HostPaths, id: string): string => `${data}/nodes/${id}`;

/** The node's own program on a host that runs shards. */
export function planNode(context: HostContext, input: NodePlanInput): HostPart {
  const { self, paths, fleet } = context;
  const dir = nodeDir(paths, self.name);
  const nodeFile = `${dir}/node.json`;
  const fleetFile = `${paths.data}/fleet.json`;
  const own: Omit<HostDirectory, "mode"> = { owner: FLEET_USER, group: FLEET_USER };
  const secret = (name: string, format?: "json"): HostFile => ({
    content: `{{secret ${name}}}`,
    ...own,
    mode: "0640",
    ...(format ? { format } : {}),
  });
  const unit = {
    fleet,
    node: self.name,
    paths,
    dir,
    memoryMaxMiB: input.memoryMaxMiB,
  };
  return {
    users: { [FLEET_USER]: { home: paths.data } },
    directories: {
      [paths.etc]: OPEN_DIRECTORY,
      [paths.tls]: { ...own, mode: "0750" },
      [paths.data]: { ...own, mode: "0750", data: true },
      [`${paths.data}/nodes`]: { ...own, mode: "0700", data: true },
      [dir]: { ...own, mode: "0700", data: true },
    },
    files: {
      [`${paths.tls}/ca.pem`]: secret("tls.ca"),
      [`${paths.tls}/node.pem`]: secret(`tls.${self.name}.cert`),
      [`${paths.tls}/node.key`]: secret(`tls.${self.name}.key`),
      [nodeFile]: json(nodeConfigOf(context, input)),
      [`${dir}/stores.json`]: json(storesConfigOf(input)),
      [fleetFile]: {
        ...json(fleetConfigOf(context, input)),
        verify: settingsCheck(context, input, fleetFile),
      },
    },
    units: {
      [FAILED_UNIT]: {
        content: failedUnitText(
          self.name,
          context.hosts.every((host) => host.witness || host.name === self.name),
        ),
        // Started by the node's failure alone.
        state: "triggered",
        order: UNIT_ORDER.node - 1,
      },
      [NODE_UNIT]: {
        content: nodeUnitText(unit),
        state: "enabled",
        order: UNIT_ORDER.node,
        // fleet.json, stores.json and certificates are followed by the running node.
        restartOn: [nodeFile],
        drains: true,
      },
    },
    checks: { "the node takes requests": readyCheck(context) },
  };
}

const openclawOf = ({ paths }: HostContext, { openclaw }: NodePlanInput): string =>
  openclaw ?? `${paths.release}/openclaw/node_modules/openclaw/openclaw.mjs`;

/**
 * Whether the OpenClaw of the release takes the settings. The node follows fleet.json as soon as it is written, and
 * one that takes a shard starts with what it says: what is refused must not get there. What settings name is loaded
 * with the rights that it has later.
 */
function settingsCheck(context: HostContext, input: NodePlanInput, fleetFile: string): string[] {
  const { paths, self } = context;
  return [
    ...["setpriv", "--reuid", FLEET_USER, "--regid", FLEET_USER, "--init-groups", "--"],
    ...[`${paths.release}/bin/node`, `${paths.release}/runtime/settings-check.js`],
    ...[openclawOf(context, input), fleetFile, nodeDir(paths, self.name)],
  ];
}

/** What a file on the host holds; secrets are put in there, and with them it is parsed by the runtime. */
function json(content: object): HostFile {
  return {
    content: `${JSON.stringify(content, null, 2)}\n`,
    owner: FLEET_USER,
    group: FLEET_USER,
    mode: "0600",
    format: "json",
  };
}

export function nodeConfigOf(context: HostContext, input: NodePlanInput): NodeConfig {
  const { self, paths, ports, fleet } = context;
  const tls = {
    ca: `${paths.tls}/ca.pem`,
    cert: `${paths.tls}/node.pem`,
    key: `${paths.tls}/node.key`,
  };
  return {
    version: 1,
    id: self.name,
    dataDir: paths.data,
    // Providers put the public address before the machine, so it is not one of the machine's own.
    peerHost: everywhere(self),
    peerPort: ports.peer,
    address: self.address,
    tls,
    front: { host: everywhere(self), port: ports.router },
    ...(input.behindBalancer ? { balanced: true } : {}),
    leases:
      input.etcdEndpoints === null
        ? { kind: "sqlite" }
        : { kind: "etcd", tls, prefix: leasePrefix(fleet) },
    release: {
      id: input.releaseId,
      node: `${paths.release}/bin/node`,
      openclaw: openclawOf(context, input),
      runtime: `${paths.release}/runtime`,
    },
    gatewayPortBase: GATEWAY_PORT_BASE,
    cores: input.cores,
    ...(input.redisUrl === undefined ? {} : { redisUrl: input.redisUrl }),
    ...(input.discovery === undefined ? {} : { discovery: input.discovery }),
    ...(input.replication === undefined ? {} : { replication: input.replication }),
  };
}

function storesConfigOf({ etcdEndpoints, redisAddresses }: NodePlanInput): StoresConfig {
  return {
    version: 1,
    ...(etcdEndpoints === null ? {} : { etcd: [...etcdEndpoints] }),
    ...(redisAddresses ? { redis: [...redisAddresses] } : {}),
  };
}

/** Every address of the host, of the kind that it is called by. */
const everywhere = ({ address }: HostFacts): string => (address.includes(":") ? "::" : "0.0.0.0");

function fleetConfigOf(
  { ports, hosts, self }: HostContext,
  { fleet, behindBalancer = false }: NodePlanInput,
): FleetConfig {
  return {
    ...fleet,
    host: behindBalancer ? everywhere(self) : "127.0.0.1",
    port: ports.local,
    members: hosts.filter(({ witness }) => !witness).map(({ name }) => name),
  };
}

/** Asks the router on the host itself; Node is there, curl may not be. */
function readyCheck({ paths, ports }: HostContext): HostCheck {
  const ask =
    `const answer = await fetch("http://127.0.0.1:${ports.local}/readyz");` +
    "if (!answer.ok) { console.error(await answer.text()); process.exit(1); }";
  return {
    argv: [`${paths.release}/bin/node`, "--input-type=module", "--eval", ask],
    deadlineSeconds: READY_SECONDS,
    remedy: `Look at systemctl status ${NODE_UNIT} and journalctl -u ${NODE_UNIT}`,
  };
}
