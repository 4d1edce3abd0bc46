import type { Fault } from "../errors.ts";
import { type Admin, adminArnFor, adminOf, parseAdmin } from "./admins.ts";
import { ALLOWLIST_MAX, VERSION_NAMES, type VersionName } from "./catalog.ts";
import { overlaps, PRIVATE_RANGES, parseCidr, within } from "./cidr.ts";
import type { ClusterSettings } from "./settings.ts";

/** Ranges of the allow-list. */
export function checkAccess(settings: ClusterSettings, faults: Fault[]): string[] {
  const { access } = settings;
  if (access === "private" || (access === undefined && settings.adopt)) return [];
  if (access === undefined) {
    faults.push({
      setting: "cluster.access",
      problem: "is not set: nobody is said to reach the Kubernetes API",
      remedy:
        "Set it to {allowlist: [<your address>/32]}, or to private (then deploy from inside, or through fleet tunnel)",
    });
    return [];
  }
  const { allowlist } = access;
  const setting = "cluster.access.allowlist";
  if (allowlist.length === 0) {
    faults.push({
      setting,
      problem: "is empty: nobody would reach the Kubernetes API",
      remedy: "Add a CIDR, or set cluster.access to private",
    });
  }
  if (allowlist.length > ALLOWLIST_MAX) {
    faults.push({
      setting,
      problem: `has ${allowlist.length} CIDRs, and EKS takes ${ALLOWLIST_MAX}`,
      remedy: "Join neighbouring ranges",
    });
  }
  allowlist.forEach((cidr, i) => {
    const problem = allowFault(cidr);
    if (problem) faults.push({ setting: `${setting}[${i}]`, ...problem });
  });
  return [...new Set(allowlist)].sort();
}

function allowFault(cidr: string): Pick<Fault, "problem" | "remedy"> | null {
  const range = parseCidr(cidr);
  if (!range) {
    return { problem: `is ${cidr}, which is no IPv4 CIDR`, remedy: "Write it as 203.0.113.7/32" };
  }
  if (range.bits === 0) {
    return {
      problem: `is ${cidr}: everybody on the internet`,
      remedy: "Name the networks of administrators and CI, or set cluster.access to private",
    };
  }
  if (!range.exact) {
    return {
      problem: `is ${cidr}, which has address bits beyond its prefix`,
      remedy: `Write the network's own address before /${range.bits}`,
    };
  }
  if (PRIVATE_RANGES.some((network) => within(range, network))) {
    return {
      problem: `is ${cidr}, a private range, which EKS refuses here: it is never seen from the internet`,
      remedy:
        "Write the address that your network shows to the internet, or set cluster.access to private",
    };
  }
  return null;
}

/** Administrators, each once. Who deploys must be one of them. */
export function checkAdmins(
  settings: ClusterSettings,
  callerArn: string | undefined,
  faults: Fault[],
): Admin[] {
  const entries = !settings.adopt || settings.adopt.accessEntries;
  if (entries && settings.admins.length === 0) {
    faults.push({
      setting: "cluster.admins",
      problem: "is empty: nobody, not even who deploys, could use the cluster",
      remedy: `Add ${callerArn ? adminArnFor(callerArn) : "the ARN of the role that deploys"}`,
    });
    return [];
  }
  const admins: Admin[] = [];
  settings.admins.forEach((arn, i) => {
    const admin = parseAdmin(arn);
    if (!admin) {
      faults.push({
        setting: `cluster.admins[${i}]`,
        problem: `is ${arn}, which is no ARN of an IAM role or user`,
        remedy: arn.includes(":assumed-role/")
          ? `Write the role behind that session: ${adminArnFor(arn)} (with its path, if it has one)`
          : "Write it as arn:aws:iam::<account>:role/<name>",
      });
    } else if (!admins.some(({ key }) => key === admin.key)) admins.push(admin);
  });
  if (callerArn && entries && admins.length > 0 && !adminOf(callerArn, admins)) {
    faults.push({
      setting: "cluster.admins",
      problem: `does not name who deploys (${callerArn}), who could then create the cluster and nothing in it`,
      remedy: `Add ${adminArnFor(callerArn)}, or deploy as one of ${settings.admins.join(", ")}`,
    });
  }
  return admins;
}

/** One minor at a time, never back: EKS refuses anything else, after the plan looked fine. */
export function checkUpgrade(from: string | undefined, to: VersionName, faults: Fault[]): void {
  if (from === undefined || from === to) return;
  const minor = (version: string) => Number(version.split(".")[1]);
  const step = minor(to) - minor(from);
  if (step === 1) return;
  if (step < 0 || Number.isNaN(step)) {
    faults.push({
      setting: "cluster.version",
      problem: `is ${to}, and the cluster runs ${from}: EKS never goes back`,
      remedy: `Set it to ${from}`,
    });
    return;
  }
  const next = VERSION_NAMES.find((name) => minor(name) === minor(from) + 1);
  faults.push({
    setting: "cluster.version",
    problem: `is ${to}, and the cluster runs ${from}: EKS takes one minor at a time`,
    remedy: next
      ? `Set it to ${next}, run up, and then go on to ${to}`
      : `Upgrade it to 1.${minor(from) + 1} with AWS's own tools first: this version of the project does not know it`,
  });
}

/** /12 to /24, private, outside the VPC. Source: docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html. */
export function checkServices(cidr: string, vpcCidr: string | undefined, faults: Fault[]): void {
  const setting = "cluster.serviceCidr";
  const range = parseCidr(cidr);
  const vpc = vpcCidr === undefined ? null : parseCidr(vpcCidr);
  if (!range?.exact || range.bits < 12 || range.bits > 24) {
    faults.push({
      setting,
      problem: `is ${cidr}, which is no network of /12 to /24`,
      remedy: "Write it as 172.20.0.0/16",
    });
  } else if (!PRIVATE_RANGES.some((network) => within(range, network))) {
    faults.push({
      setting,
      problem: `is ${cidr}, which is not private`,
      remedy: "Choose one within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
    });
  } else if (vpc && overlaps(range, vpc)) {
    faults.push({
      setting,
      problem: `is ${cidr}, which overlaps the VPC's ${vpcCidr}`,
      remedy: "Choose another range, e.g. 10.100.0.0/16, or another network.cidr",
    });
  }
}
