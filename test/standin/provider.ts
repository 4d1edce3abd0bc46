import { type Props, UNKNOWN } from "../../plugin/values.ts";
import { Refusal } from "./rules/types.ts";
import type { StandInSettings } from "./settings.ts";
import type { Scope } from "./world.ts";

const REGION = /^[a-z]{2}(-[a-z]+)+-\d$/;

/** Where a provider works, from its configuration. Values of objects come as JSON text. */
export function scopeOf(
  pack: string,
  config: Props,
  settings: Pick<StandInSettings, "accountId" | "caller">,
): Scope {
  const value = (key: string): unknown => {
    const raw = config[key];
    if (typeof raw !== "string" || !/^[[{"]/.test(raw)) return raw;
    try {
      return JSON.parse(raw) as unknown;
    } catch {
      return raw;
    }
  };
  if (pack === "kubernetes") return clusterScope(config, settings);
  const roles = [value("assumeRoles") ?? []].flat() as { roleArn?: string }[];
  const role = roles
    .map((one) => one.roleArn)
    .find((arn) => typeof arn === "string" && arn !== UNKNOWN);
  const account = role?.split(":")[4] ?? settings.accountId;
  const region = String(value("region") ?? "");
  if (pack === "aws") {
    if (!REGION.test(region)) throw new Refusal(`invalid AWS Region: ${region || "none is set"}`);
    const allowed = value("allowedAccountIds");
    if (Array.isArray(allowed) && !allowed.includes(account)) {
      throw new Refusal(`AWS account ID not allowed: ${account}`);
    }
  }
  return { account, region, caller: role ?? settings.caller };
}

/** A cluster by its ARN; who calls is who its kubeconfig's command asks a token for. */
function clusterScope(config: Props, settings: Pick<StandInSettings, "caller">): Scope {
  const cluster = String(config.clusterIdentifier ?? UNKNOWN);
  const [, , , region = "", account = ""] = cluster.split(":");
  const text = config.kubeconfig;
  const kubeconfig =
    typeof text === "string" && text.startsWith("{") ? (JSON.parse(text) as Props) : {};
  const users = (kubeconfig.users ?? []) as { user?: { exec?: { args?: string[] } } }[];
  const args = users[0]?.user?.exec?.args ?? [];
  const at = args.indexOf("--role-arn");
  const caller = at >= 0 ? String(args[at + 1]) : settings.caller;
  return { account, region, cluster, caller };
}

/** What of a provider's configuration makes everything in it another. */
export function providerReplaces(pack: string, old: Props, next: Props): string[] {
  const keys = { aws: ["region"], kubernetes: ["clusterIdentifier"] }[pack] ?? [];
  return keys.filter((key) => JSON.stringify(old[key]) !== JSON.stringify(next[key]));
}

/** Unreachable clusters are forgotten, when the provider was told so. */
export function forgetsUnreachable(config: Props): boolean {
  return config.deleteUnreachable === "true" || config.deleteUnreachable === true;
}
