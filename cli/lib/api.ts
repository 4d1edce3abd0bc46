import type { ErrorBody } from "../../gateway/contract.ts";
import { openDoor } from "../../gateway/doors.ts";
import { CommandFailed } from "./errors.ts";
import type { FleetAccess } from "./fleet.ts";

/** An error answer of the router, kept whole for `--json` and for decisions by code. */
export class ApiError extends CommandFailed {
  readonly status: number;
  readonly code: string;
  constructor(status: number, body: ErrorBody["error"]) {
    super(
      body.message,
      `the router answered ${status} ${body.code} (request ${body.requestId})`,
      body.retryable ? "try again" : undefined,
    );
    this.status = status;
    this.code = body.code;
  }
}

/**
 * What `ask` gets; null while no router answers, as when one hands its port over: whoever waits for what is stored
 * asks again. What a router answers with is thrown.
 */
export async function ifAnswered<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof CommandFailed && !(error instanceof ApiError)) return null;
    throw error;
  }
}

export interface CallOptions {
  method?: "GET" | "POST";
  body?: unknown;
  headers?: Record<string, string>;
  as: "client" | "admin" | "anyone";
  /** Milliseconds until the call is given up. */
  timeoutMs?: number;
}

/** The front that took a connection, by access. */
const open = new WeakMap<FleetAccess, string>();

/** Where to call: the first front that takes a connection, and the endpoint when none does. */
async function frontOf(access: FleetAccess): Promise<string> {
  const { endpoint, otherFronts = [] } = access;
  const known = open.get(access) ?? (await openDoor([endpoint, ...otherFronts]));
  if (known !== null) open.set(access, known);
  return known ?? endpoint;
}

/** One call to the router; any answer below 400 is returned unread. @throws ApiError, CommandFailed */
export async function call(
  access: FleetAccess,
  path: string,
  options: CallOptions,
): Promise<Response> {
  const headers: Record<string, string> = { ...options.headers };
  if (options.as === "client") headers.authorization = `Bearer ${access.token}`;
  if (options.as === "admin") headers.authorization = `Bearer ${access.adminToken}`;
  const { method = "GET", timeoutMs = 10_000 } = options;
  const init: RequestInit = { method, headers };
  if (options.body !== undefined) {
    headers["content-type"] = "application/json";
    init.body = JSON.stringify(options.body);
  }
  const front = await frontOf(access);
  let response: Response;
  try {
    response = await fetch(front + path, { ...init, signal: AbortSignal.timeout(timeoutMs) });
  } catch (error) {
    // Whether it arrived is not known, so it is not sent elsewhere; the next call looks anew.
    open.delete(access);
    throw unreachable(access, error as Error);
  }
  if (response.status < 400) return response;
  const text = await response.text();
  try {
    throw new ApiError(response.status, (JSON.parse(text) as ErrorBody).error);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new CommandFailed(
      `${front}${path} answered ${response.status}, and not as a fleet's router does`,
      text.slice(0, 200),
      `Look which program holds the port: ./fleet doctor --stack ${access.stack}`,
    );
  }
}

export async function callJson<T>(
  access: FleetAccess,
  path: string,
  options: CallOptions,
): Promise<T> {
  return (await (await call(access, path, options)).json()) as T;
}

function unreachable(access: FleetAccess, error: Error): CommandFailed {
  const timedOut = error.name === "TimeoutError";
  const cause = (error.cause as { code?: string } | undefined)?.code ?? error.message;
  return new CommandFailed(
    `No router of stack ${access.stack} answers at ${[access.endpoint, ...(access.otherFronts ?? [])].join(", ")}`,
    timedOut ? "it accepted the connection and stayed silent" : cause,
    howToFind(access),
  );
}

/** `up` starts processes on this machine; machines are started by whoever has them. */
function howToFind({ stack, target }: FleetAccess): string {
  const doctor = `./fleet doctor --stack ${stack}`;
  if (target === "hosts") {
    return `${doctor} looks at each host; docs/operations.md, "A host is lost", says what then`;
  }
  return `${doctor}, then ./fleet up --stack ${stack} (it starts what is not running)`;
}
