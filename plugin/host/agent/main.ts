import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { ApplyFailed, apply } from "./apply.ts";
import { drain } from "./drain.ts";
import { observe } from "./observe.ts";
import { AGENT_VERBS, type AgentLine, type AgentRequest } from "./protocol.ts";
import { secretKeeper } from "./redact.ts";
import { runCommand, type System } from "./system.ts";
import { remove } from "./take-away.ts";

/**
 * `host-agent.js [--root DIR]`: the half of `openclaw:host:Release` that runs on the host, as root. Reads one
 * request from its input and writes lines of JSON; see protocol.ts.
 */

/** Whoever started it must be seen to be there. */
const ALIVE_MS = 2_000;

const at = process.argv.indexOf("--root");
const root = at < 0 ? "/" : (process.argv[at + 1] ?? "/");
const request = requestIn(await text(process.stdin));

const gone = new AbortController();
const keep = secretKeeper("secrets" in request ? request.secrets : {});
const emit = (line: AgentLine): void => {
  if (gone.signal.aborted) return;
  const hide = (_: string, value: unknown) => (typeof value === "string" ? keep(value) : value);
  process.stdout.write(`${JSON.stringify(line, hide)}\n`);
};
// The connection ended: what is under way stops at its next safe moment.
process.stdout.on("error", () => gone.abort());
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => gone.abort());
}
const heart = setInterval(() => emit({ alive: true }), ALIVE_MS);

const system: System = {
  root,
  run: runCommand,
  say: (line) => emit({ say: line }),
  signal: gone.signal,
  now: () => performance.now(),
  sleep: async (ms) => void (await sleep(ms)),
};
try {
  emit({ done: await verb() });
} catch (error) {
  const restored = error instanceof ApplyFailed ? error.restored : request.verb === "observe";
  emit({ failed: { message: (error as Error).message, restored } });
  process.exitCode = 1;
} finally {
  clearInterval(heart);
}

function verb() {
  switch (request.verb) {
    case "observe":
      return observe(request, system);
    case "apply":
      return apply(request, system);
    case "drain":
      return drain(request, system);
    case "remove":
      return remove(request, system);
  }
}

/** Ends the process for what is no request. Nothing of the input is shown: secrets are in it. */
function requestIn(input: string): AgentRequest {
  try {
    const found = JSON.parse(input) as AgentRequest;
    if (!(AGENT_VERBS as readonly string[]).includes(found.verb)) {
      refuse(`its request is none of ${AGENT_VERBS.join(", ")}; it may be of a newer deployment`);
    }
    for (const field of ["fleet", "node"] as const) {
      if (typeof found[field] !== "string") refuse(`its request names no ${field}`);
    }
    return found;
  } catch {
    return refuse("its input is no request; the deployment starts it");
  }
}

function refuse(why: string): never {
  console.error(`host-agent: ${why}`);
  process.exit(2);
}
