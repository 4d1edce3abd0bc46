import { get } from "node:http";
import type { ProbeResult } from "./types.ts";

/** No answer of this route is longer; another page would be. */
const MAX_BYTES = 16 * 1024;
const TIMEOUT_MS = 2_000;

/**
 * Asks a gateway on loopback for `/startupz`. The body decides: with its web interface on, OpenClaw
 * answers unknown paths with status 200 too.
 */
export function probeStartup(port: number, host = "127.0.0.1"): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const down = () => resolve("down");
    // A connection of its own each time: an idle one may be closed by the gateway at any moment.
    const request = get({ host, port, path: "/startupz", agent: false, timeout: TIMEOUT_MS });
    request.on("timeout", () => request.destroy());
    request.on("error", down);
    request.on("close", down);
    request.on("response", (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        body += part;
        if (body.length > MAX_BYTES) request.destroy();
      });
      response.on("error", down);
      response.on("end", () => resolve(readStartup(response.statusCode ?? 0, body)));
    });
  });
}

/** What status and body of `/startupz` mean. */
export function readStartup(status: number, body: string): ProbeResult {
  let said: unknown;
  try {
    said = (JSON.parse(body) as { status?: unknown } | null)?.status;
  } catch {
    return "down";
  }
  if (status === 200 && said === "started") return "started";
  if (status === 503 && (said === "starting" || said === "draining")) return said;
  return "down";
}
