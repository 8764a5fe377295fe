/** A filter or a list of nodes cannot be understood; the message says where and what would be. */
export class FilterError extends Error {
  override name = "FilterError";
}
