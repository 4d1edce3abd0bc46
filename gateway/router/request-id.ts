import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { HEADER } from "../contract.ts";

/** The client's own id of a request, if it is one that can go into logs; else a new one. */
export function requestIdOf(req: IncomingMessage): string {
  const given = req.headers[HEADER.requestId];
  return typeof given === "string" && /^[\w.:+/=-]{1,128}$/.test(given) ? given : randomUUID();
}
