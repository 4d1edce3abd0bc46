import { connect } from "node:tls";
import { CERTIFICATE_DAYS } from "../../components/watch/rules/front.ts";
import type { Check } from "./check.ts";

const DAY_MS = 86_400_000;
const PATIENCE_MS = 10_000;

/**
 * How long a certificate is good for yet. `ends`: ISO 8601, or anything else that a Date reads; `fix`: what makes
 * it anew.
 */
export function certificateCheck(
  id: string,
  { ends, fix, now = Date.now() }: { ends: string; fix: string; now?: number },
): Check {
  const at = Date.parse(ends);
  if (Number.isNaN(at)) return { id, state: "warn", text: `its end is not known: ${ends}`, fix };
  const days = Math.floor((at - now) / DAY_MS);
  const day = new Date(at).toISOString().slice(0, 10);
  const text = days < 0 ? `ended on ${day}` : `good until ${day}, ${days} days`;
  if (days >= CERTIFICATE_DAYS.soon) return { id, state: "ok", text };
  const why = "it should have been renewed; when it ends, nobody gets in there";
  return { id, state: days < CERTIFICATE_DAYS.now ? "fail" : "warn", text, why, fix };
}

/** The earliest end of what `certificatesExpire` says: one moment, or one for each host. Null: it says none. */
export function earliest(expires: unknown): string | null {
  const all = (typeof expires === "object" && expires !== null ? Object.values(expires) : [expires])
    .filter((value) => typeof value === "string")
    .sort((a, b) => Date.parse(a) - Date.parse(b));
  return all[0] ?? null;
}

/** What the fleet's own certificates, by a stack's outputs, and the one of its front are good for. */
export async function certificateChecks(
  stack: string,
  { certificatesExpire, endpoint }: Readonly<Record<string, unknown>>,
): Promise<Check[]> {
  const ends = earliest(certificatesExpire);
  const own =
    ends === null
      ? []
      : [certificateCheck("certificates", { ends, fix: `./fleet rotate-certs --stack ${stack}` })];
  if (typeof endpoint !== "string" || !endpoint.startsWith("https://")) return own;
  return [...own, await frontCheck(endpoint, 'docs/operations.md, "A certificate ends soon"')];
}

/** The certificate that people meet at an address, whoever signed it. Asks for nothing else. */
export async function frontCheck(endpoint: string, fix: string): Promise<Check> {
  const id = "front certificate";
  const { hostname, port } = new URL(endpoint);
  const host = hostname.replace(/^\[|\]$/g, "");
  try {
    return certificateCheck(id, { ends: await shownBy(host, Number(port || 443)), fix });
  } catch (error) {
    const text = `${endpoint} shows none: ${(error as Error).message}`;
    return { id, state: "warn", text, fix: `curl -sv ${endpoint}` };
  }
}

function shownBy(host: string, port: number): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    // Judged by its end alone: a fleet's own authority is trusted by nobody else.
    const socket = connect({ host, port, servername: servername(host), rejectUnauthorized: false });
    socket.setTimeout(PATIENCE_MS, () => {
      socket.destroy(new Error(`nothing came within ${PATIENCE_MS / 1_000} s`));
    });
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      resolve(socket.getPeerCertificate().valid_to);
      socket.destroy();
    });
  });
}

/** Names are told in the handshake, addresses must not be. */
const servername = (host: string): string => (/^[\d.]+$|:/.test(host) ? "" : host);
