import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { judgeSession, missingTools } from "./session-errors.ts";
import { type HostConnection, HostUnreachable } from "./shell.ts";
import { keyOnly } from "./ssh-files.ts";
import { destinationOf, expandHome, isHostKey, quoteArgv, quoted } from "./ssh-options.ts";

/** What is known when a connection could not be made. */
export interface SshFailure {
  readonly connection: HostConnection;
  /** What ssh wrote. */
  readonly stderr: string;
  /** The key that the host showed; empty when it was not reached. */
  readonly seen: string;
  /** As whom it was tried, by the settings and ssh's own configuration. */
  readonly user: string;
  readonly port: string;
  /** True when the connection goes over another host. */
  readonly jumps: boolean;
}

interface Words {
  readonly what: string;
  readonly why: string;
  readonly fix: string;
  readonly passes?: boolean;
}

/** What was wrong with a connection, why, and what to do, as an error. */
export function sshError(failure: SshFailure): HostUnreachable {
  const { what, why, fix, passes } = judge(failure);
  return hostError(failure.connection, what, why, fix, passes);
}

function hostError(
  connection: HostConnection,
  what: string,
  why: string,
  fix: string,
  passes?: boolean,
): HostUnreachable {
  const text = `host ${connection.name}: ${what}\n  why: ${why}\n  do:  ${fix}`;
  return new HostUnreachable(text, passes);
}

function judge(failure: SshFailure): Words {
  const { connection, stderr, user, jumps } = failure;
  const where = placeOf(failure);
  const said = lastLines(stderr);
  const byHand = `ssh ${handOptions(connection)}${destinationOf(connection)}`;
  if (
    /host key verification failed|host identification has changed|no matching host key type/i.test(
      stderr,
    )
  ) {
    return judgeKey(failure);
  }
  if (connection.session) return judgeSession(connection.session, { stderr, said, user });
  if (/unprotected private key|bad permissions/i.test(stderr)) {
    return {
      what: `the key file ${connection.identityFile ?? ""} was not used`,
      why: "others on this machine may read it, and ssh does not use such a key",
      fix: `chmod 600 ${connection.identityFile === undefined ? "it" : word(connection.identityFile)}`,
    };
  }
  if (/too many authentication failures/i.test(stderr)) {
    return {
      what: `${where} refused user ${user}`,
      why: "so many keys were offered that it hung up before the right one",
      fix: "name the key: hosts[].identityFile, or IdentityFile and IdentitiesOnly in ~/.ssh/config",
    };
  }
  if (/permission denied/i.test(stderr)) {
    return {
      what: `${where} refused user ${user}`,
      why: said,
      fix:
        `${byHand} must log in without asking: put your public key into ~${user}/.ssh/authorized_keys there, ` +
        "name the key by hosts[].identityFile, and give one with a passphrase to your agent (ssh-add)",
    };
  }
  if (/could not resolve hostname|name or service not known/i.test(stderr)) {
    return {
      what: `the name ${destinationOf(connection)} is not known`,
      why: said,
      fix: "check hosts[].address (or sshConfigHost) for a slip, and this machine's DNS",
    };
  }
  return {
    what: `${where} cannot be reached`,
    why: said || "it did not answer in time",
    fix:
      `check that it is on, that its firewall lets this machine in, and that ${byHand} works` +
      (jumps ? "; the connection goes over a jump host, which must be up too" : ""),
  };
}

function judgeKey(failure: SshFailure): Words {
  const { connection, seen, stderr, jumps } = failure;
  const where = placeOf(failure);
  const check =
    "compare with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on its console";
  if (seen === "" && jumps) {
    return {
      what: "its jump host is not known to ssh on this machine, or has changed",
      why: lastLines(stderr),
      fix: `log in to ${connection.jump ?? "the jump host"} once by hand and check its key; then run this again`,
    };
  }
  if (connection.hostKey !== undefined) {
    const right = connection.session
      ? "put its old keys back (/etc/ssh/ssh_host_*), or exchange the machine: the key of another one is taken anew"
      : `${check}; if the new key is right, set hosts[].hostKey of ${connection.name} to it: ${keyOnly(seen)}`;
    return {
      what: `${where} is not the host that was known`,
      why:
        `its key is ${fingerprint(seen)}, expected ${fingerprint(connection.hostKey)}: ` +
        "it was installed anew, or something stands between",
      fix: right,
    };
  }
  return {
    what: `${where} is not the host that this machine's known_hosts file names`,
    why: `its key is now ${fingerprint(seen)}`,
    fix: `${check}; if it is right, ssh-keygen -R ${destinationOf(connection)} and run this again`,
  };
}

