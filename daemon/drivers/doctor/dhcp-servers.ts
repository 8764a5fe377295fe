// Check `dhcp-servers`: another DHCP server on the boot network gives machines other addresses and other things to
// boot, by turns with the daemon's. Asks as a machine would, and takes no address.
import { networkInterfaces } from "node:os";
import { type Check, fault, ok, skipped } from "./check.ts";
import { dhcpOffers } from "./dhcp-probe.ts";

const waitMs = 3000;

export const dhcpServers: Check = {
  name: "dhcp-servers",
  run: async ({ bootInterface, address }) => {
    if (!bootInterface) return [skipped("the daemon does not answer DHCP: it has no --boot-interface")];
    const own = networkInterfaces()[bootInterface]?.find(({ family }) => family === "IPv4");
    if (!own) {
      const remedy = `give it ${address} again, or restart the daemon with another --boot-interface`;
      return [fault(`interface ${bootInterface} has no IPv4 address any more`, remedy)];
    }
    const offers = await dhcpOffers(own.address, waitMs);
    const others = offers.filter(({ server }) => server !== own.address && server !== address);
    if (!others.length)
      return [ok(`no other DHCP server answers on ${bootInterface} within ${waitMs / 1000} s`)];
    return others.map(({ server, offered }) =>
      fault(
        `another DHCP server, ${server}, answers on ${bootInterface} and offers ${offered}`,
        `switch off DHCP on ${server}, or take it off this network: machines boot from whoever answers first`,
      ),
    );
  },
};
