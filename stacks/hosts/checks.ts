import { isIP } from "node:net";
import { ConfigError, type Fault } from "../../components/errors.ts";
import type { FleetPlan } from "../presets.ts";
import type { Settings } from "../settings.ts";

/** What is wrong with the list of hosts, before anybody is called. Throws ConfigError with every fault. */
export function checkHosts(settings: Settings): void {
  const { hosts, domain, front, redis, replication, environment } = settings;
  const faults: Fault[] = [];
  if (hosts.length === 0) {
    faults.push({
      setting: "hosts",
      problem: "is empty, and target hosts runs on machines that exist",
      remedy: "List them: - { name: a, address: 203.0.113.10, user: root }",
    });
  }
  const twice = (key: "name" | "address", why: string) => {
    const seen = new Map<string, number>();
    for (const [i, host] of hosts.entries()) {
      const first = seen.get(host[key]);
      if (first !== undefined) {
        faults.push({
          setting: `hosts[${i}].${key}`,
          problem: `is ${host[key]}, as is that of hosts[${first}]`,
          remedy: why,
        });
      }
      seen.set(host[key], first ?? i);
    }
  };
  twice("name", "Give each host a name of its own");
  // Two sshd on one address are one machine: its loss would be the loss of both.
  twice("address", "List each machine once; a second node on it would die with the first");
  for (const [i, { address, witness }] of hosts.entries()) {
    if (!isIP(address) && !/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(address)) {
      faults.push({
        setting: `hosts[${i}].address`,
        problem: `is ${address}, which is neither an IP address nor a DNS name`,
        remedy: "Write the address alone; user and port have settings of their own",
      });
    }
    if (/^(localhost|127\.|::1$)/.test(address) && hosts.length > 1) {
      faults.push({
        setting: `hosts[${i}].address`,
        problem: `is ${address}, and the other hosts cannot reach it there`,
        remedy: "Write an address that all hosts and you can reach",
      });
    }
    if (witness && hosts.length === 1) {
      faults.push({
        setting: `hosts[${i}].witness`,
        problem: "is true for the only host",
        remedy: "Take it away, or list the hosts that run shards",
      });
    }
  }
  if (front.certificate === "own" && !(front.certificateFile && front.keyFile)) {
    faults.push({
      setting: "front.certificate",
      problem: `is own, and ${front.certificateFile ? "front.keyFile" : "front.certificateFile"} is missing`,
      remedy: "Name both files: the chain and its key, in PEM",
    });
  }
  if (environment === "prod" && front.kind !== "none" && !domain && !front.certificate) {
    faults.push({
      setting: "domain",
      problem: "is missing, and people would be asked to trust a certificate they never saw",
      remedy:
        "Set domain to a name that points to these hosts, or front.certificate to fleet if that is meant",
    });
  }
  if (redis.url !== undefined && redis.memoryMiB !== undefined) {
    faults.push({
      setting: "redis.memoryMiB",
      problem: "is set, and redis.url names a Redis whose memory is its owner's",
      remedy: "Leave one of them out",
    });
  }
  // Machines of a cloud have its bucket, however many they are.
  const alone = hosts.length === 1 && settings.target === "hosts";
  const nowhere = alone && replication.s3 === undefined;
  if (nowhere && Object.values(replication).some((value) => value !== undefined)) {
    faults.push({
      setting: "replication",
      problem: "is set for a single host, and nobody else keeps its replicas",
      remedy: "Name a bucket in replication.s3, leave it out, or make a stack of several hosts",
    });
  }
  if (front.kind === "caddy" && Object.values(front.limits).some((value) => value !== undefined)) {
    faults.push({
      setting: "front.limits",
      problem: "is set, and Caddy counts nothing",
      remedy: "Leave it out, or set front.kind to nginx; limits counts per token on any front",
    });
  }
  if (faults.length > 0) throw new ConfigError(faults);
}

/** A limit below what is planned for a node would have the kernel end what is planned to run. */
export function checkMemory({ sizes }: Settings, { loss }: Pick<FleetPlan, "loss">): void {
  const { nodeMemoryMaxMiB: most } = sizes;
  if (most === undefined || most >= loss.memoryMiBPerNode) return;
  throw new ConfigError(
    "sizes.nodeMemoryMaxMiB",
    `is ${most}, and a node holds up to ${loss.shardsPerNode} shards (${loss.memoryMiBPerNode} MiB)`,
    `Set it to ${loss.memoryMiBPerNode} or more, or lower shards`,
  );
}
