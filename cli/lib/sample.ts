/** Begins the first line of the stack files that come with the project and name nobody's account. */
export const SAMPLE_MARK = "# Sample:";

/** A file that nobody has made their own yet, so that nothing is lost by writing it anew. */
export const isSample = (text: string): boolean => text.startsWith(SAMPLE_MARK);
