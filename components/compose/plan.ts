import { stringify } from "yaml";
import type { FleetConfig, NodeConfig } from "../../gateway/config.ts";
import {
  BASE_IMAGE,
  CONTAINER_UID,
  INSIDE,
  NODE_ID,
  PIDS,
  START_SECONDS,
  STOP_SECONDS,
  TMP_MIB,
} from "./catalog.ts";

export interface ComposeNeed {
  /** The stack's name; it names the fleet, its container and volume. */
  readonly fleet: string;
  /** What fleet.json says, with `{{secret NAME}}` where a secret comes. */
  readonly config: FleetConfig;
  /** What nodes show as their version. */
  readonly releaseId: string;
  /** Names of the packed folders of the release beside the Dockerfile: `bin.tar.gz`. */
  readonly archives: readonly string[];
  /** Memory of the node with all its gateways as planned, MiB. */
  readonly memoryMiB: number;
  /** Memory at which the kernel ends something, MiB. */
  readonly limitMiB: number;
  readonly cores: number;
  /** Address and port of the machine that people reach. */
  readonly publish: { readonly host: string; readonly port: number };
}

export interface ComposePlan {
  /** Content by path below the folder. None holds a secret. */
  readonly files: Readonly<Record<string, string>>;
  /** Files that must be in `secrets/`, by name. */
  readonly secrets: readonly string[];
}

const MARK = /\{\{secret ([^}]+)\}\}/g;

/** A name as a secret of Compose may have it. */
export const secretFile = (name: string): string => name.replace(/[^A-Za-z0-9._-]/g, "-");

/** A fleet in one container on one host, as files. Pure. */
export function planCompose(need: ComposeNeed): ComposePlan {
  const fleet = json({ ...need.config, target: "local", host: "0.0.0.0" }).replace(
    MARK,
    (_, name: string) => `{{secret ${secretFile(name)}}}`,
  );
  const secrets = [...new Set([...fleet.matchAll(MARK)].map(([, name]) => name as string))].sort();
  return {
    secrets,
    files: {
      "compose.yaml": composeText(need, secrets),
      Dockerfile: dockerfile(need),
      // The context holds secrets; only the release goes into the image.
      ".dockerignore": ["*", ...need.archives.map((name) => `!release/${name}`), ""].join("\n"),
      ".env.example": envText(need),
      "config/fleet.json": fleet,
      "config/node.json": json(nodeConfigOf(need)),
    },
  };
}

const json = (document: unknown) => `${JSON.stringify(document, null, 2)}\n`;

function nodeConfigOf({ releaseId, cores }: ComposeNeed): NodeConfig {
  const { release, data } = INSIDE;
  return {
    version: 1,
    id: NODE_ID,
    dataDir: data,
    peerHost: "127.0.0.1",
    release: {
      id: releaseId,
      node: `${release}/bin/node`,
      openclaw: `${release}/openclaw/node_modules/openclaw/openclaw.mjs`,
      runtime: `${release}/runtime`,
    },
    gatewayPortBase: 19_000,
    cores,
  };
}

function dockerfile({ releaseId, archives }: ComposeNeed): string {
  const { release, data, config, secrets } = INSIDE;
  const program = [
    `${release}/bin/node`,
    `${release}/runtime/container.js`,
    ...["--config", config, "--secrets", secrets, "--data", data],
  ];
  return `# OpenClaw ${releaseId}. Made by ./fleet compose; changes are lost when it is made again.
FROM ${BASE_IMAGE}
RUN apt-get update \\
  && apt-get install --yes --no-install-recommends ca-certificates git procps tzdata \\
  && rm -rf /var/lib/apt/lists/* \\
  && groupadd --gid ${CONTAINER_UID} openclaw \\
  && useradd --uid ${CONTAINER_UID} --gid openclaw --home-dir ${data} --no-create-home openclaw \\
  && install --directory --owner=openclaw --group=openclaw --mode=0700 ${data} \\
  && install --directory ${config} ${release}
# Packed as for hosts: the pinned Node, OpenClaw and the runtime.
${archives.map((name) => `ADD release/${name} ${release}/`).join("\n")}
ENV HOME=${data}
USER ${CONTAINER_UID}:${CONTAINER_UID}
WORKDIR ${data}
VOLUME ["${data}"]
EXPOSE 18789
STOPSIGNAL SIGTERM
CMD ${JSON.stringify(program)}
`;
}

function composeText(need: ComposeNeed, secrets: readonly string[]): string {
  const { data, config, release } = INSIDE;
  const ready = `fetch("http://127.0.0.1:${need.config.port}/readyz").then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))`;
  const document = {
    name: `openclaw-${need.fleet}`,
    services: {
      fleet: {
        image: `openclaw-fleet:${need.releaseId.replace(/[^A-Za-z0-9_.-]/g, "-")}`,
        build: { context: "." },
        // Takes in what a gateway's tools leave behind.
        init: true,
        restart: "unless-stopped",
        stop_grace_period: `${STOP_SECONDS}s`,
        user: `${CONTAINER_UID}:${CONTAINER_UID}`,
        read_only: true,
        cap_drop: ["ALL"],
        security_opt: ["no-new-privileges:true"],
        mem_limit: `${need.limitMiB + TMP_MIB}m`,
        mem_reservation: `${need.memoryMiB}m`,
        pids_limit: PIDS,
        ports: [
          [
            fromEnv("FLEET_BIND", need.publish.host),
            fromEnv("FLEET_PORT", String(need.publish.port)),
            need.config.port,
          ].join(":"),
        ],
        environment: {
          OPENCLAW_FLEET_LOG_LEVEL: fromEnv("FLEET_LOG_LEVEL", "info"),
          TZ: fromEnv("TZ", "UTC"),
        },
        volumes: [`data:${data}`, `./config:${config}:ro`],
        tmpfs: [`/tmp:size=${TMP_MIB}m,mode=1777`],
        secrets,
        healthcheck: {
          test: ["CMD", `${release}/bin/node`, "-e", ready],
          interval: "15s",
          timeout: "10s",
          retries: 4,
          start_period: `${START_SECONDS}s`,
        },
        logging: { driver: "json-file", options: { "max-size": "64m", "max-file": "4" } },
      },
    },
    volumes: { data: {} },
    secrets: Object.fromEntries(secrets.map((name) => [name, { file: `./secrets/${name}` }])),
  };
  return `# Made by ./fleet compose; changes are lost when it is made again. Yours go into .env and compose.override.yaml.\n${stringify(document, { lineWidth: 0 })}`;
}

/** A variable of .env, as Compose puts it in. */
const fromEnv = (name: string, otherwise: string) => ["$", `{${name}:-${otherwise}}`].join("");

function envText({ publish }: ComposeNeed): string {
  return `# Copy to .env and change what is needed. No secret belongs here: they are files in secrets/.

# Address and port of this machine that people reach. 0.0.0.0: from everywhere, and then behind TLS of your own.
#FLEET_BIND=${publish.host}
#FLEET_PORT=${publish.port}

# debug, info, warn or error
#FLEET_LOG_LEVEL=info

# Time zone of jobs that name none.
#TZ=UTC
`;
}
