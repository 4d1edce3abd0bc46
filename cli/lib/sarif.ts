import type { Finding } from "../../policies/pack.ts";
import type { Policy } from "../../policies/policy.ts";
import { resourceOf } from "./policy-report.ts";

const LEVELS = { mandatory: "error", blocking: "error", advisory: "warning" } as const;

/** Line of the file in which a setting is written; undefined where it is not. */
export type PlaceOf = (setting: string) => { line: number; column: number } | undefined;

/**
 * Findings in SARIF 2.1.0, as code scanning of repositories reads it. Each stands at the setting that
 * decides it, or at the top of the stack's file; exceptions are suppressions with their reason.
 */
export function sarif(
  findings: readonly Finding[],
  {
    policies,
    file,
    version,
    place,
  }: {
    policies: readonly Policy[];
    file: string;
    version: string;
    place: PlaceOf;
  },
): object {
  const results = findings
    .filter(({ outcome }) => outcome !== "waits")
    .map((one) => {
      const at = place(one.setting);
      return {
        ruleId: one.policy,
        level: LEVELS[one.severity],
        message: { text: `${resourceOf(one.urn)}: ${one.found}. Do: ${one.fix}.` },
        locations: [
          {
            physicalLocation: {
              artifactLocation: { uri: file },
              region: { startLine: at?.line ?? 1, startColumn: at?.column ?? 1 },
            },
            logicalLocations: [{ fullyQualifiedName: one.urn, kind: "resource" }],
          },
        ],
        ...(one.outcome === "excepted"
          ? { suppressions: [{ kind: "external", justification: one.reason }] }
          : {}),
      };
    });
  return {
    $schema:
      "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "openclaw-fleet policies",
            semanticVersion: version,
            rules: policies.map(({ id, sentence, severity, fix }) => ({
              id,
              shortDescription: { text: sentence },
              help: { text: fix },
              defaultConfiguration: { level: LEVELS[severity] },
            })),
          },
        },
        results,
      },
    ],
  };
}
