import type { HostContext } from "../host/types.ts";
import { MASTER_NAME, redisData, redisEtc, serverData } from "./config.ts";
import type { RedisLayout } from "./layout.ts";

/**
 * Text of the script that puts a server's or Sentinel's own configuration together at each start.
 *
 * With Sentinels both programs rewrite the file that they were started with: who is master, whom they
 * know. So they are started with a copy in their data, made of what is planned and of what they learned;
 * the planned file is never touched, and a changed one counts at the next start.
 */
export function prepareScript(context: HostContext, layout: RedisLayout): string {
  const { paths, ports, self } = context;
  const etc = redisEtc(paths);
  const first = layout.servers.find((server) => server.first)?.host.address ?? "";
  const sentinels = layout.sentinels.map(({ address }) => address).join(" ");
  const known = [...layout.servers.map(({ host }) => host), ...layout.sentinels];
  const addresses = [...new Set(known.map(({ address }) => address))].join(" ");
  return `#!/bin/sh
# prepare.sh server|sentinel: makes the configuration that the program is started with, and may rewrite.
set -eu
umask 077

# Who is master now, as a Sentinel says; nothing when none answers.
master() {
  for address in ${sentinels}; do
    found=$(timeout 2 redis-cli --tls --cacert ${etc}/tls/ca.pem -h "$address" -p ${ports.sentinel} \\
      --user health --pass - --no-auth-warning -e SENTINEL get-master-addr-by-name ${MASTER_NAME} 2>/dev/null | head -n 1) || continue
    case " ${addresses} " in *" $found "*) echo "$found"; return ;; esac
  done
}

case $1 in
server)
  live=${serverData(paths, { index: 0 })}/redis.conf
  now=$(master)
  if [ "$now" = "${self.address}" ]; then role=
  elif [ -n "$now" ]; then role="replicaof $now ${ports.redis}"
  elif [ -e "$live" ]; then role=$(grep '^replicaof ' "$live" | tail -n 1 || true)
  elif [ "${first}" = "${self.address}" ]; then role=
  else role="replicaof ${first} ${ports.redis}"
  fi
  { cat ${etc}/redis.conf; echo "$role"; } > "$live.new"
  ;;
sentinel)
  live=${redisData(paths)}/sentinel/sentinel.conf
  now=$(master)
  [ -n "$now" ] || [ ! -e "$live" ] || now=$(awk '$1 == "sentinel" && $2 == "monitor" { print $4 }' "$live")
  sed "s/@MASTER@/\${now:-${first}}/" ${etc}/sentinel.conf > "$live.new"
  # What it learned, but for hosts that are gone.
  [ ! -e "$live" ] || awk -v hosts=" ${addresses} " '
    $1 != "sentinel" { next }
    $2 ~ /^(myid|current-epoch|config-epoch|leader-epoch)$/ { print }
    $2 ~ /^known-(replica|sentinel)$/ && index(hosts, " " $4 " ") { print }
  ' "$live" >> "$live.new"
  ;;
esac
mv "$live.new" "$live"
`;
}