/** As ssh shows keys: type and SHA-256. */
function fingerprint(key: string): string {
  const [type = "", body = ""] = keyOnly(key).split(" ");
  if (body === "") return "of no known kind";
  const digest = createHash("sha256").update(Buffer.from(body, "base64")).digest("base64");
  return `${type} SHA256:${digest.replace(/=+$/, "")}`;
}

const placeOf = ({ connection, port }: SshFailure): string =>
  `${destinationOf(connection)}${port === "22" || port === "" ? "" : ` port ${port}`}`;

function handOptions({ user, port, identityFile, jump }: HostConnection): string {
  return [
    user === undefined ? "" : `-l ${user} `,
    port === undefined ? "" : `-p ${port} `,
    jump === undefined ? "" : `-J ${jump} `,
    identityFile === undefined ? "" : `${handIdentity(identityFile)} `,
  ].join("");
}

/** What -i takes is searched for %, so a path that holds one goes the longer way. */
function handIdentity(path: string): string {
  if (!path.includes("%")) return `-i ${word(path)}`;
  return `-o ${quoteArgv([`IdentityFile=${quoted(expandHome(path))}`])}`;
}

/** A path for a person's shell, as they wrote it where that does. */
const word = (path: string): string =>
  /^[\w./~@:+-]+$/.test(path) ? path : quoteArgv([expandHome(path)]);

/** What ssh said last, without the frames it draws around warnings. */
export function lastLines(stderr: string): string {
  return stderr
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^@/.test(line))
    .slice(-2)
    .join("; ");
}

/** ssh is missing, or does not take its configuration. */
export function noClient(connection: HostConnection, stderr: string): HostUnreachable {
  return hostError(
    connection,
    "ssh could not be used",
    lastLines(stderr) || "it is not on PATH",
    "install OpenSSH's client (apt-get install openssh-client), and correct what it says about its configuration",
  );
}

/** Refuses settings of a connection that cannot work, before anybody is called. */
export function checkConnection(connection: HostConnection): void {
  const { hostKey, identityFile, session } = connection;
  const missing = session && missingTools();
  if (missing) throw hostError(connection, missing.what, missing.why, missing.fix);
  if (hostKey !== undefined && !isHostKey(hostKey)) {
    throw hostError(
      connection,
      `hosts[].hostKey is no public key: ${hostKey.slice(0, 60)}`,
      "it must be the type and the base64 text, as in a .pub file",
      "copy the line from /etc/ssh/ssh_host_ed25519_key.pub on the host",
    );
  }
  if (identityFile !== undefined && !existsSync(expandHome(identityFile))) {
    throw hostError(
      connection,
      `its key file ${identityFile} is not there`,
      `hosts[].identityFile names ${expandHome(identityFile)}`,
      "correct the path, or leave identityFile out to use your agent and ~/.ssh/config",
    );
  }
}

/** Somebody logged in, and cannot become root. */
export function noRoot(connection: HostConnection, user: string, said: string): HostUnreachable {
  const asks = /password|terminal/i.test(said);
  return hostError(
    connection,
    asks ? `sudo wants a password of user ${user}` : `user ${user} may not become root`,
    said,
    `log in as root (hosts[].user), or let ${user} use sudo without one: ` +
      `a file in /etc/sudoers.d with "${user} ALL=(ALL) NOPASSWD: ALL"`,
  );
}

export function tooFewSessions(connection: HostConnection): HostUnreachable {
  return hostError(
    connection,
    "its sshd does not take another command on the same connection",
    "MaxSessions in its configuration is lower than usual",
    "set MaxSessions to 10 in /etc/ssh/sshd_config there, then systemctl reload ssh",
  );
}

export function brokenOff(connection: HostConnection, stderr: string): HostUnreachable {
  return hostError(
    connection,
    "the connection broke off",
    lastLines(stderr) || "ssh said no reason",
    "run the command again when the host is back; what it was doing there may still go on",
  );
}
