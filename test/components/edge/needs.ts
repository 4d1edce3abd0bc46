import type { AwsContext } from "../../../components/context.ts";
import type { EdgeNeed } from "../../../components/edge/plan.ts";
import { edgeSettings } from "../../../components/edge/settings.ts";
import { LIFETIMES } from "../../../components/lifetime.ts";

type Settings = Parameters<typeof edgeSettings.parse>[0];

/** What a medium fleet on EKS needs, changed as a test wants it. */
export function needOf(changes: Partial<EdgeNeed> = {}, settings: Settings = {}): EdgeNeed {
  return {
    target: "eks",
    front: "alb",
    waf: true,
    nodes: ["a", "b", "c"],
    zones: 3,
    users: 1_000,
    turnsPerMonth: 1_500_000,
    turnsPerSecond: 100,
    domain: "chat.example.com",
    tlsRequired: true,
    certificateChosen: false,
    port: 18_789,
    ...changes,
    settings: edgeSettings.parse(settings),
  };
}

export const context: AwsContext = {
  fleet: "prod",
  region: "eu-central-1",
  accountId: "123456789012",
  zones: [
    { name: "eu-central-1a", id: "euc1-az2" },
    { name: "eu-central-1b", id: "euc1-az3" },
    { name: "eu-central-1c", id: "euc1-az1" },
  ],
  partition: "aws",
  lifetime: LIFETIMES.prod,
  tags: { fleet: "prod" },
};
