import { onPath } from "./command.ts";

/** Programs that open a session of AWS Systems Manager, and where each is had. */
const SESSION_TOOLS = {
  aws: "the AWS CLI, version 2: docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
  "session-manager-plugin":
    "its plugin for sessions: docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html",
} as const;

export type SessionTool = keyof typeof SESSION_TOOLS;

/** All of them, by the name under which they are called. */
export const SESSION_TOOL_NAMES = Object.keys(SESSION_TOOLS) as readonly SessionTool[];

/** Those that are not on PATH. */
export function missingSessionTools(env: NodeJS.ProcessEnv = process.env): SessionTool[] {
  return SESSION_TOOL_NAMES.filter((name) => !onPath(name, env));
}

/** `install the AWS CLI, version 2: …; and its plugin for sessions: …`. */
export function howToInstall(names: readonly SessionTool[]): string {
  return `install ${names.map((name) => SESSION_TOOLS[name]).join("; and ")}`;
}
