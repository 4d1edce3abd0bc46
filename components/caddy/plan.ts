import { ConfigError, type Fault } from "../errors.ts";
import {
  carriesFront,
  type FrontPlan,
  frontCheck,
  frontEtc,
  frontState,
  ownCertificate,
} from "../front/plan.ts";
import { hardening, WITH_NETLINK } from "../host/hardening.ts";
import { type HostContext, type HostPart, OPEN_DIRECTORY, UNIT_ORDER } from "../host/types.ts";
import { CADDY_PLACES, caddyConfig } from "./config.ts";

export const CADDY_UNIT = "openclaw-fleet-caddy.service";
const CADDY = "/usr/bin/caddy";
/** Made by Debian's package. */
const USER = "caddy";
const ANSWER_SECONDS = 120;

/** Caddy before the routers on one host; nothing where none is to be. Throws ConfigError for what it cannot do. */
export function planCaddy(context: HostContext, plan: FrontPlan): HostPart {
  const faults = caddyFaults(plan);
  if (faults.length > 0) throw new ConfigError(faults);
  if (!carriesFront(plan, context)) return {};
  const { paths, self } = context;
  const etc = frontEtc(paths);
  const config = `${etc}/Caddyfile`;
  const file = (content: string, mode: string) => ({ content, owner: "root", group: USER, mode });
  // Caddy's user may not read the fleet's own copies.
  const tls = {
    [`${etc}/tls/ca.pem`]: file("{{secret tls.ca}}", "0640"),
    [`${etc}/tls/node.pem`]: file(`{{secret tls.${self.name}.cert}}`, "0640"),
    [`${etc}/tls/node.key`]: file(`{{secret tls.${self.name}.key}}`, "0640"),
  };
  const own = ownCertificate(plan, paths, USER);
  return {
    packages: ["caddy", "curl"],
    directories: {
      [paths.etc]: OPEN_DIRECTORY,
      [etc]: OPEN_DIRECTORY,
      [`${etc}/tls`]: { owner: "root", group: USER, mode: "0750" },
      // Certificates by ACME: another one is not had at once.
      [frontState(paths)]: { owner: USER, group: USER, mode: "0750", data: true },
    },
    files: { [config]: file(caddyConfig(context, plan, CADDY_PLACES), "0644"), ...tls, ...own },
    units: {
      "caddy.service": { state: "disabled", order: UNIT_ORDER.front - 1 },
      [CADDY_UNIT]: {
        content: unitText(config, frontState(paths)),
        state: "enabled",
        order: UNIT_ORDER.front,
        reloadOn: [config, ...Object.keys(tls), ...Object.keys(own)],
        // Run by root: what it would put beside certificates, Caddy's own user could not touch.
        verify: [
          ...["/usr/bin/env", "XDG_DATA_HOME=/run/openclaw-fleet-caddy-check"],
          ...["XDG_CONFIG_HOME=/run/openclaw-fleet-caddy-check"],
          ...[CADDY, "validate", "--adapter", "caddyfile", "--config", config],
        ],
      },
    },
    checks: {
      "the front answers": {
        argv: frontCheck(plan),
        deadlineSeconds: ANSWER_SECONDS,
        needsFleet: true,
        remedy: `Look at journalctl -u ${CADDY_UNIT}, and whether routers answer on port ${context.ports.router}`,
      },
    },
  };
}

/** What Debian's Caddy (2.6) cannot be told. */
function caddyFaults(plan: FrontPlan): Fault[] {
  const faults: Fault[] = [];
  if (plan.proxyProtocolFrom.length > 0) {
    faults.push({
      setting: "front.proxyProtocolFrom",
      problem: "is set, and Caddy 2.6 does not read the PROXY protocol",
      remedy: "Set front.kind to nginx",
    });
  }
  if (plan.certificate.kind === "acme" && plan.fronts.length > 1) {
    faults.push({
      setting: "front.kind",
      problem: `is caddy on ${plan.fronts.length} hosts, and its certificate by ACME needs storage that they share`,
      remedy: "Name one host in front.hosts, set front.kind to nginx, or front.certificate to own",
    });
  }
  return faults;
}

function unitText(config: string, state: string): string {
  return `[Unit]
Description=Front of the OpenClaw fleet (Caddy)
After=network-online.target nss-lookup.target
Wants=network-online.target
Conflicts=caddy.service

[Service]
Type=notify
User=${USER}
Group=${USER}
Environment=XDG_DATA_HOME=${state} XDG_CONFIG_HOME=${state}
ExecStart=${CADDY} run --adapter caddyfile --config ${config}
# The same text with other certificates is a change, too.
ExecReload=${CADDY} reload --force --adapter caddyfile --config ${config} --address unix/${CADDY_PLACES.admin}
RuntimeDirectory=openclaw-fleet-caddy
RuntimeDirectoryMode=0700
TimeoutStopSec=30
Restart=always
RestartSec=2
LimitNOFILE=65536
AmbientCapabilities=CAP_NET_BIND_SERVICE
${hardening({ writes: [state], capabilities: ["CAP_NET_BIND_SERVICE"], sockets: WITH_NETLINK })}

[Install]
WantedBy=multi-user.target
`;
}
