import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { onPath } from "../../toolchain/command.ts";

/**
 * `session-proxy.ts --instance I --region R --user U --key FILE.pub --port N`: OpenSSH's ProxyCommand for a machine
 * that no port leads to. Has EC2 Instance Connect let the key in for a minute, then becomes a session of AWS Systems
 * Manager to the machine's sshd. IAM decides on both. Writes nothing of its own to its output, which is the
 * connection.
 */
const option = { type: "string", default: "" } as const;
const { values } = parseArgs({
  options: { instance: option, region: option, user: option, key: option, port: option },
});
const { instance, region, user, key, port } = values;

const aws = onPath("aws");
if (!aws || !process.execve) {
  console.error("session-proxy: the AWS CLI is not on PATH");
  process.exit(1);
}
const { status } = spawnSync(
  aws,
  [
    ...["ec2-instance-connect", "send-ssh-public-key", "--region", region],
    ...["--instance-id", instance, "--instance-os-user", user],
    ...["--ssh-public-key", `file://${key}`],
  ],
  { stdio: ["ignore", "ignore", "inherit"] },
);
if (status !== 0) process.exit(1);
process.execve(
  aws,
  [
    ...[aws, "ssm", "start-session", "--region", region, "--target", instance],
    ...["--document-name", "AWS-StartSSHSession", "--parameters", `portNumber=${port}`],
  ],
  process.env,
);
