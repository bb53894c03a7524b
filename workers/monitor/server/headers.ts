/** Folder `server`: serves the monitor page by HTTP or HTTPS, with limits and with headers that protect the viewer. */

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/**
 * Headers of every answer. Only the routes of the assets replace one: their files contain no data and may be cached.
 * There is no Strict-Transport-Security, because it would apply to the other ports of this host, such as Grafana's.
 */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  // With `no-referrer`, browsers send `Origin: null` with a form, and the check of the origin would refuse it.
  "referrer-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};
