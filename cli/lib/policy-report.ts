import type { Finding } from "../../policies/pack.ts";
import { paint } from "./terminal.ts";
import { columnsOf, wrap } from "./wrap.ts";

/**
 * What the policies came to. `refused`: something must be mended first; `budget`: only money is in the
 * way; `broken`: the preview failed for a reason of its own, and not everything was judged.
 */
export type PolicyVerdict = "passed" | "refused" | "budget" | "broken";

export interface PolicyReport {
  readonly stack: string;
  readonly verdict: PolicyVerdict;
  readonly policies: number;
  readonly counts: {
    readonly refused: number;
    readonly advisory: number;
    readonly excepted: number;
    readonly waiting: number;
  };
  readonly findings: readonly Finding[];
}

/** Sums up what the pack noted while Pulumi ended with `code`. */
export function reportOf(
  stack: string,
  noted: readonly Finding[],
  { code, policies }: { code: number; policies: number },
): PolicyReport {
  const findings = inOrder(distinct(noted));
  const refusing = findings.filter((one) => one.outcome === "found" && one.severity !== "advisory");
  const dear = refusing.length > 0 && refusing.every(({ policy }) => policy === "money-budget");
  const failed = code === 0 ? "passed" : "broken";
  const count = (is: (one: Finding) => boolean) => findings.filter(is).length;
  return {
    stack,
    verdict: refusing.length === 0 ? failed : dear ? "budget" : "refused",
    policies,
    counts: {
      refused: refusing.length,
      advisory: count((one) => one.outcome === "found" && one.severity === "advisory"),
      excepted: count(({ outcome }) => outcome === "excepted"),
      waiting: count(({ outcome }) => outcome === "waits"),
    },
    findings,
  };
}

/** Lines as the pack writes them, one finding each. */
export const parseFindings = (text: string): Finding[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Finding);

const distinct = (all: readonly Finding[]): Finding[] => [
  ...new Map(
    all.map((one) => [`${one.policy} ${one.urn} ${one.found} ${one.outcome}`, one]),
  ).values(),
];

/** What stops comes first. */
function inOrder(all: readonly Finding[]): Finding[] {
  const rank = ({ outcome, severity }: Finding) =>
    outcome !== "found" ? 3 : ["mandatory", "blocking", "advisory"].indexOf(severity);
  return [...all].sort((a, b) => rank(a) - rank(b) || a.policy.localeCompare(b.policy));
}

/** Type and name of a URN, as Pulumi's own display has them. */
export function resourceOf(urn: string): string {
  const [, , types = "", ...name] = urn.split("::");
  return `${types.split("$").at(-1)} ${name.join("::")}`.trim();
}

const MARKS = { mandatory: "✗", blocking: "✗", advisory: "!" } as const;

/** The report for people. */
export function policyText(report: PolicyReport): string {
  const found = report.findings.filter(({ outcome }) => outcome === "found");
  const excepted = report.findings.filter(({ outcome }) => outcome === "excepted");
  const width = columnsOf();
  const line = (text: string, indent: number) =>
    wrap(`${" ".repeat(indent)}${text}`, width, indent);
  return [
    headline(report),
    ...found.flatMap((one) => [
      "",
      `${paint(one.severity === "advisory" ? "yellow" : "red", `${MARKS[one.severity]} ${one.policy}`)}  ${one.severity}`,
      line(one.sentence, 2),
      line(`where:   ${resourceOf(one.urn)}`, 2),
      line(`found:   ${one.found}`, 2),
      ...(one.setting ? [line(`setting: ${one.setting}`, 2)] : []),
      line(`do:      ${one.fix}`, 2),
      line(`urn:     ${one.urn}`, 2),
    ]),
    ...(excepted.length > 0
      ? [
          "",
          "Excepted:",
          ...excepted.map((one) => line(`${one.policy}: ${resourceOf(one.urn)}: ${one.reason}`, 2)),
        ]
      : []),
  ].join("\n");
}

function headline({ stack, verdict, policies, counts }: PolicyReport): string {
  const words: Record<PolicyVerdict, string> = {
    passed: "passed",
    refused: "REFUSED",
    budget: "OVER BUDGET",
    broken: "NOT JUDGED: the preview failed",
  };
  const { refused, advisory, excepted, waiting } = counts;
  return `${stack}: ${words[verdict]} · ${policies} policies, ${refused} refused, ${advisory} advisory, ${excepted} excepted, ${waiting} judged again by up`;
}
