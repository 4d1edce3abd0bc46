import { ConfigError } from "../../components/errors.ts";
import {
  type HostArch,
  type HostReleaseFacts,
  hostReleaseFacts,
} from "../../toolchain/host-release.ts";

/** What the hosts of a fleet run. */
export interface ReleaseOnHosts {
  /** What leases and `status` call it; alike on all hosts, so that any can go on with a shard of another. */
  readonly name: string;
  /** Id of each host's artifact, and the name of its folder there; alike for hosts with one processor. */
  readonly artifacts: Readonly<Record<string, string>>;
}

interface Machine {
  readonly name: string;
  readonly arch: HostArch;
}

/**
 * The release of this clone for each host's processor. Throws ConfigError when the processors would get
 * different versions of OpenClaw: then no host could go on with a shard of one of the other kind.
 */
export async function releaseOnHosts(
  hosts: readonly Machine[],
  factsOf: (arch: HostArch) => Promise<HostReleaseFacts> = hostReleaseFacts,
): Promise<ReleaseOnHosts> {
  const facts = new Map<HostArch, HostReleaseFacts>();
  for (const { arch } of hosts) if (!facts.has(arch)) facts.set(arch, await factsOf(arch));
  const [first, other] = [...facts.values()];
  if (first && other && first.versions.openclaw !== other.versions.openclaw) {
    const each = [first, other].map(({ arch, versions }) => `${versions.openclaw} on ${arch}`);
    throw new ConfigError(
      "hosts",
      `would run OpenClaw ${each.join(" and ")}, since OPENCLAW_FLEET_OPENCLAW names one that is for this machine's processor alone`,
      "Unset it: the pinned version is the same for both",
    );
  }
  return {
    name: first?.release ?? "",
    artifacts: Object.fromEntries(hosts.map(({ name, arch }) => [name, facts.get(arch)?.id ?? ""])),
  };
}

/** Id of the artifact for a host of the fleet. Throws for any other. */
export function artifactOf({ artifacts }: ReleaseOnHosts, host: string): string {
  const id = artifacts[host];
  if (id === undefined) throw new Error(`no release was planned for host ${host}`);
  return id;
}
