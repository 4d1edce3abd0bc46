import {
  carriesFront,
  certificateFiles,
  type FrontPlan,
  frontCheck,
  frontEtc,
  frontState,
  ownCertificate,
} from "../front/plan.ts";
import { hardening } from "../host/hardening.ts";
import {
  type HostContext,
  type HostPart,
  type HostUnit,
  OPEN_DIRECTORY,
  UNIT_ORDER,
} from "../host/types.ts";
import { certbotPart, linkScript } from "./acme.ts";
import { NGINX_PLACES, nginxConfig } from "./config.ts";

export const NGINX_UNIT = "openclaw-fleet-nginx.service";
const NGINX = "/usr/sbin/nginx";
/** It begins as root, opens low ports and its logs, and gives its workers to another user. */
const CAPABILITIES = [
  "CAP_NET_BIND_SERVICE",
  "CAP_SETUID",
  "CAP_SETGID",
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
];
/** A front that comes up beside its first router. */
const ANSWER_SECONDS = 120;

/** Nginx before the routers on one host; nothing where none is to be. */
export function planNginx(context: HostContext, plan: FrontPlan): HostPart {
  if (!carriesFront(plan, context)) return {};
  const { paths } = context;
  const etc = frontEtc(paths);
  const config = `${paths.etc}/nginx.conf`;
  const acme = plan.certificate.kind === "acme" ? certbotPart(context, plan, NGINX_UNIT) : {};
  const certificate = certificateFiles(plan, paths);
  const own = ownCertificate(plan, paths, "root");
  const tls = fleetCertificate(context);
  // Certificates of the fleet and of people change without a word in the configuration.
  const reloadOn = [
    ...new Set([
      config,
      ...(plan.certificate.kind === "acme" ? [] : [certificate.cert, certificate.key]),
      ...["ca.pem", "node.pem", "node.key"].map((name) => `${paths.tls}/${name}`),
    ]),
  ];
  const link = plan.certificate.kind === "acme" ? linkScript(paths) : null;
  const test = `${NGINX} -t -q -c ${config}`;
  const unit: HostUnit = {
    content: unitText(config, link, `${frontState(paths)}/tls`),
    state: "enabled",
    order: UNIT_ORDER.front,
    reloadOn,
    verify: link ? ["/bin/sh", "-c", `${link} && exec ${test}`] : test.split(" "),
  };
  return {
    packages: ["curl", "nginx", ...(acme.packages ?? [])],
    directories: {
      [paths.etc]: OPEN_DIRECTORY,
      [etc]: OPEN_DIRECTORY,
      [frontState(paths)]: OPEN_DIRECTORY,
      ...tls.directories,
      ...acme.directories,
    },
    files: {
      [config]: {
        content: nginxConfig(context, plan),
        owner: "root",
        group: "root",
        mode: "0644",
      },
      ...own,
      ...tls.files,
      ...acme.files,
    },
    units: {
      "nginx.service": { state: "disabled", order: UNIT_ORDER.front - 1 },
      [NGINX_UNIT]: unit,
      ...acme.units,
    },
    checks: {
      "the front answers": {
        // The fleet's own certificate, or one that ACME has yet to give: what is asked is whether it serves.
        argv: frontCheck(plan),
        deadlineSeconds: ANSWER_SECONDS,
        needsFleet: true,
        remedy: `Look at journalctl -u ${NGINX_UNIT}, and whether routers answer on port ${context.ports.router}`,
      },
    },
  };
}

/** What shows routers that it is the fleet's. A node brings it along; a witness has none, and root reads it. */
function fleetCertificate({
  paths,
  self,
}: HostContext): Required<Pick<HostPart, "directories" | "files">> {
  if (!self.witness) return { directories: {}, files: {} };
  const root = { owner: "root", group: "root" };
  const file = (name: string) => ({ content: `{{secret tls.${name}}}`, ...root, mode: "0640" });
  return {
    directories: { [paths.tls]: { ...root, mode: "0750" } },
    files: {
      [`${paths.tls}/ca.pem`]: file("ca"),
      [`${paths.tls}/node.pem`]: file(`${self.name}.cert`),
      [`${paths.tls}/node.key`]: file(`${self.name}.key`),
    },
  };
}

/**
 * The master reads keys and opens ports as root, workers serve as www-data. Not the package's own unit:
 * it reads another configuration, which a package's update may bring back.
 */
function unitText(config: string, link: string | null, linked: string): string {
  return `[Unit]
Description=Front of the OpenClaw fleet (Nginx)
After=network-online.target nss-lookup.target
Wants=network-online.target
Conflicts=nginx.service

[Service]
Type=forking
PIDFile=${NGINX_PLACES.pid}
${link ? `ExecStartPre=${link}\n` : ""}ExecStart=${NGINX} -c ${config}
# New workers take the new configuration; the old ones end with their streams.
${link ? `ExecReload=${link}\n` : ""}ExecReload=${NGINX} -c ${config} -s reload
# Requests may end, as in a drain; what is left is cut.
KillSignal=SIGQUIT
KillMode=mixed
TimeoutStopSec=30
Restart=always
RestartSec=2
LimitNOFILE=65536
${hardening({ writes: ["/run", "/var/lib/nginx", "/var/log/nginx", ...(link ? [linked] : [])], capabilities: CAPABILITIES })}

[Install]
WantedBy=multi-user.target
`;
}
