const httpMethods = ['GET ', 'HEAD', 'POST', 'PUT ', 'DELE', 'OPTI', 'PATC', 'CONN', 'TRAC'];
/** A TLS record of type handshake, of any version. */
const tlsHandshake = 0x16;
const tlsMajorVersion = 3;

/** Names what somebody speaks who does not speak Kafka's protocol, by the first bytes; for the log. */
export function guessProtocol(head: Uint8Array): string | undefined {
  if (head[0] === tlsHandshake && head[1] === tlsMajorVersion) return 'a TLS handshake';
  const start = Buffer.from(head.subarray(0, 4)).toString('latin1');
  return httpMethods.includes(start) ? 'an HTTP request' : undefined;
}
