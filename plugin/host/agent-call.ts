import { HOST_PATHS } from "../../components/host/types.ts";
import {
  AGENT_PLACES,
  type AgentFailure,
  type AgentLine,
  type AgentRequest,
  type AgentResult,
  LOCKED,
} from "./agent/protocol.ts";
import type { ExecResult, HostShell } from "./shell.ts";

/** Waits this long for another change of the same host to end, s: one that nobody waits for ends by itself. */
const LOCK_WAIT_SECONDS = 60;

/** The agent did not do what was asked, in its own words. */
export class AgentError extends Error {
  override readonly name = "AgentError";
  /** Whether the host is as it was before. */
  readonly restored: boolean;
  constructor({ message, restored }: AgentFailure) {
    super(message);
    this.restored = restored;
  }
}

/** The release that holds the agent is not on the host. */
export class AgentMissing extends Error {
  override readonly name = "AgentMissing";
  /** Something of a fleet was made there. */
  readonly recorded: boolean;
  constructor(artifact: string, recorded: boolean) {
    super(
      `release ${artifact} is not on the host (${HOST_PATHS.releases}/${artifact}). ` +
        "Run refresh, then up: it is put there again",
    );
    this.recorded = recorded;
  }
}

/**
 * Runs the agent of a release on a host. It holds a lock there, so that two deployments never change a host
 * at once, and stops by itself when the connection ends.
 * @throws AgentError, AgentMissing, HostUnreachable, or the signal's reason
 */
export async function callAgent(
  shell: HostShell,
  artifact: string,
  request: AgentRequest,
  options: { readonly signal?: AbortSignal; readonly say?: (line: string) => void } = {},
): Promise<AgentResult> {
  const release = `${HOST_PATHS.releases}/${artifact}`;
  const lock = ["flock", "--timeout", String(LOCK_WAIT_SECONDS)];
  const code = ["--conflict-exit-code", String(LOCKED), AGENT_PLACES.lock];
  const agent = [`${release}/bin/node`, `${release}/runtime/host-agent.js`];
  const answer: { done?: AgentResult; failed?: AgentFailure } = {};
  const ran = await shell.exec([...lock, ...code, ...agent], {
    stdin: JSON.stringify(request),
    signal: options.signal,
    onLine(text) {
      const line = parsed(text);
      if (!line) return;
      if ("say" in line) options.say?.(line.say);
      else if ("done" in line) answer.done = line.done;
      else if ("failed" in line) answer.failed = line.failed;
    },
  });
  if (answer.done) return answer.done;
  if (answer.failed) throw new AgentError(answer.failed);
  if (ran.code === LOCKED) {
    throw new AgentError({
      message: `another change of this host is under way for more than ${LOCK_WAIT_SECONDS} s. Wait for it, then run the command again`,
      restored: true,
    });
  }
  throw await unanswered(shell, artifact, agent, ran);
}

async function unanswered(
  shell: HostShell,
  artifact: string,
  agent: readonly string[],
  ran: ExecResult,
): Promise<Error> {
  const there = async (path: string) => (await shell.exec(["test", "-e", path])).code === 0;
  for (const path of agent) {
    if (!(await there(path))) return new AgentMissing(artifact, await there(AGENT_PLACES.record));
  }
  const said = ran.stderr.trim().split("\n").slice(-5).join("\n") || "nothing";
  return new AgentError({
    message: `the program on the host ended without an answer (code ${ran.code}); it said: ${said}. Run the command again: it goes on from there`,
    restored: false,
  });
}

function parsed(text: string): AgentLine | null {
  try {
    return JSON.parse(text) as AgentLine;
  } catch {
    return null;
  }
}
