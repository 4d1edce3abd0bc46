import { readFileSync } from "node:fs";
import { z } from "zod";

const member = z.strictObject({
  /** The host's name, and the member's. */
  name: z.string(),
  /** How the other members reach it. */
  peerUrl: z.string(),
  /** How clients reach it. */
  clientUrl: z.string(),
});

/** A file of this name in a member's home asks its care for a snapshot now, whatever the hour; it goes when there is one. */
export const SNAPSHOT_WANTED = "snapshot-wanted";

/**
 * `members.json`: what a host knows of the fleet's etcd, written by the deployment. It changes when hosts
 * come and go and never restarts a member.
 */
export const memberFile = z.strictObject({
  self: z.string(),
  /** Every member that there is to be. */
  members: z.array(member).min(1),
  tls: z.strictObject({ ca: z.string(), cert: z.string(), key: z.string() }),
  /** Home of the member: `data/` is etcd's, `snapshots/` and `aside/` are ours. */
  home: z.string(),
  /** The settings of etcd, without who its cluster is. */
  config: z.string(),
  /** The settings that etcd is started with, written at each start. */
  startConfig: z.string(),
  etcdctl: z.string(),
  /** How many snapshots are kept; one an hour. */
  snapshots: z.number().int().nonnegative(),
});
export type MemberFile = z.infer<typeof memberFile>;
export type PlannedMember = MemberFile["members"][number];

export function readMemberFile(path: string): MemberFile {
  return memberFile.parse(JSON.parse(readFileSync(path, "utf8")));
}

/** This host's own entry. */
export function selfOf({ self, members }: MemberFile): PlannedMember {
  const found = members.find(({ name }) => name === self);
  if (!found) throw new Error(`${self} is not among the members of etcd that its file names`);
  return found;
}

/** Where etcd keeps its files. */
export const dataOf = ({ home }: MemberFile): string => `${home}/data`;
