import type { CachePlan } from "../../components/cache/plan.ts";
import type { DatabaseMark } from "../../components/database/plan.ts";
import type { HostsRecord } from "../../components/hosts-ec2/plan.ts";
import { SERVICE_ROLES, type ServiceRole } from "../../components/keys/catalog.ts";
import type { AdoptedFacts } from "../../components/network/plan.ts";
import type { HostConnection } from "../../plugin/host/shell.ts";
import type { AgentPlace } from "../placement.ts";

/** By the node's id: the way to its machine, and the id of the release there. */
export type MachinesRecord = Readonly<
  Record<string, { readonly host: HostConnection; readonly artifact: string }>
>;

/** What a stack remembers of itself, because it cannot be taken back. One of its outputs. */
export interface Recorded {
  readonly cache?: CachePlan | null;
  readonly database?: DatabaseMark | null;
  readonly hosts?: HostsRecord;
  /** How hosts were reached, and what was on them; nothing before a fleet ran there. */
  readonly machines?: MachinesRecord;
  /** Where each agent lives: its home never moves by resizing. */
  readonly agents?: Readonly<Record<string, AgentPlace>>;
  /** Whether ownership is decided by etcd; by a file on the only host otherwise. Of a fleet on hosts. */
  readonly several?: boolean;
  /** The host that watches: it has the metrics, and one more must not choose another. Of a fleet on hosts. */
  readonly watching?: string;
  /** Minor of Kubernetes. */
  readonly clusterVersion?: string;
  /** Ids of the zones, in their order. */
  readonly zones?: readonly string[];
}

/** What was asked before planning. Plain data; a plan without an account takes {@link NOT_ASKED}. */
export interface AwsFacts {
  /** Service-linked roles that the account has. */
  readonly serviceRoles: readonly ServiceRole[];
  /** Who deploys, as STS says it. */
  readonly callerArn?: string;
  /** The VPC in `network.adopt`. */
  readonly adoptedNetwork?: AdoptedFacts;
  /** Minor of Kubernetes that runs now. */
  readonly clusterVersion?: string;
  readonly recorded: Recorded;
}

/** Everything a new account would answer: what `fleet plan` shows needs no credentials. */
export const NOT_ASKED: AwsFacts = {
  serviceRoles: Object.keys(SERVICE_ROLES) as ServiceRole[],
  recorded: {},
};
