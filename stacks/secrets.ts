/** Names of fields whose values are never shown and always kept as secrets. */
const SECRET_NAME = /(key|token|secret|password|passphrase|credential)s?$/i;

/** Numbers of tokens, as models are limited by them (OpenClaw's own fields), not tokens that let somebody in. */
const TOKEN_COUNT =
  /(max|min|input|output|prompt|completion|context|total|reserve|recent|threshold|cache)_?tokens$/i;

/** True when a value at this path is a secret by its name alone. */
export function isSecretName(path: readonly PropertyKey[]): boolean {
  const [top, , third] = path;
  if (top === "tokens") return true;
  if (top === "agents" && third === "env") return true;
  // Where alerts go: whoever knows the address can post there.
  if (top === "monitoring" && path.at(-1) === "url") return true;
  return path
    .slice(1)
    .some((key) => typeof key === "string" && SECRET_NAME.test(key) && !TOKEN_COUNT.test(key));
}

export interface SecretRules {
  /** Paths written as `secure:` in the stack's file. */
  readonly secure: readonly (readonly PropertyKey[])[];
  /** Paths whose values came from the environment. */
  readonly fromEnv: readonly (readonly PropertyKey[])[];
  /** Settings that Pulumi says hold a secret somewhere. */
  readonly secretSettings: readonly string[];
}

/** Whether the value at a path is secret: by how it was given, or by its name. */
export function secretAt(rules: SecretRules): (path: readonly PropertyKey[]) => boolean {
  const within = (paths: readonly (readonly PropertyKey[])[], path: readonly PropertyKey[]) =>
    paths.some(
      (p) => p.length <= path.length && p.every((key, i) => String(key) === String(path[i])),
    );
  // Pulumi knows of a secret that the file does not show (set by other means): all of it is hidden.
  const hidden = rules.secretSettings.filter(
    (name) => !rules.secure.some((path) => path[0] === name),
  );
  return (path) =>
    isSecretName(path) ||
    within(rules.secure, path) ||
    within(rules.fromEnv, path) ||
    hidden.includes(String(path[0]));
}

/** Wraps every secret leaf below a path with `wrap`. */
export function sealWith(
  secret: (path: readonly PropertyKey[]) => boolean,
  wrap: (value: unknown) => unknown,
) {
  const seal = (value: unknown, path: readonly PropertyKey[]): unknown => {
    if (Array.isArray(value)) return value.map((item, i) => seal(item, [...path, i]));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, seal(v, [...path, k])]));
    }
    return value !== undefined && secret(path) ? wrap(value) : value;
  };
  return seal;
}
