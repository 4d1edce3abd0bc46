import type { HostContext, HostPaths } from "../host/types.ts";
import { MONITOR_USER } from "./catalog.ts";

/** Where the files of monitoring lie on a host. */
export interface WatchPlaces {
  readonly etc: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly prometheus: string;
  readonly rules: string;
  readonly alertmanager: string;
  readonly blackbox: string;
  readonly redisPasswords: string;
  readonly token: string;
  readonly machineWeb: string;
  readonly canary: string;
  /** What the programs write. */
  readonly state: string;
}

export function watchPlaces({ etc, data }: HostPaths): WatchPlaces {
  const own = `${etc}/monitoring`;
  return {
    etc: own,
    ca: `${own}/ca.pem`,
    cert: `${own}/node.pem`,
    key: `${own}/node.key`,
    prometheus: `${own}/prometheus.yml`,
    rules: `${own}/rules.yml`,
    alertmanager: `${own}/alertmanager.yml`,
    blackbox: `${own}/blackbox.yml`,
    redisPasswords: `${own}/redis-passwords.json`,
    token: `${own}/metrics-token`,
    machineWeb: `${own}/node-exporter-web.yml`,
    canary: `${own}/canary.json`,
    state: `${data}-monitoring`,
  };
}

/** The fleet's hosts by name. Throws for one that is not there: the caller made up a name. */
export function hostNamed({ hosts }: HostContext, name: string) {
  const found = hosts.find((host) => host.name === name);
  if (!found) throw new Error(`no host of the fleet is called ${name}`);
  return found;
}

/** A file that only root changes and only the monitors read. */
export function ownFile(content: string, format: "text" | "json" = "text") {
  return { content, owner: "root", group: MONITOR_USER, mode: "0640", format } as const;
}

/** A document as a file; what is JSON is YAML, which the programs read. */
export const json = (document: unknown) => `${JSON.stringify(document, null, 2)}\n`;
