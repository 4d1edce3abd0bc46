/** A host as it stands in an address: an IPv6 address in brackets, everything else as it is. */
export const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host);

/** `host:port`, with brackets around IPv6. */
export const endpoint = (host: string, port: number): string => `${bracketed(host)}:${port}`;

/** `https://host:port`, as people write it: without the port that a browser takes by itself. */
export const httpsOrigin = (host: string, port: number): string =>
  `https://${port === 443 ? bracketed(host) : endpoint(host, port)}`;
