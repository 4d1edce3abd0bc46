import { howToInstall, missingSessionTools } from "../../toolchain/session-tools.ts";
import type { HostSession } from "./shell.ts";

/** What was wrong with a way to a machine of EC2. */
export interface SessionFault {
  readonly what: string;
  readonly why: string;
  readonly fix: string;
  /** It may come right by itself: the machine boots. */
  readonly passes: boolean;
}

/** Rights that a session needs, by the operation that AWS names when it refuses. */
const RIGHTS: Readonly<Record<string, string>> = {
  SendSSHPublicKey: "ec2-instance-connect:SendSSHPublicKey on the machine",
  StartSession: "ssm:StartSession on the machine and on document AWS-StartSSHSession",
};

const SIGN_IN =
  "sign in (aws sso login, or aws configure) or export AWS_PROFILE, until `aws sts get-caller-identity` works";

/** Programs that are missing here for a session, as a fault; null: none. */
export function missingTools(env: NodeJS.ProcessEnv = process.env): SessionFault | null {
  const missing = missingSessionTools(env);
  if (missing.length === 0) return null;
  return {
    what: `not on PATH: ${missing.join(", ")}`,
    why: "it is reached through a session of AWS Systems Manager, which these programs open",
    fix: howToInstall(missing),
    passes: false,
  };
}

/**
 * What was wrong with a session, why, and what to do.
 * @param stderr what ssh and the AWS CLI wrote
 * @param said its last lines
 */
export function judgeSession(
  { instanceId, region }: HostSession,
  { stderr, said, user }: { stderr: string; said: string; user: string },
): SessionFault {
  const refused = /An error occurred \((\w+)\) when calling the (\w+) operation: .*/.exec(stderr);
  const [words = said, code = "", operation = ""] = refused ?? [];
  const by = `--instance-id ${instanceId} --region ${region}`;
  const fault = (what: string, fix: string, passes = false): SessionFault => ({
    what,
    why: words || "it did not answer in time",
    fix,
    passes,
  });
  if (/AccessDenied|AuthException|Unauthorized|NotAuthorized/i.test(code)) {
    const right = RIGHTS[operation] ?? operation;
    return fault(
      `AWS refused ${operation} on ${instanceId}`,
      `let who runs this have ${right}; ${SIGN_IN} as somebody who has it`,
    );
  }
  if (/InstanceNotFound|InvalidInstance|InvalidTarget/.test(code)) {
    return fault(
      `there is no machine ${instanceId} in ${region}`,
      "it was ended or exchanged: ./fleet refresh shows that, ./fleet up goes on with the machine that is there",
    );
  }
  if (/SessionManagerPlugin is not found/i.test(stderr)) {
    return fault("session-manager-plugin was not found", howToInstall(["session-manager-plugin"]));
  }
  if (code === "TargetNotConnected") {
    return fault(
      `${instanceId} is not online in AWS Systems Manager`,
      "a machine that has just begun needs some minutes: run the command again. Otherwise see " +
        `\`aws ec2 get-console-output --latest ${by}\`, and whether the machine has a way to AWS`,
      true,
    );
  }
  if (code === "EC2InstanceStateInvalidException") {
    return fault(
      `${instanceId} does not run`,
      `start it (\`aws ec2 start-instances --instance-ids ${instanceId} --region ${region}\`), or wait until it has begun`,
      true,
    );
  }
  if (/Unable to locate credentials|expired|token|credential|config profile/i.test(words)) {
    return fault("AWS does not know who you are", SIGN_IN);
  }
  const shell = `\`aws ssm start-session --target ${instanceId} --region ${region}\``;
  if (/permission denied/i.test(stderr)) {
    return fault(
      `${instanceId} refused user ${user}`,
      `its sshd must ask EC2 Instance Connect for keys (package ec2-instance-connect). ${shell} opens a shell there`,
      true,
    );
  }
  return fault(
    `${instanceId} cannot be reached`,
    `check that it is on, and that ${shell} opens a shell there`,
    true,
  );
}
