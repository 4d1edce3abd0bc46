import { share } from "../../support/share.ts";

/** Files beside the ones that every run has; each takes a stack through minutes of changes. */
const TAKE_TURNS = ["beside", "failures", "zones"] as const;

/** Whether a file is in this day's run; all are in that of `./fleet test engine --full`. */
export const hasItsTurn = (file: (typeof TAKE_TURNS)[number]): boolean =>
  share(TAKE_TURNS, 1).includes(file);
