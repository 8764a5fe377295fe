// Lets in who has a ticket, to what the ticket names.
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { checkTicket, type Ticket } from "./ticket.ts";

/** The ticket of a caller who wants that image, or throws UNAUTHENTICATED TICKET. Never tells the ticket itself. */
export type Gate = (ticket: string, image?: string) => Ticket;

export function gate(key: Uint8Array, clock: () => number): Gate {
  return (text, image) => {
    if (!text) throw refused("no ticket was given");
    const ticket = checkTicket(key, text, clock());
    if (typeof ticket === "string") throw refused(`the ticket ${ticket}`);
    if (image !== undefined && !ticket.images.includes(image))
      throw refused("the ticket is for another image");
    return ticket;
  };
}

function refused(why: string): RpcError {
  return new RpcError(codes.UNAUTHENTICATED, `${why}: ask the daemon again where the image is`, {
    reason: "TICKET",
  });
}
