import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { onPath } from "../../../toolchain/command.ts";
import { SentKeys } from "./keys.ts";
import { ACCOUNT_FILE, type Machine, readAccount } from "./machines.ts";

/**
 * `aws ec2-instance-connect send-ssh-public-key …` and `aws ssm start-session …` as the AWS CLI has them, for
 * machines that a file names (machines.ts). It refuses what AWS refuses, in AWS's words.
 */

/** Exit codes of the real one: docs.aws.amazon.com/cli/latest/userguide/cli-usage-returncodes.html. */
const USAGE = 252;
const SERVICE = 254;

const args = process.argv.slice(2);
const command = args.slice(0, 2).join(" ");
const file = process.env[ACCOUNT_FILE] ?? die(253, `${ACCOUNT_FILE} names no account`);
const account = readAccount(file);

if (option("--region") !== account.region) {
  die(
    SERVICE,
    `Could not connect to the endpoint URL: nothing of this account is in ${option("--region")}`,
  );
}
if (command === "ec2-instance-connect send-ssh-public-key") sendKey();
else if (command === "ssm start-session") startSession();
else die(USAGE, `aws: error: argument command: Invalid choice: ${command}`);

function sendKey(): void {
  const operation = "SendSSHPublicKey";
  const id = option("--instance-id");
  const user = option("--instance-os-user");
  allow("ec2-instance-connect", operation, id);
  const machine = account.machines[id];
  if (!machine) refuse("EC2InstanceNotFoundException", operation, `No instance ${id} was found.`);
  if ((machine.state ?? "running") !== "running") {
    refuse("EC2InstanceStateInvalidException", operation, `Instance ${id} is ${machine.state}.`);
  }
  const key = given(option("--ssh-public-key"));
  if (!/^ssh-(rsa|ed25519) [A-Za-z0-9+/]{40,}={0,3}( .*)?\n?$/.test(key)) {
    refuse("InvalidArgsException", operation, "The key is of no supported type.");
  }
  new SentKeys(file, account, id, machine).add(user, key);
  process.stdout.write(`${JSON.stringify({ RequestId: "00000000", Success: true })}\n`);
}

function startSession(): void {
  const operation = "StartSession";
  const id = option("--target");
  allow("ssm", operation, id);
  const document = option("--document-name");
  if (document !== "AWS-StartSSHSession") {
    refuse("InvalidDocument", operation, `Document with name ${document} does not exist.`);
  }
  const port = /^portNumber=(\d+)$/.exec(option("--parameters"))?.[1];
  if (port === undefined) refuse("InvalidParameters", operation, "portNumber is missing.");
  const machine = account.machines[id];
  if (!machine || machine.state === "stopped" || machine.online === false) {
    refuse("TargetNotConnected", operation, `${id} is not connected.`);
  }
  if (!onPath("session-manager-plugin")) {
    die(255, "SessionManagerPlugin is not found. Please refer to SessionManager Documentation.");
  }
  // What was sent too long ago counts no more.
  new SentKeys(file, account, id, machine).refresh();
  carry(machine);
}

/** Until one side ends. The machine's port stands for its port 22. */
function carry({ address, port }: Machine): void {
  const socket = connect(port, address);
  socket.on("error", (error) => die(1, `Cannot perform start session: ${error.message}`));
  socket.on("close", () => process.exit(0));
  process.stdout.on("error", () => process.exit(0));
  process.stdin.pipe(socket).pipe(process.stdout);
}

function allow(service: string, operation: string, id: string): void {
  const action = `${service}:${operation}`;
  if (!account.denied?.includes(action)) return;
  const who = "arn:aws:iam::000000000000:user/deployer";
  const what = `arn:aws:ec2:${account.region}:000000000000:instance/${id}`;
  const why = "because no identity-based policy allows the action";
  refuse(
    "AccessDeniedException",
    operation,
    `User: ${who} is not authorized to perform: ${action} on resource: ${what} ${why}`,
  );
}

function option(name: string): string {
  const at = args.indexOf(name);
  const value = at < 0 ? undefined : args[at + 1];
  return value ?? die(USAGE, `aws: error: the following arguments are required: ${name}`);
}

function given(value: string): string {
  return value.startsWith("file://") ? readFileSync(value.slice(7), "utf8") : value;
}

function refuse(code: string, operation: string, message: string): never {
  die(SERVICE, `\nAn error occurred (${code}) when calling the ${operation} operation: ${message}`);
}

function die(code: number, message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}
