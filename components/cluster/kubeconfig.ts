/** How a client gets a token: a command that prints a Kubernetes ExecCredential. Holds no secret. */
export interface TokenCommand {
  readonly command: string;
  readonly args: readonly string[];
}

/** Short-lived tokens of whoever runs it, or of a role that they take on. */
export function tokenCommand(cluster: {
  readonly name: string;
  readonly region: string;
  /** Role to take on; the caller's own identity when left out. */
  readonly roleArn?: string;
}): TokenCommand {
  const role = cluster.roleArn ? ["--role-arn", cluster.roleArn] : [];
  return {
    command: "aws",
    args: [
      "--region",
      cluster.region,
      "eks",
      "get-token",
      "--cluster-name",
      cluster.name,
      "--output",
      "json",
      ...role,
    ],
  };
}

/**
 * A kubeconfig as text, the same for the same cluster: no token is in it. `server` may be another than
 * the endpoint (a tunnel), whose certificate is then checked under the endpoint's name.
 */
export function kubeconfigOf(cluster: {
  readonly name: string;
  readonly endpoint: string;
  /** Base64, as EKS gives it. */
  readonly certificateAuthority: string;
  readonly token: TokenCommand;
  /** URL to connect to instead of the endpoint. */
  readonly server?: string;
}): string {
  const { name, endpoint, certificateAuthority, token, server } = cluster;
  const through = server
    ? { server, "tls-server-name": new URL(endpoint).hostname }
    : { server: endpoint };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      { name, cluster: { ...through, "certificate-authority-data": certificateAuthority } },
    ],
    users: [
      {
        name,
        user: {
          exec: {
            apiVersion: "client.authentication.k8s.io/v1beta1",
            command: token.command,
            args: token.args,
            interactiveMode: "Never",
          },
        },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
  });
}
