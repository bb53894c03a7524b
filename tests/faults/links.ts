import { type Link, openLink } from "../../stack/network/link.ts";
import type { Place } from "../../lab/place.ts";

/** Clients use it with `link.through(place.databaseUrl)`. The caller closes it. */
export function linkToDatabase(place: Place): Promise<Link> {
  const url = new URL(place.databaseUrl);
  return openLink({ host: url.hostname, port: Number(url.port) });
}
