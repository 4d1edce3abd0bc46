import { request } from "node:http";
import type { NodeId } from "../contract.ts";

export type Probe =
  /** A router of this fleet answered. */
  | "ours"
  /** Something answered that is not of this fleet. */
  | "foreign"
  /** Nothing answered in time. */
  | "silent";

export interface ProbeAnswer {
  probe: Probe;
  /** The node whose router answered; null unless it is of this fleet. */
  node: NodeId | null;
}

/** Asks whoever holds the port for its fleet. A wildcard address is asked on loopback. */
export function probeHolder(
  host: string,
  port: number,
  fleet: string,
  timeoutMs: number,
): Promise<ProbeAnswer> {
  const target = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return new Promise((resolve) => {
    const req = request(
      { host: target, port, path: "/healthz", agent: false, headers: { connection: "close" } },
      (res) => {
        let text = "";
        res.setEncoding("utf8");
        res.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > 16_384) finish("foreign");
        });
        res.on("end", () => {
          const said = parse(text);
          if (said.fleet !== fleet) finish("foreign");
          else finish("ours", typeof said.instanceId === "string" ? said.instanceId : null);
        });
        res.on("error", () => finish("silent"));
      },
    );
    const timer = setTimeout(() => finish("silent"), timeoutMs);
    const finish = (probe: Probe, node: NodeId | null = null) => {
      clearTimeout(timer);
      resolve({ probe, node });
      req.destroy();
    };
    req.on("error", (error: Error & { code?: string }) => {
      // It spoke, but not HTTP: that is an answer.
      finish(error.code?.startsWith("HPE_") ? "foreign" : "silent");
    });
    req.end();
  });
}

function parse(text: string): { fleet?: unknown; instanceId?: unknown } {
  try {
    return (JSON.parse(text) as { fleet?: unknown } | null) ?? {};
  } catch {
    return {};
  }
}
