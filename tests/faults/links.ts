import { type Link, openLink } from "../../stack/network/link.ts";
import type { Place } from "../../lab/place.ts";

/** Clients connect to `link.through(place.databaseUrl)`. The caller closes the link. */
export function linkToDatabase(place: Place): Promise<Link> {
  const url = new URL(place.databaseUrl);
  return openLink({ host: url.hostname, port: Number(url.port) });
}
