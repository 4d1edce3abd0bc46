import { onPath } from "../../toolchain/command.ts";
import { SESSION_TOOL_NAMES } from "../../toolchain/session-tools.ts";
import { SESSION_RIGHTS, sessionsMissing, usesSessions } from "../lib/host-sessions.ts";
import { rawSettings } from "../settings.ts";
import type { Check } from "./check.ts";

/** Can this machine call the hosts of a stack on EC2? No check for other stacks. Starts no session. */
export function sessionChecks(stack: string, env: NodeJS.ProcessEnv = process.env): Check[] {
  if (!usesSessions(stack)) return [];
  const id = "sessions";
  const why = `who deploys also needs ${SESSION_RIGHTS}; the deploy role of ./fleet bootstrap aws has them`;
  const missing = sessionsMissing(stack, env);
  if (missing) return [{ id, state: "fail", why, ...missing }];
  const found = SESSION_TOOL_NAMES.map((name) => onPath(name, env)).join(", ");
  const text = `of AWS Systems Manager, by ${found}`;
  const { assumeRoleArn } = (rawSettings(stack).aws ?? {}) as { assumeRoleArn?: unknown };
  if (assumeRoleArn === undefined) return [{ id, state: "ok", text, why }];
  return [
    {
      id,
      state: "warn",
      text,
      why: `the AWS CLI opens them as whoever it is here, and not as openclaw-fleet:aws.assumeRoleArn; ${why}`,
      fix: `let a profile of the AWS CLI assume ${assumeRoleArn}, and set AWS_PROFILE to it`,
    },
  ];
}
