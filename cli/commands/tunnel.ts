import { spawn } from "node:child_process";
import { type Command, InvalidArgumentError } from "commander";
import { clusterOf } from "../lib/cluster-access.ts";
import { type ConnectProxy, connectProxy } from "../lib/connect-proxy.ts";
import { CommandFailed, UsageError } from "../lib/errors.ts";
import { withStack } from "../lib/options.ts";
import { findMachine, openSession, requireSessionTools, type Session } from "../lib/ssm-session.ts";
import { outputsOf } from "../lib/stack-outputs.ts";
import { say } from "../lib/terminal.ts";
import { checkStackName, preparePulumi, requireStack } from "../pulumi.ts";

interface Options {
  stack: string;
  port: number;
}

/** Resolves at the first signal that ends programs. */
function signalled(): { signal: Promise<NodeJS.Signals>; forget: () => void } {
  const signals: NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  let on: (signal: NodeJS.Signals) => void = () => undefined;
  const signal = new Promise<NodeJS.Signals>((resolve) => {
    on = resolve;
  });
  for (const each of signals) process.on(each, on);
  return {
    signal,
    forget: () => {
      for (const each of signals) process.removeListener(each, on);
    },
  };
}

async function tunnel(command: string[], { stack, port }: Options): Promise<void> {
  checkStackName(stack);
  if (process.env.HTTPS_PROXY || process.env.https_proxy) {
    throw new UsageError(
      "HTTPS_PROXY is set, and a tunnel sets it for itself: unset it, the tunnel does not go through another proxy",
    );
  }
  requireSessionTools();
  const runner = await preparePulumi({ release: false });
  requireStack(runner, stack);
  const cluster = clusterOf(stack, outputsOf(runner, stack));
  const session = await openSession(cluster, findMachine(cluster));
  try {
    const proxy = await listen(cluster.host, session.port, port);
    try {
      await use(command, session, proxy, cluster.host);
    } finally {
      await proxy.close();
    }
  } finally {
    await session.close();
  }
}

async function listen(host: string, tunnelPort: number, port: number): Promise<ConnectProxy> {
  try {
    return await connectProxy({ host, tunnelPort, port });
  } catch (error) {
    throw new CommandFailed(
      `Port ${port} cannot be opened`,
      (error as Error).message,
      "choose another with --port, or leave it out",
    );
  }
}

/** Runs the command in the tunnel, or holds it open until somebody ends it. */
async function use(
  command: string[],
  session: Session,
  proxy: ConnectProxy,
  host: string,
): Promise<void> {
  const url = `http://127.0.0.1:${proxy.port}`;
  const { signal, forget } = signalled();
  try {
    const lost = session.ended.then((words): never => {
      throw new CommandFailed(
        "The tunnel broke",
        words.split("\n").at(-1) || "the session ended by itself",
        "run the same command again; sessions without traffic end after 20 minutes",
      );
    });
    // It ends in any case; only before its time that is a fault.
    lost.catch(() => undefined);
    if (command.length > 0) return await Promise.race([run(command, url, signal), lost]);
    say(`fleet: a tunnel to ${host} is open until Ctrl-C. In another shell:`);
    process.stdout.write(`export HTTPS_PROXY=${url}\n`);
    await Promise.race([signal, lost]);
  } finally {
    forget();
  }
}

async function run(
  [program = "", ...args]: string[],
  url: string,
  signal: Promise<NodeJS.Signals>,
): Promise<void> {
  const env = {
    ...process.env,
    HTTPS_PROXY: url,
    // Pulumi's parts talk to each other on loopback.
    NO_PROXY: [process.env.NO_PROXY, "127.0.0.1", "localhost", "::1"].filter(Boolean).join(","),
  };
  const child = spawn(program, args, { stdio: "inherit", env });
  // Ctrl-C at a terminal reaches it by itself; a signal sent to this program alone is handed on.
  void signal.then((name) => {
    if (!(name === "SIGINT" && process.stdin.isTTY)) child.kill(name);
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", (error) =>
      reject(new CommandFailed(`${program} cannot be started`, error.message)),
    );
    child.once("close", (status) => resolve(status ?? 1));
  });
  if (code !== 0) throw new CommandFailed(`${program} ended with exit code ${code}`);
}

export function register(program: Command): void {
  withStack(program.command("tunnel"))
    .summary("reach a private cluster through AWS Systems Manager (eks)")
    .description(
      "Opens a way to the cluster's API and runs a command in it, or holds it open. Needs the AWS CLI and its session-manager-plugin.",
    )
    .option(
      "--port <number>",
      "local port of the proxy; a free one when left out",
      (given: string) => {
        const port = Number(given);
        if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
        throw new InvalidArgumentError("A port, 1 to 65535.");
      },
      0,
    )
    .argument("[command...]", "what to run in the tunnel, after --")
    .passThroughOptions()
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet tunnel --stack prod -- ./fleet up --stack prod\n  ./fleet tunnel --stack prod -- kubectl get nodes\n  ./fleet tunnel --stack prod",
    )
    .action(tunnel);
}
