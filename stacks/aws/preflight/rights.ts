import type { PreflightNeed } from "./need.ts";

/** Actions without which the first minutes of an `up` end, by what they make. */
const ALWAYS = [
  "ec2:CreateVpc",
  "ec2:CreateTags",
  "iam:CreateRole",
  "iam:PassRole",
  "kms:CreateKey",
];
const BY_SERVICE: Readonly<Record<string, readonly string[]>> = {
  eks: ["eks:CreateCluster", "eks:CreateAccessEntry", "eks:CreateNodegroup"],
  ec2: ["ec2:RunInstances"],
  elasticloadbalancing: ["elasticloadbalancing:CreateLoadBalancer"],
  rds: ["rds:CreateDBInstance"],
};

/** What IAM's simulator is asked about, for the services that the stack uses. */
export function actionsOf({ quotas }: PreflightNeed): string[] {
  const services = [...new Set(quotas.map(({ service }) => service))];
  return [...ALWAYS, ...services.flatMap((service) => BY_SERVICE[service] ?? [])].sort();
}
