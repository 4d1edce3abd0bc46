import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { howToInstall, missingSessionTools } from "../../toolchain/session-tools.ts";
import { explainCloud } from "./cloud-errors.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import { CommandFailed } from "./errors.ts";
import { say } from "./terminal.ts";

/** A session opens within seconds; more is a machine that is gone or a network that drops. */
const OPEN_MS = 60_000;

/** Refuses when a program is missing, naming all that are. */
export function requireSessionTools(): void {
  const missing = missingSessionTools();
  if (missing.length === 0) return;
  throw new CommandFailed(
    `Not on PATH: ${missing.join(", ")}`,
    "a tunnel is a session of AWS Systems Manager, which these programs open",
    howToInstall(missing),
  );
}

/** Runs the AWS CLI and says so; its JSON. */
function askAws(args: string[]): unknown {
  say(`$ aws ${args.join(" ")}`);
  const { status, stdout, stderr } = spawnSync("aws", args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (status === 0) return JSON.parse(stdout || "{}");
  const { what, fix } = explainCloud(stderr);
  const known = !what.startsWith("the program ended");
  const said = stderr.trim().split("\n").at(-1) ?? "";
  throw new CommandFailed("AWS refused", known ? what : said, known ? fix : undefined);
}

/** A machine of the cluster that Systems Manager reaches. Any will do: all of them reach the API. */
export function findMachine({ name, region }: ClusterAccess): string {
  const answer = askAws([
    ...["ssm", "describe-instance-information", "--region", region, "--output", "json"],
    ...["--filters", `Key=tag:kubernetes.io/cluster/${name},Values=owned`],
  ]) as { InstanceInformationList?: { InstanceId: string; PingStatus: string }[] };
  const machines = answer.InstanceInformationList ?? [];
  const online = machines.filter(({ PingStatus }) => PingStatus === "Online");
  const [machine] = online.map(({ InstanceId }) => InstanceId).sort();
  if (machine !== undefined) return machine;
  throw new CommandFailed(
    `No machine of cluster ${name} can be reached through Systems Manager`,
    machines.length === 0
      ? "it knows none of them: there are no nodes yet, or they have no way to AWS"
      : `none of ${machines.length} is online`,
    "wait until the system nodes are up; the first up of a private cluster is run from inside the VPC, or with an allowlist that becomes private afterwards",
  );
}

export interface Session {
  readonly port: number;
  /** Resolves when the session is over, whoever ended it; with its last words. */
  readonly ended: Promise<string>;
  close(): Promise<void>;
}

/** Forwards a free local port through the machine to the cluster's API. */
export async function openSession(cluster: ClusterAccess, machine: string): Promise<Session> {
  const port = await freePort();
  const parameters = {
    host: [cluster.host],
    portNumber: ["443"],
    localPortNumber: [String(port)],
  };
  const args = [
    ...["ssm", "start-session", "--region", cluster.region, "--target", machine],
    ...["--document-name", "AWS-StartPortForwardingSessionToRemoteHost"],
    ...["--parameters", JSON.stringify(parameters)],
  ];
  say(`$ aws ${args.map((arg) => (/[{ ]/.test(arg) ? `'${arg}'` : arg)).join(" ")}`);
  // A group of its own, since the CLI starts the plugin: both end together, and not by Ctrl-C here.
  const child = spawn("aws", args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  let words = "";
  const listen = (part: Buffer) => {
    words = `${words}${part}`.slice(-4_000);
  };
  child.stdout.on("data", listen);
  child.stderr.on("data", listen);
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", () => resolve(words.trim()));
  });
  const close = async () => {
    stop(child);
    await ended;
  };
  try {
    await opened(port, ended);
  } catch (error) {
    await close();
    throw error;
  }
  return { port, ended, close };
}

async function opened(port: number, ended: Promise<string>): Promise<void> {
  let over: string | null = null;
  void ended.then((words) => {
    over = words;
  });
  const until = performance.now() + OPEN_MS;
  while (performance.now() < until) {
    if (over !== null) {
      const { what, fix } = explainCloud(over);
      const known = !what.startsWith("the program ended");
      const last = (over as string).split("\n").at(-1) || "it said nothing";
      throw new CommandFailed(
        "The session ended before it was open",
        known ? what : last,
        known ? fix : "you need ssm:StartSession on the machine and on the document named above",
      );
    }
    if (await answers(port)) return;
    await sleep(100);
  }
  throw new CommandFailed(
    `The session did not open within ${OPEN_MS / 1_000} s`,
    `nothing listens on port ${port}`,
    "look at the machine's SSM agent and at its way to AWS",
  );
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const done = (good: boolean) => {
      socket.destroy();
      resolve(good);
    };
    socket.once("connect", () => done(true));
    socket.once("error", () => done(false));
  });
}

function stop(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, "SIGTERM");
  } catch {
    // Gone in between.
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
