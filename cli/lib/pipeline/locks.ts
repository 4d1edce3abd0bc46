import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { awaitNobody, describe, holderState, type OperationLock } from "../../operation-lock.ts";
import { askPulumi, type PulumiRunner } from "../../pulumi.ts";
import { CommandFailed } from "../errors.ts";

/** What is known of the run that holds a stack. */
export interface Holder extends OperationLock {
  /** `lost`: another machine's, and older than any run of ours lasts. */
  readonly state: "alive" | "dead" | "unknown" | "lost";
}

/**
 * Another machine's run of which nothing was heard for so long has ended: the jobs of our workflows end
 * after an hour at the latest.
 */
export const LOST_AFTER_MS = 2 * 3_600_000;

const LINE = /^\s+(\S+): created by (\S*)@(\S+) \(pid (\d+)\) at (\S+)$/;

/** Locks in Pulumi's words of a stack that is held. */
export function parseLocks(words: string): OperationLock[] {
  return words.split("\n").flatMap((line) => {
    const match = LINE.exec(line.trimEnd());
    if (!match) return [];
    const [, path = "", user = "", host = "", pid = "", at = ""] = match;
    return [{ path, user, host, pid: Number(pid), since: Date.parse(at) }];
  });
}

/**
 * Who holds a stack, in any backend that keeps locks (files, S3, …). Asked by making the stack once
 * more: Pulumi looks at the locks first, then refuses, since it is there; and it can read what our
 * credentials can, wherever that is. The stack must exist.
 */
export function holdersOf(
  { pulumi, env }: PulumiRunner,
  stack: string,
  { lostAfterMs = LOST_AFTER_MS, now = Date.now(), project = "openclaw-fleet" } = {},
): Holder[] {
  // In a folder of its own: Pulumi writes a salt into the stack's file before it looks.
  const folder = mkdtempSync(join(tmpdir(), "openclaw-fleet-locks-"));
  try {
    writeFileSync(join(folder, "Pulumi.yaml"), `name: ${project}\nruntime: nodejs\n`);
    const asking: NodeJS.ProcessEnv = { ...env, PULUMI_CONFIG_PASSPHRASE: "for nothing" };
    delete asking.PULUMI_CONFIG_PASSPHRASE_FILE;
    const run = spawnSync(
      pulumi,
      ["stack", "init", stack, "--secrets-provider", "passphrase", "--non-interactive"],
      { cwd: folder, env: asking, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
    );
    const words = `${run.stdout}\n${run.stderr}`;
    if (run.status === 0) {
      // Somebody removed the stack meanwhile, and this made it again.
      askPulumi({ pulumi, env: asking }, ["stack", "rm", stack, "--yes"], folder);
      return [];
    }
    if (/already exists/.test(words)) return [];
    const locks = parseLocks(words);
    if (locks.length === 0) {
      throw new CommandFailed(
        `Nobody can tell who holds ${stack}`,
        words.trim().split("\n").at(-1),
        `./fleet pulumi stack --stack ${stack} shows whether the backend can be reached`,
      );
    }
    return locks.map((lock) => ({ ...lock, state: stateOf(lock, now - lostAfterMs) }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A look costs a run of Pulumi. */
const LOOK_EVERY_MS = 5_000;

/**
 * Returns when no other run holds a stack whose locks are not files of this machine; waits for `waitMs` at most.
 * @throws CommandFailed that names the holder; at once when it has ended, since such a lock never goes by itself
 */
export async function awaitRelease(
  runner: PulumiRunner,
  verb: string,
  stack: string,
  waitMs: number,
): Promise<void> {
  await awaitNobody(verb, stack, { waitMs, everyMs: LOOK_EVERY_MS }, () => {
    const holders = holdersOf(runner, stack);
    const ended = holders.filter(({ state }) => state === "dead" || state === "lost");
    if (ended.length > 0) {
      throw new CommandFailed(
        `${verb} of ${stack} cannot begin: a run that has ended left it locked`,
        ended.map(describe).join("; "),
        `./fleet recover --stack ${stack} frees it`,
      );
    }
    return holders;
  });
}

function stateOf(lock: OperationLock, lostBefore: number): Holder["state"] {
  const state = holderState(lock);
  return state === "unknown" && lock.since < lostBefore ? "lost" : state;
}
