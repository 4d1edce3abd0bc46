import { readFileSync } from "node:fs";
import { request } from "node:https";
import { EtcdClient } from "../leases/etcd-client.ts";
import type { MemberFile, PlannedMember } from "./member-file.ts";

/** Longest wait for another member's answer, ms. */
const ANSWER_MS = 2_000;
/** Longest wait for a change of the cluster, ms. */
const CHANGE_MS = 5_000;

/** A member as the cluster knows it. Ids are 64-bit numbers, as text. */
export interface ClusterMember {
  ID: string;
  /** Missing or empty: added, but never started. */
  name?: string;
  peerURLs: string[];
  /** Missing or empty until it has once served in this cluster. */
  clientURLs?: string[];
  /** Receives everything and does not vote yet. */
  isLearner?: boolean;
}

/**
 * What another host says of its member:
 * - `established`: its cluster has once had a majority; that outlives every restart.
 * - `waiting`: it runs and has never heard of a majority.
 * - `refused`: the host is there, nothing listens.
 * - `unreachable`: the host does not answer; it may know anything.
 */
export type Presence = "established" | "waiting" | "refused" | "unreachable";

/** Asks at the port for members, which answers also without a majority. */
export async function presenceOf(
  member: Pick<PlannedMember, "peerUrl">,
  file: MemberFile,
  onFault: (why: string) => void = () => {},
): Promise<Presence> {
  const { tls } = file;
  try {
    const text = await new Promise<string>((resolve, reject) => {
      const asked = request(
        `${member.peerUrl}/members`,
        {
          agent: false,
          ca: readFileSync(tls.ca),
          cert: readFileSync(tls.cert),
          key: readFileSync(tls.key),
          minVersion: "TLSv1.3",
          signal: AbortSignal.timeout(ANSWER_MS),
        },
        (response) => {
          let body = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => {
            body += chunk;
          });
          response.on("error", reject);
          response.on("end", () => {
            if (response.statusCode === 200) resolve(body);
            else reject(new Error(`${member.peerUrl} answered ${response.statusCode}`));
          });
        },
      );
      asked.on("error", reject);
      asked.end();
    });
    const members = JSON.parse(text) as Pick<ClusterMember, "clientURLs">[];
    return members.some(({ clientURLs }) => (clientURLs?.length ?? 0) > 0)
      ? "established"
      : "waiting";
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    onFault(message || code || "no answer");
    return code === "ECONNREFUSED" ? "refused" : "unreachable";
  }
}

/** Calls of a cluster's administration, by any of the given members. */
export class ClusterAdmin {
  readonly #client: EtcdClient;

  constructor(endpoints: readonly string[], file: MemberFile) {
    this.#client = new EtcdClient({ endpoints, tls: file.tls, warn: () => {} });
  }

  async members(): Promise<ClusterMember[]> {
    return (await this.cluster()).members;
  }

  /** `id` names the cluster; each that was begun has another. */
  async cluster(): Promise<{ id: string; members: ClusterMember[] }> {
    const { header, members = [] } = await this.#call<{
      header: { cluster_id: string };
      members?: ClusterMember[];
    }>("cluster/member/list", { linearizable: true });
    return { id: header.cluster_id, members };
  }

  /** Adds a member that learns first. Without a vote it cannot cost the cluster its majority. */
  async addLearner(peerUrl: string): Promise<ClusterMember[]> {
    const said = await this.#call<{ members?: ClusterMember[] }>("cluster/member/add", {
      peerURLs: [peerUrl],
      isLearner: true,
    });
    return said.members ?? [];
  }

  async remove(ID: string): Promise<void> {
    await this.#call("cluster/member/remove", { ID });
  }

  /** Fails while it has not caught up. */
  async promote(ID: string): Promise<void> {
    await this.#call("cluster/member/promote", { ID });
  }

  async status(): Promise<MemberStatus> {
    const said = await this.#call<{
      header: { member_id: string; cluster_id: string; revision?: string };
      leader?: string;
      dbSize?: string;
      dbSizeInUse?: string;
      isLearner?: boolean;
      errors?: string[];
    }>("maintenance/status", {});
    return {
      id: said.header.member_id,
      cluster: said.header.cluster_id,
      revision: said.header.revision ?? "0",
      leader: said.leader && said.leader !== "0" ? said.leader : null,
      bytes: Number(said.dbSize ?? 0),
      bytesInUse: Number(said.dbSizeInUse ?? 0),
      learner: said.isLearner === true,
      errors: said.errors ?? [],
    };
  }

  /** Gives the lead to another member. */
  async handLeadTo(targetID: string): Promise<void> {
    await this.#call("maintenance/transfer-leadership", { targetID });
  }

  async defragment(): Promise<void> {
    await this.#call("maintenance/defragment", {}, DEFRAGMENT_MS);
  }

  async compact(revision: string): Promise<void> {
    await this.#call("kv/compaction", { revision, physical: true });
  }

  /** Members that take no writes because their database is full. */
  async fullMembers(): Promise<string[]> {
    const said = await this.#call<{ alarms?: { memberID: string; alarm: string }[] }>(
      "maintenance/alarm",
      { action: "GET" },
    );
    return (said.alarms ?? [])
      .filter(({ alarm }) => alarm === "NOSPACE")
      .map(({ memberID }) => memberID);
  }

  async endFullAlarm(memberID: string): Promise<void> {
    await this.#call("maintenance/alarm", { action: "DEACTIVATE", memberID, alarm: "NOSPACE" });
  }

  /** A read that only a member with a majority can answer. */
  async readsWithMajority(): Promise<void> {
    await this.#call("kv/range", { key: "AA==", limit: "1" });
  }

  close(): void {
    this.#client.close();
  }

  #call<T>(path: string, body: object, timeoutMs = CHANGE_MS): Promise<T> {
    return this.#client.call<T>(`/v3/${path}`, body, timeoutMs);
  }
}

/** The member does nothing else meanwhile; a database of the quota takes a few seconds. */
const DEFRAGMENT_MS = 60_000;

export interface MemberStatus {
  id: string;
  /** Names the cluster that it is of. */
  cluster: string;
  revision: string;
  /** The leader's id; null: none is known. */
  leader: string | null;
  bytes: number;
  bytesInUse: number;
  learner: boolean;
  errors: string[];
}
