import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import {
  FAULT_NAMES,
  FAULTS,
  type FaultName,
  HOST_FAULT_NAMES,
} from "../../test/drill/fault-names.ts";
import type { Driver } from "../../test/drill/world.ts";
import { CommandFailed } from "./errors.ts";

/** What a drill is to break. */
export interface DrillWorld {
  /** Faults that can be done to it. */
  readonly possible: readonly FaultName[];
  /** Obtains what it runs on. Loaded late: `--help` must not cost the runtime's start. */
  make(): Promise<{ driver: Driver; release: string }>;
}

/** One gateway after turns, with its helpers, and one node's runtime, MiB; as the presets plan them. */
const SHARD_MIB = 1_331;
const NODE_MIB = 256;
/** Three hosts with a shard each at most, etcd, Redis and Nginx, and a host's own programs. */
const HOSTS_MIB = 6_144;

/** Memory that can be had without swapping. Source: proc_meminfo(5). */
function availableMiB(): number {
  const line = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"));
  return line?.[1] ? Math.floor(Number(line[1]) / 1024) : Number.POSITIVE_INFINITY;
}

function mustHave(needMiB: number, what: string, why: string, remedy: string): void {
  const haveMiB = availableMiB();
  if (needMiB <= haveMiB) return;
  throw new CommandFailed(
    `${what} need ${needMiB} MiB of memory, ${haveMiB} MiB are available`,
    why,
    remedy,
  );
}

/** Nodes as processes of this machine. */
export function localWorld({ nodes, shards }: { nodes: number; shards: number }): DrillWorld {
  mustHave(
    shards * SHARD_MIB + nodes * NODE_MIB,
    `${shards} shards on ${nodes} nodes`,
    `a gateway with its helpers takes ${SHARD_MIB} MiB, a node's runtime ${NODE_MIB} MiB`,
    "lower --shards, or stop what is not needed",
  );
  return {
    possible: FAULT_NAMES.filter((name) => FAULTS[name].leastNodes <= nodes),
    make: async () => {
      const [{ localDriver }, { ensureRelease }] = await Promise.all([
        import("../../test/drill/local.ts"),
        import("../../toolchain/release.ts"),
      ]);
      const release = await ensureRelease();
      return { driver: localDriver({ nodes, shards, release }), release: release.id };
    },
  };
}

/** Three hosts made for the drill. */
export function hostsWorld(): DrillWorld {
  mustHave(
    HOSTS_MIB,
    "three hosts with two shards",
    "each carries a node, etcd, Redis and Nginx, and two of them a gateway",
    "stop what is not needed",
  );
  return {
    possible: HOST_FAULT_NAMES,
    make: async () => {
      const { whyNoHosts } = await import("../../test/hosts/support/programs.ts");
      const why = whyNoHosts();
      if (why !== null) {
        throw new CommandFailed("No hosts can be made here", why, "run it as root on Linux");
      }
      await findTools();
      const [{ hostsDriver }, { hostReleaseFacts }, { baseImage }] = await Promise.all([
        import("../../test/drill/hosts/driver.ts"),
        import("../../toolchain/host-release.ts"),
        import("../../test/hosts/support/base-image.ts"),
      ]);
      await baseImage();
      const { id } = await hostReleaseFacts(process.arch === "arm64" ? "arm64" : "x64");
      return { driver: hostsDriver(), release: id };
    },
  };
}

/** The stack of the drill runs in a project of its own, which is told by these variables. */
async function findTools(): Promise<void> {
  const [{ ensurePulumi }, languageHost, { createProgress }] = await Promise.all([
    import("../../toolchain/pulumi.ts"),
    import("../../toolchain/language-host.ts"),
    import("../../toolchain/progress.ts"),
  ]);
  const pulumi = await ensurePulumi({ progress: createProgress() });
  process.env.OPENCLAW_FLEET_PULUMI ??= pulumi.path;
  process.env.OPENCLAW_FLEET_LANGUAGE_HOST ??= dirname(
    languageHost.ensureLanguageHost(pulumi).path,
  );
  process.env[languageHost.LANGUAGE_HOST_VARIABLE] ??= languageHost.LANGUAGE_HOST_MAIN;
}
