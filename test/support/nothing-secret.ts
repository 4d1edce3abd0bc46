/** For stacks whose settings hold no secret. */
export const NOTHING_SECRET = (): boolean => false;
