import type { World } from "../../standin/world.ts";

export const PRESETS = ["solo", "small", "medium", "enterprise"] as const;
export const TARGETS = ["ec2", "eks"] as const;
export type PresetName = (typeof PRESETS)[number];
export type TargetName = (typeof TARGETS)[number];

/** Zone that the account has beforehand. */
export const ZONE_NAME = "example.com";

/** Settings of a stack that deploys without questions. */
export function settingsObject(target: TargetName, preset: PresetName): Record<string, unknown> {
  return {
    target,
    preset,
    aws: { region: "eu-central-1", accountId: "123456789012" },
    domain: `fleet.${ZONE_NAME}`,
    dns: { zoneName: ZONE_NAME, checkDelegation: false },
    ...(target === "eks"
      ? {
          cluster: {
            admins: ["arn:aws:iam::123456789012:role/deployer"],
            access: { allowlist: ["203.0.113.7/32"] },
          },
        }
      : {}),
  };
}

/** The same as lines of a stack's file; later ones win, and undefined ones are left out. */
export function settingsOf(
  target: TargetName,
  preset: PresetName,
  more: Readonly<Record<string, unknown>> = {},
): string[] {
  return Object.entries({ ...settingsObject(target, preset), ...more })
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `openclaw-fleet:${key}: ${JSON.stringify(value)}`);
}

/** An account in use, with a zone and quotas for every preset. */
export function furnish(world: World, region = "eu-central-1"): void {
  const scope = { account: "123456789012", region, caller: "" };
  const id = "Z0123456789ABCDEFGHIJ";
  world.put({
    key: `${scope.account}|aws:route53/zone:Zone|${id}`,
    type: "aws:route53/zone:Zone",
    urn: "",
    id,
    scope,
    inputs: { name: ZONE_NAME },
    state: {
      name: ZONE_NAME,
      zoneId: id,
      arn: `arn:aws:route53:::hostedzone/${id}`,
      nameServers: ["ns-1.awsdns-1.example", "ns-2.awsdns-2.example"],
    },
    incarnation: 0,
    turn: 0,
  });
  world.settings = {
    quotas: {
      "ec2 L-1216C47A": 512,
      "ec2 L-34B43A08": 512,
      "ec2 L-DB2E81BA": 64,
      "ec2 L-3819A6DF": 64,
      "ec2 L-0263D0A3": 20,
    },
  };
}
