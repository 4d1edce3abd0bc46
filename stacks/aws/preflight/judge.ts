import { adminOf, parseAdmin } from "../../../components/cluster/admins.ts";
import type { Zone } from "../../../components/context.ts";
import { ConfigError } from "../../../components/errors.ts";
import { chooseZones, type Offering } from "../../../components/network/zones.ts";
import { SAMPLE_ACCOUNT, SERVICE_ROLE_FACTS } from "./catalog.ts";
import { judgeQuotas } from "./judge-quotas.ts";
import type { Answers, PreflightCheck, PreflightNeed } from "./need.ts";

/**
 * What stands in the way of a stack, all of it at once. Pure: needs and answers in, checks out. What
 * could not be asked is `unknown`, never passed.
 */
export function judge(need: PreflightNeed, answers: Answers): PreflightCheck[] {
  const account = judgeAccount(need, answers);
  // In another account every other answer is about something else.
  if (account.state === "fail") return [account];
  return [
    account,
    ...(need.admins ? [judgeAdmins(need.admins, answers)] : []),
    ...(need.zones ? [judgeZones(need, need.zones, answers)] : []),
    ...judgeRoles(need, answers),
    ...judgeQuotas(need, answers),
    ...(answers.refused ? [judgeRights(answers.refused)] : []),
  ];
}

function judgeAccount({ accountId, region }: PreflightNeed, { caller }: Answers): PreflightCheck {
  const id = "account";
  if ("value" in caller && caller.value.accountId === accountId) {
    return { id, state: "ok", text: `${accountId} in ${region}, as ${caller.value.arn}` };
  }
  if (accountId === SAMPLE_ACCOUNT) {
    return {
      id,
      state: "fail",
      text: `${accountId} is the account of the samples, nobody's`,
      fix: "write your own as openclaw-fleet:aws.accountId; aws sts get-caller-identity shows it",
    };
  }
  if ("unknown" in caller) {
    return {
      id,
      state: "unknown",
      text: `${accountId} in ${region}, and who deploys is unknown`,
      why: caller.unknown,
      fix: "aws sts get-caller-identity",
    };
  }
  const { accountId: found, arn } = caller.value;
  return {
    id,
    state: "fail",
    text: `your identity ${arn} is in account ${found}, and the stack is for ${accountId}`,
    fix: "choose the right profile (AWS_PROFILE), set openclaw-fleet:aws.assumeRoleArn, or correct openclaw-fleet:aws.accountId",
  };
}

function judgeAdmins(arns: readonly string[], { caller }: Answers): PreflightCheck {
  const id = "admins";
  const admins = arns.map(parseAdmin).filter((admin) => admin !== null);
  if ("unknown" in caller) {
    return {
      id,
      state: "unknown",
      text: `cluster.admins names ${arns.length}, and who deploys is unknown`,
      why: caller.unknown,
      fix: "aws sts get-caller-identity",
    };
  }
  const { arn } = caller.value;
  const admin = adminOf(arn, admins);
  if (admin) return { id, state: "ok", text: `who deploys is in cluster.admins (${admin.arn})` };
  return {
    id,
    state: "fail",
    text: `cluster.admins does not name who deploys (${arn})`,
    why: "the cluster could be made, and nothing in it",
    fix: `add ${arn} to openclaw-fleet:cluster.admins, or deploy as one of them`,
  };
}

