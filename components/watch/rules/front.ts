import { AT, HOST_JOBS } from "../catalog.ts";
import type { HostsFacts } from "../facts.ts";
import { metric } from "../metrics.ts";
import type { RuleGroup } from "./types.ts";

const DAY_SECONDS = 86_400;
/** Certificates are renewed a month (ACME) or more before: one this near its end was not. */
export const CERTIFICATE_DAYS = { soon: 14, now: 3 } as const;

const left = `${metric("probe_ssl_earliest_cert_expiry")} - time()`;

/** What people reach, as they reach it. */
export function frontRules({ frontAuthority }: Pick<HostsFacts, "frontAuthority">): RuleGroup {
  const trust = frontAuthority === null ? "" : ` --cacert ${frontAuthority}`;
  return {
    name: "openclaw-front",
    alerts: [
      {
        name: "FrontDown",
        expr: `${metric("probe_success", { job: HOST_JOBS.front })} == 0`,
        forSeconds: 120,
        severity: "critical",
        summary: "{{ $labels.instance }} does not answer as people ask it",
        effect: "People who come that way get errors.",
        command: `curl -sv${trust} {{ reReplaceAll "^(.+)${AT}(.+)$" "--connect-to ::$2 $1" $labels.instance }}`,
        runbook: "the-front-does-not-answer",
      },
      {
        name: "CertificateExpiresSoon",
        expr: `${left} < ${CERTIFICATE_DAYS.soon * DAY_SECONDS}`,
        forSeconds: 3600,
        severity: "warning",
        summary:
          "The certificate at {{ $labels.instance }} ends in {{ $value | humanizeDuration }}",
        effect: "It should have been renewed; when it ends, nobody gets in there.",
        command: "./fleet doctor",
        runbook: "a-certificate-ends-soon",
      },
      {
        name: "CertificateExpires",
        expr: `${left} < ${CERTIFICATE_DAYS.now * DAY_SECONDS}`,
        forSeconds: 300,
        severity: "critical",
        summary:
          "The certificate at {{ $labels.instance }} ends in {{ $value | humanizeDuration }}",
        effect: "When it ends, nobody gets in there.",
        command: "./fleet doctor",
        runbook: "a-certificate-ends-soon",
      },
    ],
  };
}
