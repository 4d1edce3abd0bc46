import { share } from "../../support/share.ts";

/** Files beside the ones that every run has; each looks at one part of a host for minutes. */
const TAKE_TURNS = [
  "artifact",
  "compose",
  "etcd",
  "front-redis",
  "nodes",
  "real-release",
  "replicas",
  "session",
] as const;
const A_DAY = 3;

/** Whether a file is in this day's run; all are in that of `./fleet test hosts --full`. */
export const hasItsTurn = (file: (typeof TAKE_TURNS)[number]): boolean =>
  share(TAKE_TURNS, A_DAY).includes(file);