function judgeZones(
  need: PreflightNeed,
  { count, pinned, stood }: NonNullable<PreflightNeed["zones"]>,
  { zones, offerings }: Answers,
): PreflightCheck {
  const id = "zones";
  if ("unknown" in zones) {
    const fix = `aws ec2 describe-availability-zones --region ${need.region}`;
    return { id, state: "unknown", text: "which zones there are", why: zones.unknown, fix };
  }
  const known: Offering[] = [];
  const silent: string[] = [];
  for (const instanceType of need.instanceTypes) {
    const answer = offerings[instanceType];
    if (answer && "value" in answer) known.push({ instanceType, zoneIds: answer.value });
    else silent.push(instanceType);
  }
  let chosen: Zone[];
  try {
    const { region } = need;
    const wish = { region, count, pinned, stood };
    chosen = chooseZones({ ...wish, offered: zones.value, offerings: known });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const said = error.faults.map(({ setting, problem }) => `${setting} ${problem}`).join("\n");
    const fix = [...new Set(error.faults.map(({ remedy }) => remedy))].join("; ");
    return { id, state: "fail", text: said, fix };
  }
  const ids = chosen.map((zone) => zone.id).join(", ");
  const types = known.length > 0 ? `, each with ${need.instanceTypes.join(", ")}` : "";
  if (silent.length > 0) {
    const answer = offerings[silent[0] as string];
    return {
      id,
      state: "unknown",
      text: `${ids}, and whether they have ${silent.join(", ")} is unknown`,
      ...(answer && "unknown" in answer ? { why: answer.unknown } : {}),
      fix: `aws ec2 describe-instance-type-offerings --region ${need.region} --location-type availability-zone-id --filters Name=instance-type,Values=${silent.join(",")}`,
    };
  }
  if (pinned) return { id, state: "ok", text: `${ids}${types}` };
  return {
    id,
    state: "warn",
    text: `${ids}${types}, chosen now and not written down`,
    why: "another choice later would make subnets anew",
    fix: `write openclaw-fleet:aws.zones: [${ids}]`,
  };
}

/** Roles that must be there first, one check each; those that AWS makes by itself, one for all. */
function judgeRoles(need: PreflightNeed, { serviceRoles }: Answers): PreflightCheck[] {
  if (need.serviceRoles.length === 0) return [];
  const facts = need.serviceRoles.map((name) => SERVICE_ROLE_FACTS[name]);
  const make = (service: string) =>
    `aws iam create-service-linked-role --aws-service-name ${service}`;
  if ("unknown" in serviceRoles) {
    return [
      {
        id: "service roles",
        state: "unknown",
        text: `whether ${facts.map(({ role }) => role).join(", ")} are there`,
        why: serviceRoles.unknown,
        fix: "aws iam list-roles --path-prefix /aws-service-role/",
      },
    ];
  }
  const missing = facts.filter(({ role }) => !serviceRoles.value.includes(role));
  const first = missing.filter(({ before }) => before);
  const later = missing.filter(({ before }) => !before);
  if (missing.length === 0) {
    return [
      { id: "service roles", state: "ok", text: `${facts.length} of ${facts.length} are there` },
    ];
  }
  return [
    ...first.map(({ role, service }): PreflightCheck => {
      const text = `${role} is not there, and must be before the first resource`;
      return { id: "service roles", state: "fail", text, fix: make(service) };
    }),
    ...(later.length > 0
      ? [
          {
            id: "service roles",
            state: "warn" as const,
            text: `${later.map(({ role }) => role).join(", ")}: not there yet; AWS makes them at their first use`,
            why: "who deploys needs iam:CreateServiceLinkedRole for that",
            fix: `nothing, or make them yourself: ${later.map(({ service }) => make(service)).join("; ")}`,
          },
        ]
      : []),
  ];
}

/** IAM's simulator knows no organization policies and no conditions of ours, so its no is a warning. */
function judgeRights(refused: NonNullable<Answers["refused"]>): PreflightCheck {
  const id = "rights";
  if ("unknown" in refused) {
    return {
      id,
      state: "unknown",
      text: "what who deploys may do",
      why: refused.unknown,
      fix: "allow iam:SimulatePrincipalPolicy, or see what up says",
    };
  }
  if (refused.value.length === 0) {
    return { id, state: "ok", text: "IAM's simulator refuses nothing that was asked" };
  }
  return {
    id,
    state: "warn",
    text: `IAM's simulator refuses ${refused.value.join(", ")}`,
    why: "it knows no conditions such as a permissions boundary, so some may be allowed after all",
    fix: "deploy with the role that ./fleet bootstrap aws makes, or allow these actions",
  };
}
