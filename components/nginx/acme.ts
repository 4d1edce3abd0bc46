import { type FrontPlan, frontEtc, frontState } from "../front/plan.ts";
import {
  type HostContext,
  type HostPart,
  type HostPaths,
  OPEN_DIRECTORY,
  UNIT_ORDER,
} from "../host/types.ts";
import { ACME_FOLDER } from "./config.ts";

const SERVICE = "openclaw-fleet-certificate.service";
const TIMER = "openclaw-fleet-certificate.timer";
/** Certbot's own place for what it was given; backups of a host know it. */
const LIVE = "/etc/letsencrypt/live/openclaw-fleet";

/** Path of the script that says which certificate Nginx reads. */
export const linkScript = (paths: HostPaths): string => `${frontEtc(paths)}/link-certificate.sh`;

/**
 * A certificate by ACME. Nginx needs one to start and ACME needs Nginx: until there is one, the fleet's
 * own stands in its place. Certbot asks again twice a day, and renews in the last third.
 */
export function certbotPart(context: HostContext, plan: FrontPlan, nginxUnit: string): HostPart {
  if (plan.certificate.kind !== "acme") return {};
  const { paths } = context;
  const state = frontState(paths);
  const { email, directory, directoryCa } = plan.certificate;
  const obtain = [
    "/usr/bin/certbot certonly --non-interactive --agree-tos --cert-name openclaw-fleet",
    "--keep-until-expiring --expand --key-type ecdsa",
    `--webroot --webroot-path ${state}/${ACME_FOLDER}`,
    email ? `--email ${email}` : "--register-unsafely-without-email",
    ...(directory ? [`--server ${directory}`] : []),
    ...plan.names.map((name) => `--domain ${name}`),
    // systemd reads a quoted argument as one.
    `--deploy-hook "/bin/systemctl reload ${nginxUnit}"`,
  ].join(" ");
  return {
    packages: ["certbot"],
    directories: {
      [`${state}/tls`]: { owner: "root", group: "root", mode: "0700" },
      [`${state}/${ACME_FOLDER}`]: OPEN_DIRECTORY,
    },
    files: {
      [linkScript(paths)]: {
        content: script(paths, `${state}/tls`),
        owner: "root",
        group: "root",
        mode: "0755",
      },
    },
    units: {
      // The package's own timer would renew without knowing of this front.
      "certbot.timer": { state: "disabled", order: UNIT_ORDER.front - 1 },
      [SERVICE]: {
        content: `[Unit]
Description=Certificate of the OpenClaw fleet's front
After=${nginxUnit} network-online.target
# What failed and waits for its next try starts anew with the timer.
PartOf=${TIMER}

[Service]
Type=oneshot
${directoryCa ? `Environment=REQUESTS_CA_BUNDLE=${directoryCa}\n` : ""}ExecStart=${obtain}
# A name may not lead here yet. Let's Encrypt takes five failures an hour.
Restart=on-failure
RestartSec=20min
`,
        state: "triggered",
        order: UNIT_ORDER.front + 1,
      },
      [TIMER]: {
        content: `[Unit]
Description=Asks for the certificate of the OpenClaw fleet's front
# For ${plan.names.join(" ")}${directory ? ` by ${directory}` : ""}. Another text starts it anew, so that other names are asked for at once.

[Timer]
OnActiveSec=5s
# By itself systemd takes up to a minute more, in which people meet the fleet's own certificate.
AccuracySec=1s
# It asks for a new one in the last third of a certificate's life; else it looks and goes.
OnUnitInactiveSec=12h

[Install]
WantedBy=timers.target
`,
        state: "enabled",
        order: UNIT_ORDER.front + 2,
      },
    },
  };
}

function script(paths: HostPaths, tls: string): string {
  return `#!/bin/sh
# Points Nginx at the certificate of ACME, or at the fleet's own until there is one.
set -eu
if [ -r ${LIVE}/fullchain.pem ] && [ -r ${LIVE}/privkey.pem ]; then
  cert=${LIVE}/fullchain.pem
  key=${LIVE}/privkey.pem
else
  cert=${paths.tls}/node.pem
  key=${paths.tls}/node.key
fi
ln -sfn "$cert" ${tls}/cert.pem
ln -sfn "$key" ${tls}/key.pem
`;
}
