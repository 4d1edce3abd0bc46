import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { type Document, isMap, isSeq, parseDocument } from "yaml";
import type { Kubeconfig } from "./cluster-access.ts";
import { CommandFailed } from "./errors.ts";

/** Where kubectl writes: the first of KUBECONFIG, else its default file. */
export function kubeconfigPath(env: NodeJS.ProcessEnv = process.env): string {
  const first = env.KUBECONFIG?.split(delimiter).find((path) => path !== "");
  return resolve(first ?? join(homedir(), ".kube", "config"));
}

/** The same access under another name. */
export function renamed(config: Kubeconfig, name: string): Kubeconfig {
  const named = <T extends { name: string }>(list: T[]) => list.map((each) => ({ ...each, name }));
  return {
    ...config,
    clusters: named(config.clusters),
    users: named(config.users),
    contexts: config.contexts.map((each) => ({
      name,
      context: { ...each.context, cluster: name, user: name },
    })),
    "current-context": name,
  };
}

/**
 * A kubeconfig with ours put in, or put anew; everything else in it stays, comments too. The current
 * context is set only where there was none: who works on another cluster goes on there.
 * @throws CommandFailed when the text cannot be read, or the name stands for another cluster.
 */
export function merged(text: string, ours: Kubeconfig, path: string): string {
  const document = parseDocument(text.trim() === "" ? "{apiVersion: v1, kind: Config}" : text);
  if (text.trim() === "" && isMap(document.contents)) document.contents.flow = false;
  if (document.errors.length > 0 || !isMap(document.contents)) {
    throw new CommandFailed(
      `${path} is no kubeconfig`,
      document.errors[0]?.message.split("\n")[0] ?? "it is not a map",
      "mend it, or leave --write out and put the output where you want it",
    );
  }
  const name = ours.clusters[0]?.name as string;
  const server = ours.clusters[0]?.cluster.server;
  const other = find(document, "clusters", name)?.getIn(["cluster", "server"]);
  if (other !== undefined && other !== server) {
    throw new CommandFailed(
      `${path} has another cluster called ${name}`,
      `its API is ${String(other)}, this one's ${server}`,
      "--context NAME writes this one under another name",
    );
  }
  for (const list of ["clusters", "users", "contexts"] as const) put(document, list, ours[list][0]);
  if (!document.get("current-context")) document.set("current-context", ours["current-context"]);
  return document.toString({ lineWidth: 0 });
}

function items(document: Document, list: string) {
  const found = document.get(list);
  return isSeq(found) ? found.items.filter(isMap) : [];
}

function find(document: Document, list: string, name: string) {
  return items(document, list).find((item) => item.get("name") === name);
}

function put(document: Document, list: string, entry: { name: string } | undefined): void {
  if (!entry) return;
  const seq = document.get(list);
  if (!isSeq(seq)) document.set(list, document.createNode([entry]));
  else {
    const at = seq.items.findIndex((item) => isMap(item) && item.get("name") === entry.name);
    if (at < 0) seq.add(document.createNode(entry));
    else seq.set(at, document.createNode(entry));
  }
}

/** Appears whole or not at all, readable by its owner alone; a link stays a link. */
export function writeKubeconfig(path: string, text: string): void {
  const target = existsSync(path) ? realpathSync(path) : path;
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  const part = `${target}.${process.pid}.part`;
  writeFileSync(part, text, { mode: 0o600 });
  renameSync(part, target);
}

/** Its text; empty when there is none. */
export const readKubeconfig = (path: string): string =>
  existsSync(path) ? readFileSync(path, "utf8") : "";
