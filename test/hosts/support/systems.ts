import { cpSync, existsSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask } from "../../../toolchain/command.ts";
import type { HostPrograms, Program } from "./programs.ts";

/** Systems that a lab's hosts can run, by the name of their release: Debian 12 and 13, Ubuntu 24.04. */
export const SYSTEMS = ["bookworm", "trixie", "noble"] as const;
export type System = (typeof SYSTEMS)[number];

/**
 * What hosts run that nothing else was said of. `OPENCLAW_FLEET_TEST_SYSTEM=trixie` runs any test of hosts
 * on another one.
 */
export function defaultSystem(env: NodeJS.ProcessEnv = process.env): System {
  const name = env.OPENCLAW_FLEET_TEST_SYSTEM || "bookworm";
  const system = SYSTEMS.find((one) => one === name);
  if (!system) {
    throw new Error(
      `OPENCLAW_FLEET_TEST_SYSTEM is ${name}; labs have ${SYSTEMS.join(", ")}: name one of them`,
    );
  }
  return system;
}

/** How debootstrap is to be run for a system. */
export interface Bootstrap {
  readonly debootstrap: Program;
  /** Beside the packages, the release and where it goes. */
  readonly options: readonly string[];
  /** Where the packages come from; none: where debootstrap itself takes that system from. */
  readonly mirror: readonly string[];
}

/** @param folder takes what this debootstrap lacks for the system */
export function bootstrapOf(system: System, programs: HostPrograms, folder: string): Bootstrap {
  const { debootstrap, keyring } = programs;
  if (system !== "noble") {
    return { debootstrap, options: [`--keyring=${keyring}`], mirror: debianMirror(system) };
  }
  const signer = join(folder, "ubuntu.gpg");
  writeFileSync(signer, Buffer.from(UBUNTU_KEY, "base64"));
  // Monitoring's packages, Caddy and Redis are in universe.
  const options = [`--keyring=${signer}`, "--components=main,universe"];
  return { debootstrap: knowing(system, debootstrap, folder), options, mirror: [] };
}

/** The same program with a script for a release that came after it: all of Ubuntu's since 2007 are one. */
function knowing(system: System, debootstrap: Program, folder: string): Program {
  const own = join(folder, "debootstrap");
  cpSync(String(debootstrap.env.DEBOOTSTRAP_DIR), own, { recursive: true, verbatimSymlinks: true });
  const script = join(own, "scripts", system);
  if (!existsSync(script)) symlinkSync("gutsy", script);
  return { ...debootstrap, env: { ...debootstrap.env, DEBOOTSTRAP_DIR: own } };
}

/** Where this machine's own apt gets Debian from, which has all its releases; nothing on another system. */
function debianMirror(system: System): string[] {
  const targets = ask("apt-get", [
    ...["indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)/$(LABEL)"],
  ]);
  const lines = (targets ?? "").split("\n").map((line) => line.split(" "));
  const main = lines.filter(([, , component]) => component === "main");
  const same = main.find(([, codename]) => codename === system);
  const other = main.find(([, , , origin]) => origin === "Debian/Debian");
  const [uri] = same ?? other ?? [];
  return uri ? [uri] : [];
}

/**
 * Ubuntu Archive Automatic Signing Key (2018), F6ECB376 2474EDA9 D21B7022 871920D1 991BC93C: Debian 12 has no
 * package of it. Public.
 */
const UBUNTU_KEY =
  "mQINBFufwdoBEADv/Gxytx/LcSXYuM0MwKojbBye81s0G1nEx+lz6VAUpIUZnbkqdXBHC+dwrGS/CeeLuAjPRLU8" +
  "AoxE/jjvZVp8xFGEWHYdklqXGZ/gJfP5d3fIUBtZHZEJl8B8m9pMHf/AQQdsC+YzizSG5t5Mhnotw044LXtdEEkx" +
  "2t6Jz0OGrh+5IoxqX7pZiq6Cv19BohaUioKMdp7ES6RYfN7ol6HSLFlrMXtVfh/ijpN9j3ZhVGVeRC8kKHQsJ5Pk" +
  "IbmvxBiUh7SJmfZUx0IQhNMaDHXfdZAGNtnhzzNReb1FqNLSVkrS/PnsAQzMhG1BDm2VOSF64jebKXffFqM5LXRQ" +
  "TeqTLsjUbbrqR6s/GCO8UF7jfUj6I7taLygmsHO/JD4jpKRC0gbpUBfaiJyLvuepx3kWoqL3sN0LhlMI80+fA7GT" +
  "voOx4tpqVlzlE6TajYu+jfW3QpOFS5ewEMdL26hzxsZg/geZvTbArcP+OsJKRmhv4kNo6AydyHQ/3ZV/f3X9mT3/" +
  "SPLbJaumkgp3Yzd6t5PeBu+ZQk/mN5WNNuaihNEV7llb1ZhvY0Fxu9BVd/BNl0rzuxp3rIinB2TX2SCg7wE5xXkw" +
  "XuQ/2eTDE0v0HlGntkuZjGowDZkxHZQSxZVOzdZCRVaX/WEFLpKa2AQpw5RJrQ4oZ/OfifXyJzP27o03wQARAQAB" +
  "tEJVYnVudHUgQXJjaGl2ZSBBdXRvbWF0aWMgU2lnbmluZyBLZXkgKDIwMTgpIDxmdHBtYXN0ZXJAdWJ1bnR1LmNv" +
  "bT6JAjgEEwEKACIFAlufwdoCGwMGCwkIBwMCBhUIAgkKCwQWAgMBAh4BAheAAAoJEIcZINGZG8k8LHMQAKS2cnxz" +
  "/5WaoCOWArf5g6UHbeOCgc5DBm0hCuFDZWWv427aGei3CPuLw0DGLCXZdyc5dqE8mvjMlOmmAKKlj1uGg3TYCbQW" +
  "jWPeMnBPZbkFgkZoXJ7/6CB7bWRht1sHzpt1LTZ+SYDwOwJ68QRp7DRaZl9Y6QiUbeuhq2DUcTofVbBxbhrckN4Z" +
  "teLvm+/nG9m/ciopc66LwRdkxqfJ32Cyq+1TS5VaIJDG7DWziG+Kbu6qCDM4QNlg3LH7p14CrRxAbc4lvohRgsV4" +
  "eQqsIcdFkuVY5HPPj2K8TqpY6STe8Gh0aprG1RV8ZKay3KSMpnyV1fAKn4fM9byiLzQAovC0LZ9MMMsrAS/45AvC" +
  "3IEKSShjLFn1X1dRCiO6/7jmZEoZtAp53hkf8SMBsi78hVNrBumZwfIdBA1v22+LY4xQK8q4XCoRcA9G+pvzU9YV" +
  "W7cRnDZZGl0uwOw7z9PkQBF5KFKjWDz4fCk+K6+YtGpovGKekGBb8I7EA6UpvPgqA/QdI0t1IBP0N06RQcs1fUaA" +
  "QEtz6DGy5zkRhR4pGSZn+dFET7PdAjEK84y7BdY4t+U1jcSIvBj0F2B7LwRL7xGpSpIKi/ekAXLs117bvFHaCvmU" +
  "YN7JVp1GMmVFxhIdx6CFm3fxG8QjNb5tere/YqK+uOgcXny1UlwtCUzlrSaP";
