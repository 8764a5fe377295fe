// Text from machines may hold escapes, tabs and line ends: none of them may reach a terminal or a picture.
import { stripVTControlCharacters } from "node:util";

/** One line that is safe to show. */
export function clean(text: string): string {
  return (
    stripVTControlCharacters(text)
      .replace(/[\t\r\n]+/g, " ")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the point
      .replace(/[\x00-\x1f\x7f-\x9f]/g, "")
  );
}
