import { CANARY_TOKEN } from "../../components/prometheus/canary.ts";
import { scraperAddresses } from "../../components/prometheus/plan.ts";
import { redisPasswords } from "../../components/redis/plan.ts";
import { replicaKeys } from "../../components/replica-target/plan.ts";
import type { FleetConfig } from "../../gateway/config.ts";
import { layOutFleet } from "../../plugin/fleet-inputs.ts";
import { fleetLayout } from "../fleet-layout.ts";
import type { FleetPlan } from "../presets.ts";
import type { Settings } from "../settings.ts";
import { checkMemory } from "./checks.ts";
import { type Marked, markSecrets } from "./marks.ts";
import type { HostsInput } from "./parts.ts";
import { type HostsPlan, planHosts } from "./plan.ts";

export interface GatherArgs {
  /** The stack's name; it names the fleet. */
  readonly stack: string;
  readonly settings: Settings;
  readonly sizing: FleetPlan;
  readonly release: HostsInput["release"];
  /** Whether the setting at a path is secret. */
  readonly isSecret: (path: readonly PropertyKey[]) => boolean;
  /** The host that watched after the last `up`: it goes on while it is there. Undefined before the first. */
  readonly watchedBefore?: string | undefined;
  /** What machines of a cloud have beside them. */
  readonly cloud?: HostsInput["cloud"];
}

/** What the hosts' plans are made from, without a secret in it, and the secrets that the settings held. */
export interface Gathered {
  readonly input: HostsInput;
  readonly secrets: Readonly<Record<string, string>>;
  /** Names of what must be made besides certificates and tokens. */
  readonly passwords: readonly string[];
  readonly sshKeys: readonly string[];
}

/** Pure. Throws ConfigError with what cannot be. */
export function gatherHosts(args: GatherArgs): Gathered {
  const { stack, settings, sizing, release, isSecret, cloud } = args;
  const plan = planHosts(settings, sizing, args.watchedBefore);
  checkMemory(settings, sizing);
  const secrets: Record<string, string> = {};
  const mark = <T>(value: T, path: readonly PropertyKey[], hides = isSecret): T => {
    const marked: Marked<T> = markSecrets(value, hides, path);
    Object.assign(secrets, marked.secrets);
    return marked.value;
  };
  const layout = fleetLayout({ stack, settings, plan: sizing, seal: mark });
  const config = layOutFleet(
    {
      ...(layout as Parameters<typeof layOutFleet>[0]),
      scrapers: [...settings.scrapers, ...scrapersOf(plan)],
    },
    {
      client: clientTokens(settings, plan),
      admin: "{{secret token.admin}}",
      peer: "{{secret token.peer}}",
    },
  ) as FleetConfig;
  return {
    input: {
      fleet: stack,
      plan,
      sizing,
      config,
      monitoring: mark(settings.monitoring, ["monitoring"], (path) => isReceiver(path)),
      replication: mark(settings.replication, ["replication"]),
      redisMemoryMiB: settings.redis.memoryMiB,
      memoryMaxMiB: settings.sizes.nodeMemoryMaxMiB,
      ownRedis: mark(settings.redis.url, ["redis", "url"], () => true),
      release,
      ...(cloud ? { cloud } : {}),
    },
    secrets,
    passwords: [
      ...(plan.redis ? redisPasswords(plan.redis) : []),
      ...(plan.watching ? [CANARY_TOKEN] : []),
    ],
    sshKeys: plan.several && !cloud && !settings.replication.s3 ? replicaKeys(plan.hosts) : [],
  };
}

const scrapersOf = ({ hosts, watching }: HostsPlan): string[] =>
  watching === null ? [] : scraperAddresses(hosts, watching);

/** Every client's token, and the canary's own. */
function clientTokens({ tokens }: Settings, { watching }: HostsPlan): string[] {
  const clients = (tokens.client ?? [""]).map((_, i) => `{{secret token.client.${i}}}`);
  return [...clients, ...(watching === null ? [] : [`{{secret ${CANARY_TOKEN}}}`])];
}

/** Addresses and keys of whoever is told of alerts: whoever has one can send there. */
function isReceiver(path: readonly PropertyKey[]): boolean {
  return path[1] === "alerts" && ["url", "key", "password"].includes(String(path.at(-1)));
}
