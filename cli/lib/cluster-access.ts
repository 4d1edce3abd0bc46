import { CommandFailed } from "./errors.ts";

/** The parts of a kubeconfig that this project writes. */
export interface Kubeconfig {
  clusters: { name: string; cluster: { server: string; [more: string]: unknown } }[];
  users: { name: string; user: { exec: { command: string; args: string[] } } }[];
  contexts: { name: string; context: { cluster: string; user: string } }[];
  [more: string]: unknown;
}

/** A stack's cluster, as its outputs tell. */
export interface ClusterAccess {
  readonly name: string;
  readonly region: string;
  /** Name of its API, without scheme. */
  readonly host: string;
  /** Asks the AWS CLI for tokens; holds no secret. */
  readonly kubeconfig: Kubeconfig;
}

/** @throws CommandFailed when the stack has no cluster. */
export function clusterOf(
  stack: string,
  outputs: Readonly<Record<string, unknown>>,
): ClusterAccess {
  const { kubeconfig: given, target } = outputs;
  if (given === undefined) {
    const elsewhere = typeof target === "string" && target !== "eks";
    throw new CommandFailed(
      `Stack ${stack} has no Kubernetes cluster`,
      elsewhere ? `its target is ${target}` : "its cluster was not made yet",
      elsewhere ? undefined : `./fleet up --stack ${stack}`,
    );
  }
  const kubeconfig = (typeof given === "string" ? JSON.parse(given) : given) as Kubeconfig;
  const [cluster] = kubeconfig.clusters;
  const args = kubeconfig.users[0]?.user.exec.args ?? [];
  const region = args[args.indexOf("--region") + 1];
  if (!cluster || region === undefined) {
    throw new CommandFailed(
      `The kubeconfig of stack ${stack} has another form`,
      "it was recorded by another version of this project",
      `./fleet up --stack ${stack}`,
    );
  }
  const { hostname: host } = new URL(cluster.cluster.server);
  return { name: cluster.name, region, host, kubeconfig };
}
