import { endpoint } from "../../gateway/address.ts";
import type { HostContext } from "../host/types.ts";
import { AT, HOST_JOBS } from "../watch/catalog.ts";
import { plainNames, spokenName } from "./front.ts";
import type { WatchNeed } from "./need.ts";
import { hostNamed, type WatchPlaces } from "./places.ts";

/** Modules of the blackbox exporter. */
export const MODULE = { front: "front", byName: "front_by_name", router: "router" } as const;

interface Probe {
  readonly job: string;
  readonly module: string;
  readonly targets: readonly { readonly address: string; readonly instance: string }[];
}

/** Every URL that is asked as people ask it, and each router's certificate as a front sees it. */
export function probes(context: HostContext, { front }: WatchNeed): Probe[] {
  const { hosts, ports } = context;
  const url = (host: string, path: string) => `https://${host}${path}`;
  const certificates: Probe = {
    job: HOST_JOBS.certificates,
    module: MODULE.router,
    targets: hosts
      .filter((host) => !host.witness)
      .map(({ name, address }) => ({
        address: url(endpoint(address, ports.router), "/healthz"),
        instance: `router of ${name}`,
      })),
  };
  if (front === null) return [certificates];
  const port = front.port === 443 ? "" : `:${front.port}`;
  const names = plainNames(front).map((name) => url(`${name}${port}`, "/readyz"));
  const spoken = spokenName(front);
  const each = front.hosts.map((name) => {
    const at = endpoint(hostNamed(context, name).address, front.port);
    const address = url(at, "/readyz");
    const instance = spoken === null ? address : `${url(`${spoken}${port}`, "/readyz")}${AT}${at}`;
    return { address, instance };
  });
  const asIs = names.map((address) => ({ address, instance: address }));
  // A name leads to one of several fronts; the others are asked by their addresses.
  const parts: Probe[] = [
    { job: HOST_JOBS.front, module: MODULE.front, targets: spoken === null ? each : asIs },
    { job: HOST_JOBS.front, module: MODULE.byName, targets: spoken === null ? [] : each },
    certificates,
  ];
  return parts.filter(({ targets }) => targets.length > 0);
}

/** `blackbox.yml`. */
export function blackboxConfig({ front }: WatchNeed, places: WatchPlaces) {
  const authority = front?.fleetAuthority ? { ca_file: places.ca } : {};
  // A page of another program answers 200 too.
  const http = {
    valid_status_codes: [200],
    fail_if_body_not_matches_regexp: ['"ready":\\s*true'],
    fail_if_not_ssl: true,
    follow_redirects: false,
    preferred_ip_protocol: "ip4",
    ip_protocol_fallback: true,
  };
  const name = front && spokenName(front);
  const module = (more: object) => ({ prober: "http", timeout: "8s", http: { ...http, ...more } });
  return {
    modules: {
      [MODULE.front]: module({ tls_config: authority }),
      ...(name && {
        [MODULE.byName]: module({
          headers: { Host: name },
          tls_config: { ...authority, server_name: name },
        }),
      }),
      [MODULE.router]: module({
        fail_if_body_not_matches_regexp: ['"ok":\\s*true'],
        tls_config: { ca_file: places.ca, cert_file: places.cert, key_file: places.key },
      }),
    },
  };
}
