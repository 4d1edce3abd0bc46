import { createHash } from "node:crypto";
import { checkRelease } from "../../../plugin/host/release-inputs.ts";
import { hasUnknown, type Props, UNKNOWN } from "../../../plugin/values.ts";
import { type Row, textAt, type World } from "../world.ts";
import { INSTANCE } from "./compute.ts";
import { need } from "./parts.ts";
import type { Made, Need, Rules } from "./types.ts";

const ARTIFACT = "openclaw:host:Artifact";
const PUT = "openclaw:host:Release";
const OURS = "the project's own provider, as far as AWS decides what it meets";

const machineOf = (row: Row, world: World): Row | undefined =>
  world.find(INSTANCE, "id", textAt(row.inputs, "host.session.instanceId"));

/** Whoever is called is a machine that Systems Manager knows. */
const online: Need = need(
  "the host's machine is there, and may speak to Systems Manager",
  (row, world) => {
    const id = textAt(row.inputs, "host.session.instanceId");
    const machine = machineOf(row, world);
    if (!machine) return `TargetNotConnected: ${id} is not connected`;
    const profile = world.find(
      "aws:iam/instanceProfile:InstanceProfile",
      "name",
      machine.inputs.iamInstanceProfile,
    );
    const allowed = world
      .of("aws:iam/rolePolicy:RolePolicy")
      .some(
        ({ inputs }) =>
          inputs.role === profile?.inputs.role &&
          String(inputs.policy).includes("ssmmessages:OpenDataChannel"),
      );
    return allowed ? null : `TargetNotConnected: the role of ${id} may not open a channel`;
  },
  ["create", "update", "settled"],
);

/** Conversations go to the disk that outlives the machine. */
const mounted: Need = need(
  "the host's state volume hangs on its machine",
  (row, world) => {
    const id = textAt(row.inputs, "host.session.instanceId");
    return world.find("aws:ec2/volumeAttachment:VolumeAttachment", "instanceId", id)
      ? null
      : `host ${textAt(row.inputs, "host.name")}: /var/lib/openclaw-fleet is not a mount point`;
  },
  ["create", "update", "settled"],
);

const hostId =
  (path: string) =>
  ({ inputs }: Made): string =>
    `${textAt(inputs, path)}/${textAt(inputs, "host.name") ?? textAt(inputs, "node")}`;

const revisionOf = ({ inputs }: Made): string =>
  createHash("sha256").update(JSON.stringify(inputs)).digest("hex").slice(0, 16);

/** The project's resources on hosts: what AWS must have done before them is refused when it has not. */
export const FLEET: Rules = {
  "openclaw:host:Credentials": {
    source: OURS,
    id: ({ inputs }) => String(inputs.fleet),
    replaces: ["fleet"],
    computed: (made) => ({
      // At preview the names of hosts' certificates may not be known.
      secrets: hasUnknown(made.inputs) ? UNKNOWN : secretsOf(made),
      kept: {},
      caCertificate: `ca-${made.hex(20)}`,
      expires: {},
    }),
  },
  [ARTIFACT]: {
    source: OURS,
    id: hostId("needs.fleet"),
    replaces: ["host.name"],
    computed: ({ inputs }) => ({
      condition: "whole",
      hostKey: `ssh-ed25519 ${textAt(inputs, "host.session.instanceId")}`,
      previous: "",
      parts: [],
    }),
    needs: [online, mounted],
  },
  [PUT]: {
    source: OURS,
    id: hostId("fleet"),
    replaces: ["fleet", "node", "host.name"],
    faults: (inputs) => checkRelease(inputs).failures.map(({ reason }) => reason),
    computed: (made) => ({
      state: "ready",
      drift: {},
      revision: revisionOf(made),
      hostKey: textAt(made.inputs, "host.hostKey") ?? "",
    }),
    needs: [
      online,
      mounted,
      need("the release is on the host", ({ inputs }, world) =>
        world
          .of(ARTIFACT)
          .some(
            (one) =>
              one.inputs.artifact === inputs.artifact &&
              textAt(one.inputs, "host.session.instanceId") ===
                textAt(inputs, "host.session.instanceId"),
          )
          ? null
          : `host ${inputs.node}: release ${inputs.artifact} is not there`,
      ),
    ],
  },
  "openclaw:host:Drained": {
    source: OURS,
    id: hostId("fleet"),
    replaces: ["fleet", "node"],
    unminded: ["host", "artifact", "adminToken"],
    // A machine that differs is another drain.
    computed: ({ inputs }) => ({
      drained: inputs.host ? JSON.stringify(inputs.machine) : "",
    }),
  },
  "openclaw:host:Fleet": {
    source: OURS,
    id: ({ inputs }) => String(inputs.fleet),
    replaces: ["fleet"],
    computed: () => ({ state: "serving", founded: true }),
    needs: [
      need(
        "every node's host has its release",
        ({ inputs }, world) => {
          const put = new Set(world.of(PUT).map((one) => one.inputs.node));
          const missing = (inputs.nodes as string[]).filter((node) => !put.has(node));
          return missing.length > 0 ? `node ${missing.join(", ")} has not joined` : null;
        },
        ["create", "update", "settled"],
      ),
    ],
  },
};

/** One value for each name that plans can ask for. */
function secretsOf(made: Made): Record<string, string> {
  const inputs = made.inputs as {
    readonly certificates: Props;
    readonly passwords: readonly string[];
    readonly sshKeys: readonly string[];
    readonly tokens: { readonly client?: readonly string[] };
  };
  const clients = inputs.tokens.client ?? [""];
  const names = [
    ...["tls.ca", "token.admin", "token.client", "token.peer"],
    ...clients.map((_, i) => `token.client.${i}`),
    ...inputs.passwords,
    ...Object.keys(inputs.certificates).flatMap((name) => [`tls.${name}.cert`, `tls.${name}.key`]),
    ...inputs.sshKeys.flatMap((name) => [`${name}.key`, `${name}.pub`]),
  ];
  return Object.fromEntries(names.map((name) => [name, `${name}-${made.hex(32)}`]));
}
