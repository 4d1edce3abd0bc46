import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { leasePrefix } from "../../../components/node/plan.ts";
import type { FleetStatus } from "../../../gateway/contract.ts";
import { ask } from "../../../plugin/host/ask.ts";
import { cacheDir } from "../../../toolchain/paths.ts";
import { makeProject, type Project } from "../../engine/fixtures/project.ts";
import { CLOCK_ENVIRONMENT, giveClocks } from "../../hosts/support/clocks.ts";
import { TestHosts } from "../../hosts/support/lab.ts";
import { hostsSettings, MODEL_ENV, modelSettings } from "../../hosts/support/stack-settings.ts";
import type { ProcessPlaces } from "../processes.ts";
import { type Driver, FaultImpossible, type Wiring } from "../world.ts";
import { startBalancer } from "./balancer.ts";
import { HOST_WORLD_FAULTS, type HostsWorld } from "./faults.ts";
import { watchEtcd } from "./leases.ts";

const NODES = ["a", "b", "c"];
const SHARDS = ["s1", "s2"];
const STACK = "test";
/** Room for both shards with what is moved aside, MiB; it takes only what is written. */
const DATA_MIB = 6_144;
/** A host boots, etcd and Redis agree, and two gateways start one after the other on a busy machine. */
const WHOLE_MS = 360_000;
const STATUS_MS = 5_000;
const SHARDS_FOLDER = "/var/lib/openclaw-fleet/shards";
const UNITS = "openclaw-fleet-*";

interface Outputs {
  token: string;
  adminToken: string;
  caCertificate: string;
}

/**
 * Real hosts with everything that `./fleet up` puts on them: etcd, Redis with Sentinels, Nginx with TLS,
 * replicas, OpenClaw. Needs root, and what `whyNoHosts` asks for.
 */
export function hostsDriver(): Driver {
  let lab: TestHosts | null = null;
  let project: Project | null = null;
  const there = (): TestHosts => {
    if (!lab) throw new Error("the hosts are not made yet");
    return lab;
  };
  return {
    nodes: NODES,
    shards: SHARDS,
    command: "./fleet drill --hosts",
    wholeMs: WHOLE_MS,
    address: async () => {
      lab = await TestHosts.create({ hosts: NODES, dataMiB: DATA_MIB });
      await giveClocks(lab.hosts);
      return lab.machine;
    },
    places: placesIn(there),
    create: async (wiring, { say, signal }) => {
      project = await makeProject();
      say(`hosts ${NODES.join(", ")} have booted; bringing a fleet up on them`);
      const outputs = await bringUp(project, there(), wiring, signal);
      return await worldOf(there(), outputs);
    },
    close: async () => {
      project?.remove();
      await lab?.close();
    },
  };
}

/** Where processes on a lab's hosts run, as this machine sees them. */
export const placesIn = (lab: () => TestHosts): ProcessPlaces => ({
  hostOf: (pid) => lab().hosts.find((host) => host.has(pid))?.name ?? null,
  frozen: (name) => lab().host(name).frozen,
});

/** `pulumi up` of a stack with three hosts. Secrets come from the environment, as for a person. */
async function bringUp(
  project: Project,
  lab: TestHosts,
  { modelUrl, agent }: Wiring,
  signal: AbortSignal,
): Promise<Outputs> {
  const { telegram } = agent.channels as { telegram: Record<string, unknown> };
  const env = {
    XDG_CACHE_HOME: dirname(cacheDir()),
    DRILL_BOT: String(telegram.botToken),
    ...MODEL_ENV,
  };
  const main = {
    name: "main",
    channels: { telegram: { ...telegram, botToken: "env:DRILL_BOT" } },
    cron: agent.cron,
    // Gateways have an environment of their own, and their host's clock all the same.
    env: CLOCK_ENVIRONMENT,
  };
  const settings = {
    // Redis with Sentinels.
    preset: "medium",
    shards: SHARDS.length,
    monitoring: { enabled: false },
    models: modelSettings(modelUrl),
    agents: [main],
  };
  project.settings(hostsSettings(lab, settings));
  for (const args of [
    ["stack", "init", STACK],
    ["up", "--yes"],
  ]) {
    const { code, text } = await project.pulumi(args, env, signal);
    signal.throwIfAborted();
    if (code !== 0) throw new Error(`pulumi ${args.join(" ")} failed:\n${text.slice(-4_000)}`);
  }
  const { stdout } = await project.pulumi(["stack", "output", "--json", "--show-secrets"], env);
  return JSON.parse(stdout) as Outputs;
}

/** A fleet of shards `s1`, `s2` that a stack `test` has made on a lab's hosts; ends with the hosts. */
export async function worldOf(lab: TestHosts, outputs: Outputs): Promise<HostsWorld> {
  const { caCertificate: ca, token, adminToken } = outputs;
  const dataDir = mkdtempSync(join(tmpdir(), "openclaw-fleet-drill-hosts-"));
  // The load's clients trust what a person who calls such a fleet must trust.
  const before = getCACertificates("default");
  setDefaultCACertificates([...before, ca]);
  const etcd = await watchEtcd(lab.hosts, leasePrefix(STACK), join(dataDir, "tls"));
  const addresses = lab.hosts.map(({ address }) => address);
  const balancer = await startBalancer(addresses, ca);
  const { endpoint } = balancer;
  const world: HostsWorld = {
    lab,
    etcd,
    target: { endpoint, token, adminToken },
    dataDir,
    nodes: NODES,
    shards: SHARDS,
    status: async () => {
      const answer = await ask(new URL("/api/v1/fleet", endpoint), {
        method: "GET",
        token: adminToken,
        ca,
        timeoutMs: STATUS_MS,
        signal: new AbortController().signal,
      });
      if (answer.fault !== "") throw new Error(answer.fault);
      return answer.body as FleetStatus;
    },
    leases: () => etcd.leases(),
    shardOf: (stateDir, pid) => {
      const shard = SHARDS.find((id) => stateDir === `${SHARDS_FOLDER}/${id}/state`);
      return shard && lab.hosts.some((host) => host.has(pid)) ? shard : null;
    },
    // The deployment has started everything.
    start: async () => {},
    apply: async (context, planned, status) => {
      const fault = HOST_WORLD_FAULTS[planned.name];
      if (!fault) throw new FaultImpossible(`a fleet of hosts has no ${planned.name}`);
      return await fault({ ...context, world }, planned, status);
    },
    stop: async () => {
      await balancer.close();
      etcd.close();
      setDefaultCACertificates(before);
      await Promise.all(lab.hosts.map((host) => keepLog(lab, host.name, dataDir)));
      await Promise.all(lab.hosts.map((host) => host.powerOff()));
    },
    remove: (keep) => {
      rmSync(join(dataDir, "tls"), { recursive: true, force: true });
      if (!keep) rmSync(dataDir, { recursive: true, force: true });
    },
  };
  return world;
}

/** What the fleet's services on a host said, as long as it can be asked. */
async function keepLog(lab: TestHosts, name: string, folder: string): Promise<void> {
  const host = lab.host(name);
  if (!host.running || host.frozen) return;
  const argv = ["journalctl", "--no-pager", "--output=short-iso-precise", `--unit=${UNITS}`];
  const { stdout } = await host.run(argv, { check: false });
  writeFileSync(join(folder, `${name}.log`), stdout, { mode: 0o600 });
}
