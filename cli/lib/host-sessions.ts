import {
  howToInstall,
  missingSessionTools,
  SESSION_TOOL_NAMES,
} from "../../toolchain/session-tools.ts";
import { rawSettings } from "../settings.ts";
import { makesFleet } from "./cloud-status.ts";
import { targetOf } from "./fleet-place.ts";

/** What who deploys may need to be given, for a way to machines that no port leads to. */
export const SESSION_RIGHTS =
  "ssm:StartSession on the stack's machines and on document AWS-StartSSHSession, ssm:TerminateSession, ec2-instance-connect:SendSSHPublicKey for user ubuntu";

/** Whether this stack's hosts are reached through sessions of AWS Systems Manager. */
export function usesSessions(stack: string): boolean {
  return targetOf(stack) === "ec2" && makesFleet(rawSettings(stack).layers);
}

/** What is missing here for calling the hosts of this stack, with what to do; null when nothing is. */
export function sessionsMissing(
  stack: string,
  env?: NodeJS.ProcessEnv,
): { text: string; fix: string } | null {
  if (!usesSessions(stack)) return null;
  const missing = missingSessionTools(env);
  if (missing.length === 0) return null;
  return {
    text: `not on PATH: ${missing.join(", ")}; hosts are reached through sessions of AWS Systems Manager, for which ${SESSION_TOOL_NAMES.join(" and ")} are needed`,
    fix: howToInstall(missing),
  };
}
