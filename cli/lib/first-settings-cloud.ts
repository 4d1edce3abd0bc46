import type { Answers } from "./first-settings.ts";
import { setting, unset } from "./setting-lines.ts";

/** Where on AWS, under which name, at which price, and for eks who reaches the cluster. */
export function awsLines(answers: Answers, target: "ec2" | "eks"): string[] {
  const { account = "", region = "", domain } = answers;
  return [
    "  openclaw-fleet:aws:",
    `    region: ${region}`,
    `    accountId: ${JSON.stringify(account)} # every other account is refused`,
    domain === undefined
      ? unset(
          "domain",
          "chat.example.com",
          "in a zone of yours on Route 53; unset: no certificate that everybody trusts",
        )
      : setting("domain", domain, "in a zone of yours on Route 53"),
    ...budgetLines(answers),
    ...(target === "eks" ? clusterLines(answers) : []),
    "  pulumi:disable-default-providers: # nothing goes to another account or cluster by mistake",
    "    - aws",
    ...(target === "eks" ? ["    - kubernetes"] : []),
  ];
}

function budgetLines({ budget }: Answers): string[] {
  if (budget === undefined) {
    return [unset("budgetMonthlyUsd", "500", "a plan that costs more is refused")];
  }
  return [setting("budgetMonthlyUsd", budget, "a plan that costs more is refused")];
}

function clusterLines({ admin = [], allow = [] }: Answers): string[] {
  const access =
    allow.length === 1 && allow[0] === "private"
      ? ["    access: private # the Kubernetes API, from inside or through ./fleet tunnel"]
      : [
          "    access:",
          "      allowlist: # who reaches the Kubernetes API",
          ...allow.map((cidr) => `        - ${cidr}`),
        ];
  return [
    "  openclaw-fleet:cluster:",
    ...access,
    "    admins: # full rights in the cluster; who deploys is one of them",
    ...admin.map((arn) => `      - ${arn}`),
  ];
}

/** Machines that exist. */
export function hostLines(answers: Answers): string[] {
  const { host = [], hostPrice, domain } = answers;
  return [
    "  openclaw-fleet:hosts: # reached over SSH, with sudo",
    ...host.map((each, i) => {
      const { user, address } = splitHost(each);
      return `    - { name: ${String.fromCharCode(97 + i)}, address: ${JSON.stringify(address)}, user: ${user} }`;
    }),
    ...(domain === undefined ? [] : [setting("domain", domain, "points to these hosts")]),
    ...(hostPrice === undefined
      ? []
      : [
          "  openclaw-fleet:sizes:",
          `    hostMonthlyUsd: ${hostPrice} # what one host costs you, for ./fleet plan`,
        ]),
    ...(answers.budget === undefined ? [] : budgetLines(answers)),
  ];
}

/** `root@192.0.2.1`; without a user it is root. */
export function splitHost(host: string): { user: string; address: string } {
  const at = host.lastIndexOf("@");
  return at < 0
    ? { user: "root", address: host }
    : { user: host.slice(0, at), address: host.slice(at + 1) };
}
