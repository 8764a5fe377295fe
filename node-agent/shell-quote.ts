// How words are shown, and given to a shell.
/** A word as a shell would need it, so that a command of the log can be pasted. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
