import * as pulumi from "@pulumi/pulumi";
import type { FleetInputs } from "./fleet-inputs.ts";
import type { ArtifactInputs } from "./host/artifact.ts";
import type { CredentialsInputs } from "./host/credentials.ts";
import type { DrainedInputs } from "./host/drained.ts";
import type { FleetReadyInputs } from "./host/fleet-ready.ts";
import type { ReleaseInputs } from "./host/release-inputs.ts";
import type { HostConnection } from "./host/shell.ts";
import type { GoneInputs } from "./kube/gone.ts";
import type { NodeInputs } from "./node.ts";

type Inputs<T> = { [K in keyof T]: pulumi.Input<T[K]> };

/** Data directory, configuration, lease store and tokens of a fleet on this machine. */
export class Fleet extends pulumi.CustomResource {
  declare readonly clientTokens: pulumi.Output<string[]>;
  declare readonly adminToken: pulumi.Output<string>;

  constructor(
    name: string,
    args: Inputs<Omit<FleetInputs, SecretBearing>> & Record<SecretBearing, unknown>,
    opts: pulumi.CustomResourceOptions = {},
  ) {
    const outputs = { clientTokens: undefined, adminToken: undefined, peerToken: undefined };
    super(
      "openclaw:local:Fleet",
      name,
      { ...args, ...outputs, revision: undefined },
      {
        ...opts,
        additionalSecretOutputs: Object.keys(outputs),
      },
    );
  }
}
/** Inputs that may hold secrets at any depth. */
type SecretBearing = "agents" | "models" | "openclaw" | "tokens";

/** One node of a fleet on this machine: router, supervisor and its share of the gateways. */
export class Node extends pulumi.CustomResource {
  /** `running`, or why not. */
  declare readonly state: pulumi.Output<string>;

  constructor(name: string, args: Inputs<NodeInputs>, opts: pulumi.CustomResourceOptions = {}) {
    super("openclaw:local:Node", name, { ...args, state: undefined }, opts);
  }
}

/** Tokens, passwords, keys and certificates of a fleet on several hosts, made once and kept in the state. */
export class Credentials extends pulumi.CustomResource {
  /** By the names that plans of hosts use. */
  declare readonly secrets: pulumi.Output<Record<string, string>>;
  /** What to trust, PEM: one certificate, or two while one follows the other. */
  declare readonly caCertificate: pulumi.Output<string>;
  /** When each certificate ends, ISO 8601. */
  declare readonly expires: pulumi.Output<Record<string, string>>;

  constructor(
    name: string,
    args: Inputs<Omit<CredentialsInputs, "tokens">> & { readonly tokens: unknown },
    opts: pulumi.CustomResourceOptions = {},
  ) {
    const outputs = { secrets: undefined, kept: undefined };
    super(
      "openclaw:host:Credentials",
      name,
      { ...args, ...outputs, caCertificate: undefined, expires: undefined },
      { ...opts, additionalSecretOutputs: Object.keys(outputs) },
    );
  }
}

/** A release on one host, unpacked and checked. What it needs of the host is looked at first. */
export class HostArtifact extends pulumi.CustomResource {
  /** Id of the release. */
  declare readonly artifact: pulumi.Output<string>;
  /** How the host is reached. */
  declare readonly host: pulumi.Output<HostConnection>;
  /** `whole`, or what is wrong with it. */
  declare readonly condition: pulumi.Output<string>;
  /** The host's public key, as first seen. */
  declare readonly hostKey: pulumi.Output<string>;
  /** The release before this one, which stays on the host; empty: none. */
  declare readonly previous: pulumi.Output<string>;

  constructor(name: string, args: Inputs<ArtifactInputs>, opts: pulumi.CustomResourceOptions = {}) {
    const made = {
      condition: undefined,
      hostKey: undefined,
      previous: undefined,
      parts: undefined,
    };
    // Both would use the same folder of the same machine.
    const options = { deleteBeforeReplace: true, ...opts };
    super("openclaw:host:Artifact", name, { ...args, ...made }, options);
  }
}

/**
 * A node is emptied before its machine is stopped or exchanged: an update with another `machine` does that, all
 * else does nothing. The machine depends on it, and it on the release of the host that changes before.
 */
export class HostDrained extends pulumi.CustomResource {
  /** Another one each time the node was emptied; belongs into `machine.drained` of its release. */
  declare readonly drained: pulumi.Output<string>;

  constructor(name: string, args: Inputs<DrainedInputs>, opts: pulumi.CustomResourceOptions = {}) {
    const options = { ...opts, additionalSecretOutputs: ["adminToken"] };
    const inputs = { ...args, adminToken: pulumi.secret(args.adminToken) };
    super("openclaw:host:Drained", name, { ...inputs, drained: undefined }, options);
  }
}

/** One host as its plan says. Depends on its release's artifact, and on the host that changes before it. */
export class HostRelease extends pulumi.CustomResource {
  /** What refresh found to be another than planned, by what it is. */
  declare readonly drift: pulumi.Output<Record<string, string>>;
  /** Another one after each change of the host. */
  declare readonly revision: pulumi.Output<string>;
  /** Its public host key, as first seen. */
  declare readonly hostKey: pulumi.Output<string>;

  constructor(
    name: string,
    args: Inputs<Omit<ReleaseInputs, "host">> & { readonly host: Inputs<ReleaseInputs["host"]> },
    opts: pulumi.CustomResourceOptions = {},
  ) {
    const made = { state: undefined, drift: undefined, revision: undefined, hostKey: undefined };
    // A host whose part is replaced is the same machine: the old part has to go first.
    const options = { deleteBeforeReplace: true, ...opts, additionalSecretOutputs: ["secrets"] };
    const inputs = { ...args, secrets: pulumi.secret(args.secrets) };
    super("openclaw:host:Release", name, { ...inputs, ...made }, options);
  }
}

/** There when every shard of a fleet on hosts serves and a real chat was answered. Depends on all releases. */
export class HostFleet extends pulumi.CustomResource {
  /** `serving`, or what is missing. */
  declare readonly state: pulumi.Output<string>;

  constructor(
    name: string,
    args: Inputs<FleetReadyInputs>,
    opts: pulumi.CustomResourceOptions = {},
  ) {
    const options = { ...opts, additionalSecretOutputs: ["adminToken", "clientToken"] };
    const tokens = {
      adminToken: pulumi.secret(args.adminToken),
      clientToken: pulumi.secret(args.clientToken),
    };
    super("openclaw:host:Fleet", name, { ...args, ...tokens, state: undefined }, options);
  }
}

/**
 * Makes nothing; its *delete* waits until no such object is left in a cluster. What is waited for
 * depends on it; it depends on the controller that does the work.
 */
export class Gone extends pulumi.CustomResource {
  constructor(name: string, args: Inputs<GoneInputs>, opts: pulumi.CustomResourceOptions = {}) {
    super("openclaw:kube:Gone", name, args, opts);
  }
}
