import { BlockList, isIP } from "node:net";

/** A shorter prefix would be a mistake: no proxies have 16 million addresses. */
const MIN_PREFIX = 8;

/** The proxies that may say for whom they ask. */
export class Proxies {
  readonly #list = new BlockList();

  /** @returns undefined if an address or a range is malformed */
  static parse(text: string): Proxies | undefined {
    const proxies = new Proxies();
    const isValid = text.split(",").every((entry) => proxies.#add(entry.trim()));
    return isValid ? proxies : undefined;
  }

  #add(entry: string): boolean {
    const [, address = "", prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
    const bits = isIP(address) === 6 ? 128 : 32;
    const length = Number(prefix ?? bits);
    if (isIP(address) === 0 || length < MIN_PREFIX || length > bits) return false;
    this.#list.addSubnet(address, length, bits === 128 ? "ipv6" : "ipv4");
    return true;
  }

  /** @param address also an IPv4 address in IPv6 form, as a server on `::` sees its clients */
  has(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 6 ? "ipv6" : "ipv4");
  }

  /** @returns the address of the client, which each proxy added to the end of X-Forwarded-For */
  clientOf(peer: string, forwardedFor: string): string {
    if (!this.has(peer)) return peer;
    // From the end, because a client can write anything at the start.
    const client =
      forwardedFor.split(",").map((entry) => entry.trim()).findLast((entry) => !this.has(entry)) ?? "";
    return isIP(client) === 0 ? peer : client;
  }
}
