/** Names of hosts, with commas between, that are gone for good: what belongs to them is taken out of the state only. */
export const FORGET_HOSTS = "OPENCLAW_FLEET_FORGET_HOSTS";

/** Whether a host is to be taken out of the state without being called. */
export function isForgotten(host: string, env: NodeJS.ProcessEnv = process.env): boolean {
  const names = (env[FORGET_HOSTS] ?? "").split(",").map((name) => name.trim());
  return names.includes(host);
}

/** The way out for a host that does not answer any more, as a sentence. */
export const howToForget = (host: string): string =>
  `If it is gone for good, run the command again with ${FORGET_HOSTS}=${host}: then it is only taken out of the state`;
